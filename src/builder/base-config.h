/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The configuration of a base image, as buildah will read it: it may bring no steps (ONBUILD), which nobody
 * has looked at. Pure. */

#include "basic/macro.h"

/* 0, -ENOMEM, or BASE_CONFIG_BAD with the reason, a literal. */
enum {
        BASE_CONFIG_BAD = 1,
};
int base_config_check(const char *text, size_t size, const char **ret_reason) _warn_unused_;
