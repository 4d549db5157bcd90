/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a Dockerfile calls an image of a registry: [HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST], as docker reads
 * it. The first part is a host if it has a dot or a colon, or is `localhost`; without one it is Docker Hub,
 * whose images of one part are in `library/`. Pure. */

#include "basic/macro.h"

#define BASE_HUB       "registry-1.docker.io"
#define BASE_HUB_TOKEN "auth.docker.io" /* who gives its tokens */

typedef struct BaseName {
        char *host, *repository;
        char *tag;    /* `latest` where none is said */
        char *digest; /* NULL, or what is wanted whatever the tag says */
} BaseName;

void base_name_done(BaseName *name);
/* BASE_NAME_BAD where it cannot be one; whether the registry has such a repository is its to say. */
enum {
        BASE_NAME_BAD = 1,
};
int base_name_parse(const char *text, BaseName *ret) _warn_unused_;
