/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a builder does with a job: a process of its own builds it, and says how far it is. */

#include "worker/task.h"

/* Its context's userdata is an array of words, ended by NULL: the builder's own command line, for that
 * process. */
extern const TaskType task_build;

/* What builds that were killed left behind. */
int task_build_clear(const char *folder) _warn_unused_;

/* Where a build works, a new string; NULL without memory. */
char *task_build_folder(const char *folder, const char *job);
