/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The questions, each for the embedded registry and for one that is asked over HTTP. All give 0, -errno, or
 * a code of distribution.h with why: a new string. */

#include "distribution.h"

#include <json-c/json.h>

typedef struct Ask {
        const RegistrySettings *settings;
        const char *channel, *track;
        char *const *arguments; /* the verb's own, as many as it wants */
        json_object *answer;    /* an object to fill */
} Ask;

/* Tells the caller how far it is: a line on standard output. */
void ask_progress(uint64_t done_size, uint64_t total_size);

/* remote.c */
int remote_resolve(const Ask *ask, char **ret_error) _warn_unused_; /* VERSION: digest */
int remote_list(const Ask *ask, char **ret_error) _warn_unused_;    /* images */
/* fetch.c */
int remote_fetch(const Ask *ask, char **ret_error) _warn_unused_; /* FOLDER DIGEST: layout */
/* push.c */
int remote_push(const Ask *ask, char **ret_error) _warn_unused_;   /* LAYOUT DIGEST TAG…: digest */
int embedded_push(const Ask *ask, char **ret_error) _warn_unused_; /* the same */
/* embedded.c */
int embedded_resolve(const Ask *ask, char **ret_error) _warn_unused_;
int embedded_list(const Ask *ask, char **ret_error) _warn_unused_;
int embedded_fetch(const Ask *ask, char **ret_error) _warn_unused_; /* it is where it is */

/* index.c, pure: where a manifest is that of a list of images, the digest in it for this machine's platform;
 * of an image: the digest it has itself. ASK_BAD_IMAGE where it is neither. `ret` has room for a digest and
 * a NUL. */
int index_choose(const Manifest *manifest, char *ret, char **ret_error) _warn_unused_;
