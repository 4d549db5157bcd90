/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a registry wants to be told of who asks: the header WWW-Authenticate. Pure. */

#include "shared/registry-settings.h"

typedef struct Challenge {
        bool is_token;         /* Bearer: a token of `realm`; else Basic */
        char *realm, *service; /* of Bearer */
} Challenge;

void challenge_done(Challenge *challenge);

/* CHALLENGE_BAD with what is wrong with it, a new string: also where its realm is not of a host that may be
 * shown the password. */
enum {
        CHALLENGE_BAD = 1,
};
int challenge_parse(const RegistrySettings *settings, const char *header, Challenge *ret,
                    char **ret_error) _warn_unused_;

/* The address to ask for a token: a new string; NULL without memory. `actions`: `pull`, `pull,push`. */
char *challenge_token_url(const Challenge *challenge, const char *repository, const char *actions);
