/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every verb of pipelinectl, each in the file of its name. */

#include "ctl.h"

extern const CtlVerb ctl_verb_build;
extern const CtlVerb ctl_verb_check_host;
extern const CtlVerb ctl_verb_deploy;
extern const CtlVerb ctl_verb_images;
extern const CtlVerb ctl_verb_jobs;
extern const CtlVerb ctl_verb_keys;
extern const CtlVerb ctl_verb_logs;
extern const CtlVerb ctl_verb_push;
extern const CtlVerb ctl_verb_rm;
extern const CtlVerb ctl_verb_status;
extern const CtlVerb ctl_verb_test;
extern const CtlVerb ctl_verb_top;
extern const CtlVerb ctl_verb_undeploy;
extern const CtlVerb ctl_verb_versions;
extern const CtlVerb ctl_verb_workers;
