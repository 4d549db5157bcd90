/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What takes power away: from the whole namespace, from pipeline-init, from the guest. */

#include "basic/macro.h"

/* Lowers the counts of kernel objects that are charged per user of this user namespace, and brings the
 * loopback interface up. `ret_what` says what failed (a literal). */
int confine_namespace(const char **ret_what) _warn_unused_;

/* Lowers the resource limits of the calling process for good. */
int confine_resources(uint64_t open_files) _warn_unused_;

/* Leaves the process the capabilities in `kept` (permitted and effective) and its children none: the
 * bounding, inheritable and ambient sets become empty. */
int confine_capabilities(uint64_t kept) _warn_unused_;
