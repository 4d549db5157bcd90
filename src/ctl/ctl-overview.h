/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parts of what `status`, `jobs` and `top` show, from the router's answers. */

#include "ctl-table.h"

#include <json-c/json.h>

/* Lines about the router: how it is, what it has done. */
void ctl_print_status(const Ctl *ctl, json_object *status);
/* A row a job, at most `n_max`; of none a line that says so. 0 or -errno. */
int ctl_print_jobs(const Ctl *ctl, json_object *jobs, size_t n_max) _warn_unused_;
/* "1.5 s", "3 min", "2 h": so long that it says something, so short that it fits. */
void ctl_format_span(uint64_t msec, char ret[32]);
