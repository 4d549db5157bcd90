/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The capabilities of the calling thread, as masks of bits: what it gives up, and what it hands on. */

#include "macro.h"

#include <linux/capability.h>

#define CAPABILITY(name) (UINT64_C(1) << (name))

/* Takes all but `kept` from the bounding set: no program that is executed later can gain more. Needs
 * CAP_SETPCAP, so it comes before capability_keep(). */
int capability_bound(uint64_t kept) _warn_unused_;

/* The permitted and effective sets become `kept`, the inheritable one empty, and by the kernel's rule the
 * ambient one too. Needs no capability. -EPERM where `kept` holds one that is not permitted now. */
int capability_keep(uint64_t kept) _warn_unused_;

/* Adds `rights`, which must be permitted, to the inheritable and the ambient sets: a program that is
 * executed then has them as well. */
int capability_hand_on(uint64_t rights) _warn_unused_;
