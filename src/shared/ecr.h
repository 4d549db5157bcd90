/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Amazon's container registry wants beside the protocol of registries: a password that is fetched with
 * AWS credentials (those of aws-fetch.h, from the environment), and calls of its own to list a repository
 * and to make one. All block, for at most the time that is given: they are for programs that ask one
 * question. */

#include "basic/macro.h"
#include "basic/time-util.h"

#include <json-c/json.h>

/* Whose registry, and where. */
typedef struct EcrRegistry {
        char *account; /* owned: 12 digits */
        char *region;  /* owned */
} EcrRegistry;

/* All give 0, -errno where this process is at its end, or one of these with what is wrong, a new string that
 * is safe to show. */
enum {
        ECR_FAILED = 1,  /* it does not answer, or refuses */
        ECR_MISSING = 2, /* there is no such repository */
        ECR_EXISTS = 3,  /* there is one already */
};

/* ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn]; *ret stays as it was where the host is none. 1 where it is one,
 * 0, -ENOMEM. */
int ecr_registry_from_host(const char *host, EcrRegistry *ret) _warn_unused_;
void ecr_registry_done(EcrRegistry *registry);

typedef struct EcrToken {
        char *user, *password; /* owned; for basic authentication at the registry */
        usec_t expires_usec;   /* on the real-time clock */
} EcrToken;
void ecr_token_done(EcrToken *token);
int ecr_token(const EcrRegistry *registry, usec_t time_usec, EcrToken *ret, char **ret_error) _warn_unused_;

/* All images of a repository: {digest: [tags]}; at most ECR_IMAGES_MAX. */
#define ECR_IMAGES_MAX 10000U
int ecr_list(const EcrRegistry *registry, const char *repository, usec_t time_usec, json_object **ret,
             char **ret_error) _warn_unused_;

/* Has the repository made where there is none. Where it cannot be found out whether there is one, nothing is
 * done: what is sent there says it. */
int ecr_ensure_repository(const EcrRegistry *registry, const char *repository, usec_t time_usec,
                          char **ret_error) _warn_unused_;

/* The answers, pure. `images` grows; *ret_next is a new string, NULL on the last page. */
int ecr_parse_token(const char *json, size_t size, EcrToken *ret, char **ret_error) _warn_unused_;
int ecr_parse_page(const char *json, size_t size, json_object *images, char **ret_next,
                   char **ret_error) _warn_unused_;
/* An answer that is none: what it means, ECR_*, or -ENOMEM. *ret_name is the error's name without its
 * namespace, a new string; NULL where it has none that may be shown. */
int ecr_parse_error(const char *json, size_t size, char **ret_name) _warn_unused_;
