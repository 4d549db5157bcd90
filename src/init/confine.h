/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What takes power away: from the whole namespace, from pipeline-init, from the guest. */

#include "basic/macro.h"

#include <linux/capability.h>

/* Capabilities as a mask of bits. */
#define CAPABILITY(name) (UINT64_C(1) << (name))

/* Lowers the counts of kernel objects that are charged per user of this user namespace, and brings the
 * loopback interface up. `ret_what` says what failed (a literal). */
int confine_namespace(const char **ret_what) _warn_unused_;

/* Lowers the resource limits of the calling process for good. */
int confine_resources(uint64_t open_files) _warn_unused_;

/* Leaves the process the capabilities in `kept` (permitted and effective) and its children none: the
 * bounding, inheritable and ambient sets become empty. */
int confine_capabilities(uint64_t kept) _warn_unused_;

/* The part of it that needs no capability: the permitted and effective sets become `kept`, the inheritable
 * one empty. */
int set_capabilities(uint64_t kept) _warn_unused_;
