/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The images that a Dockerfile is built upon. Pure: text in; out the names of base images, and the same
 * instructions, a line each, with each image called localhost/base:N, which is what the build service has
 * them as, and with options that lead nowhere else. */

#include "basic/macro.h"

#define DOCKERFILE_SIZE_MAX  (1024U * 1024U)
#define DOCKERFILE_BASES_MAX 32U

typedef struct Dockerfile {
        char *text;   /* rewritten */
        char **bases; /* N is the index; NULL where there is none */
} Dockerfile;

void dockerfile_done(Dockerfile *dockerfile);

/* 0, -ENOMEM, or DOCKERFILE_BAD with what is wrong in which line: a new string. */
enum {
        DOCKERFILE_BAD = 1,
};
int dockerfile_parse(const char *text, size_t size, Dockerfile *ret, char **ret_error) _warn_unused_;
