/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What clients ask (docs/PROTOCOL.md part 1): actions, their members, who may use them. */

#include "json-fields.h"
#include "name.h"
#include "status.h"

#include "basic/io-util.h"
#include "basic/time-util.h"

#define REQUEST_SIZE_MAX       (1024U * 1024U)
#define REQUEST_URI_MAX        2048U
#define REQUEST_SECONDS_MAX    86400.0
#define N_REQUEST_VERSIONS_MAX 256U

/* What a principal may do; bits. */
typedef enum Role {
        ROLE_WORKER = 1 << 0, /* be a worker */
        ROLE_SUBMIT = 1 << 1, /* submit jobs, cancel them, ask */
        ROLE_DEPLOY = 1 << 2, /* change which versions are deployed */
        ROLE_ADMIN = 1 << 3,  /* all of that, reload and restart */
        ROLE_ALL = ROLE_WORKER | ROLE_SUBMIT | ROLE_DEPLOY | ROLE_ADMIN,
} Role;

/* `submit` and its like; `all` is every role. 0 where unknown. */
Role role_from_string(const char *s) _warn_unused_;
const char *role_to_string(Role role);

typedef enum Action {
        ACTION_TEST_SOLUTION,
        ACTION_ANALYZE_ITERATION,
        ACTION_REPRESENT,
        ACTION_BUILD_CONTAINER,
        ACTION_DEPLOY_CONTAINER_VERSION,
        ACTION_UPDATE_CONTAINER_VERSIONS,
        ACTION_UNLOAD_CONTAINER_VERSION,
        ACTION_CURRENT_CONFIG,
        ACTION_LIST_AVAILABLE_CONTAINERS,
        ACTION_DESCRIBE_WORKERS,
        ACTION_CURRENT_WORKER_STATUS,
        ACTION_DEPLOYMENT_CHECK,
        ACTION_ROUTER_STATUS,
        ACTION_DESCRIBE_JOBS,
        ACTION_RELOAD_CONFIG,
        ACTION_RESTART_WORKERS,
        ACTION_RESTART_ROUTER,
        ACTION_CANCEL,
        _ACTION_MAX,
        _ACTION_INVALID = -1,
} Action;

const char *action_to_string(Action action);
/* The role it needs. */
Role action_role(Action action);
/* Whether its answer comes from somebody else than the router, and so later. */
bool action_waits(Action action);
/* Whether it is a job for a worker, and of which channel. */
bool action_is_job(Action action, Channel *ret_channel);

/* A request; members its action has not are NULL or 0. All is owned. */
typedef struct Request {
        Action action;
        json_object *body; /* as it came */
        size_t size;       /* of its text */
        char *request_id;  /* or NULL */
        char *id;
        Channel channel; /* of the action, or the member `channel` */
        Channel target;  /* build_container: the member `channel`, for which it is built */
        char *track;
        char *exercise;
        char *input;
        char *version; /* container_version, new_version */
        char *git_reference;
        char **versions;
        usec_t execution_usec; /* 0: not said */
        usec_t timeout_usec;   /* 0: not said */
        bool resend;
        bool progress; /* told of on the way */
} Request;

/* What is wrong with a request, for its answer. */
typedef struct RequestError {
        StatusCode code;
        char *error;          /* owned */
        json_object *missing; /* names of missing members, a reference owned; or NULL */
} RequestError;

void request_error_done(RequestError *error);

/* Bytes to a request. 0, -ENOMEM, or REQUEST_BAD with *ret_error filled: then of *ret what is known so far
 * (body and request_id) is filled all the same. */
enum {
        REQUEST_BAD = 1,
};
int request_parse(const void *data, size_t size, Request *ret, RequestError *ret_error) _warn_unused_;
void request_done(Request *request);

/* The request without what is no part of its meaning (`resend`, `request_id`), members sorted, as text: the
 * same for the same request. A new string, NULL without memory. */
char *request_canonical(const Request *request);
/* The request without secret-like members, for `failed_request`. A reference, NULL without memory. */
json_object *request_without_secrets(json_object *body);
