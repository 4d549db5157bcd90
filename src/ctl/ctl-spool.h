/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The input of a job, where the worker may read it: as it is below the inputs' folder, else a copy there for
 * as long as the job takes. */

#include "ctl.h"

#define CTL_INPUT_FOLDER "/var/lib/pipeline/input"

typedef struct Spool {
        char *uri;  /* file:///…/ */
        char *copy; /* the folder to remove again, or NULL */
} Spool;

/* `folder` is a folder, or a URI, which is taken as it is. 0, a CtlExit that was said, or -errno. */
int spool_init(Spool *spool, const CtlVerb *verb, const char *folder) _warn_unused_;
/* Removes the copy. */
void spool_done(Spool *spool);
