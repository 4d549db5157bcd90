/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every verb of pipelinectl, each in the file of its name. */

#include "ctl.h"

extern const CtlVerb ctl_verb_images;
extern const CtlVerb ctl_verb_push;
extern const CtlVerb ctl_verb_rm;
