/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks: what the header Authorization says in the scheme Basic. */

#include "shared/registry-settings.h"

/* `ret` is a new string, `Basic …`, or NULL where nobody in particular asks. LOGIN_FAILED with why, a new
 * string without a secret in it. */
enum {
        LOGIN_FAILED = 1,
};
int login_get(const RegistrySettings *settings, usec_t deadline_usec, char **ret,
              char **ret_error) _warn_unused_;

/* Pure: what a containers-auth.json(5) says of a host; the same results. */
int login_from_auth_file(const char *text, size_t size, const char *host, char **ret,
                         char **ret_error) _warn_unused_;
