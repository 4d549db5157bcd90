/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request is checked in three steps, each with its own answer: is it an object with an action (502, 501),
 * are the members there (502 and which), have they the right form (400; 502 for a channel nobody knows). */

#include "request.h"

#include "basic/string-util.h"

#include <errno.h>
#include <strings.h>

#define N_REQUIRED_MAX 6U

static const struct {
        const char *name;
        Role role;
} roles[] = {
        { "worker", ROLE_WORKER }, { "submit", ROLE_SUBMIT }, { "deploy", ROLE_DEPLOY },
        { "admin", ROLE_ALL },     { "all", ROLE_ALL },
};

Role role_from_string(const char *s)
{
        for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
                if (streq(s, roles[i].name))
                        return roles[i].role;
        return 0;
}

const char *role_to_string(Role role)
{
        for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
                if (roles[i].role & role)
                        return roles[i].name;
        return "none";
}

#define JOB_MEMBERS "id", "track_slug", "exercise_slug", "s3_uri", "container_version"

static const struct {
        const char *name;
        Role role;
        Channel channel; /* of jobs */
        const char *required[N_REQUIRED_MAX];
} actions[_ACTION_MAX] = {
        [ACTION_TEST_SOLUTION] = { "test_solution", ROLE_SUBMIT, CHANNEL_TEST_RUNNERS, { JOB_MEMBERS } },
        [ACTION_ANALYZE_ITERATION] = { "analyze_iteration",
                                       ROLE_SUBMIT,
                                       CHANNEL_STATIC_ANALYZERS,
                                       { JOB_MEMBERS } },
        [ACTION_REPRESENT] = { "represent", ROLE_SUBMIT, CHANNEL_REPRESENTERS, { JOB_MEMBERS } },
        [ACTION_BUILD_CONTAINER] = { "build_container",
                                     ROLE_DEPLOY,
                                     CHANNEL_BUILDERS,
                                     { "track_slug", "channel", "git_reference" } },
        [ACTION_DEPLOY_CONTAINER_VERSION] = { "deploy_container_version",
                                              ROLE_DEPLOY,
                                              _CHANNEL_INVALID,
                                              { "channel", "track_slug", "new_version" } },
        [ACTION_UPDATE_CONTAINER_VERSIONS] = { "update_container_versions",
                                               ROLE_DEPLOY,
                                               _CHANNEL_INVALID,
                                               { "channel", "track_slug", "versions" } },
        [ACTION_UNLOAD_CONTAINER_VERSION] = { "unload_container_version",
                                              ROLE_DEPLOY,
                                              _CHANNEL_INVALID,
                                              { "channel", "track_slug", "new_version" } },
        [ACTION_CURRENT_CONFIG] = { "current_config", ROLE_SUBMIT, _CHANNEL_INVALID, {} },
        [ACTION_LIST_AVAILABLE_CONTAINERS] = { "list_available_containers",
                                               ROLE_SUBMIT,
                                               _CHANNEL_INVALID,
                                               { "channel", "track_slug" } },
        [ACTION_DESCRIBE_WORKERS] = { "describe_workers", ROLE_SUBMIT, _CHANNEL_INVALID, {} },
        [ACTION_CURRENT_WORKER_STATUS] = { "current_worker_status", ROLE_SUBMIT, _CHANNEL_INVALID, {} },
        [ACTION_DEPLOYMENT_CHECK] = { "deployment_check",
                                      ROLE_SUBMIT,
                                      _CHANNEL_INVALID,
                                      { "channel", "track_slug" } },
        [ACTION_ROUTER_STATUS] = { "router_status", ROLE_SUBMIT, _CHANNEL_INVALID, {} },
        [ACTION_DESCRIBE_JOBS] = { "describe_jobs", ROLE_SUBMIT, _CHANNEL_INVALID, {} },
        [ACTION_RELOAD_CONFIG] = { "reload_config", ROLE_ADMIN, _CHANNEL_INVALID, {} },
        [ACTION_RESTART_WORKERS] = { "restart_workers", ROLE_ADMIN, _CHANNEL_INVALID, {} },
        [ACTION_RESTART_ROUTER] = { "restart_router", ROLE_ADMIN, _CHANNEL_INVALID, {} },
        [ACTION_CANCEL] = { "cancel", ROLE_SUBMIT, _CHANNEL_INVALID, { "id" } },
};

const char *action_to_string(Action action)
{
        return actions[action].name;
}

Role action_role(Action action)
{
        return actions[action].role;
}

bool action_waits(Action action)
{
        return actions[action].channel != _CHANNEL_INVALID || action == ACTION_DEPLOY_CONTAINER_VERSION ||
               action == ACTION_UPDATE_CONTAINER_VERSIONS || action == ACTION_LIST_AVAILABLE_CONTAINERS;
}

bool action_is_job(Action action, Channel *ret_channel)
{
        *ret_channel = actions[action].channel;
        return actions[action].channel != _CHANNEL_INVALID;
}

static Action action_from_string(const char *s)
{
        for (size_t i = 0; i < _ACTION_MAX; i++)
                if (streq(s, actions[i].name))
                        return (Action) i;
        return _ACTION_INVALID;
}

/* The forms of the members, whatever the action. */

/* A span in seconds, integer or float, above 0. */
static int seconds_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        double seconds = -1;

        if (json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double))
                seconds = json_object_get_double(value);
        if (!(seconds > 0 && seconds <= REQUEST_SECONDS_MAX))
                return error_set(ret_error, JSON_BAD,
                                 " must be a number of seconds above 0 and at most a day");
        *(usec_t *) member = MAX((usec_t) (seconds * (double) USEC_PER_SEC), USEC_PER_MSEC);
        return 0;
}

static const FieldType field_seconds = { .read = seconds_read };

#define REQUEST_TEXT(name_, member_, check_, form_)                                         \
        {                                                                                   \
                .name = (name_), .type = &field_text, .offset = offsetof(Request, member_), \
                .optional = true, .is_valid = (check_), .form = (form_)                     \
        }

static const JsonField request_fields[] = {
        REQUEST_TEXT("id", id, request_id_is_valid, "an id: 1 to 128 printable ASCII characters, no blank"),
        { "channel", &field_channel, offsetof(Request, channel), .optional = true },
        REQUEST_TEXT("track_slug", track, slug_is_valid, "a slug: 1 to 64 of a-z, A-Z, 0-9, '-' and '_'"),
        REQUEST_TEXT("exercise_slug", exercise, slug_is_valid,
                     "a slug: 1 to 64 of a-z, A-Z, 0-9, '-' and '_'"),
        { "s3_uri", &field_text, offsetof(Request, input), .optional = true, .max = REQUEST_URI_MAX },
        REQUEST_TEXT("container_version", version, version_is_valid,
                     "a version: 1 to 128 of a-z, A-Z, 0-9, '.', '-' and '_'"),
        REQUEST_TEXT("new_version", version, version_is_valid,
                     "a version: 1 to 128 of a-z, A-Z, 0-9, '.', '-' and '_'"),
        REQUEST_TEXT("git_reference", git_reference, git_reference_is_valid,
                     "the name of a commit, branch or tag: 1 to 255 characters, as git has it"),
        { "versions", &field_texts, offsetof(Request, versions), .optional = true,
          .is_valid = version_is_valid, .form = "a version", .max = N_REQUEST_VERSIONS_MAX },
        { "execution_timeout", &field_seconds, offsetof(Request, execution_usec), .optional = true },
        { "timeout", &field_seconds, offsetof(Request, timeout_usec), .optional = true },
        { "resend", &field_bool, offsetof(Request, resend), .optional = true },
        { "progress", &field_bool, offsetof(Request, progress), .optional = true },
};

/* Reading */

/* Fills the answer; takes `error`. REQUEST_BAD, or -ENOMEM. */
static int bad(RequestError *ret_error, StatusCode code, char *error)
{
        if (!error)
                return -ENOMEM;
        ret_error->code = code;
        ret_error->error = error;
        return REQUEST_BAD;
}

static int check_required(Request *request, RequestError *ret_error)
{
        _cleanup_json_ json_object *missing = json_object_new_array();

        for (size_t i = 0; missing && i < N_REQUIRED_MAX && actions[request->action].required[i]; i++) {
                const char *name = actions[request->action].required[i];
                json_object *text;

                if (json_object_object_get(request->body, name))
                        continue;
                text = json_object_new_string(name);
                if (!text || json_object_array_add(missing, text) < 0) {
                        json_object_put(text);
                        return -ENOMEM;
                }
        }
        if (!missing)
                return -ENOMEM;
        if (json_object_array_length(missing) == 0)
                return 0;
        ret_error->missing = TAKE_PTR(missing);
        return bad(ret_error, STATUS_MALFORMED_REQUEST,
                   string_format("missing: %s", json_object_text(ret_error->missing)));
}

/* Whether the action is one that has the member; others may send what they like. */
static bool is_of_action(Action action, const char *name)
{
        Channel channel;

        for (size_t i = 0; i < N_REQUIRED_MAX && actions[action].required[i]; i++)
                if (streq(name, actions[action].required[i]))
                        return true;
        return action_is_job(action, &channel) &&
               (streq(name, "execution_timeout") || streq(name, "timeout") || streq(name, "resend") ||
                streq(name, "progress") || streq(name, "id"));
}

static int read_members(Request *request, RequestError *ret_error)
{
        for (size_t i = 0; i < ARRAY_SIZE(request_fields); i++) {
                const JsonField *field = &request_fields[i];
                json_object *value = json_object_object_get(request->body, field->name);
                _cleanup_free_ char *error = NULL;
                int r;

                if (!value || !is_of_action(request->action, field->name))
                        continue;
                r = field->type->read(field, value, (uint8_t *) request + field->offset, &error);
                if (r == JSON_BAD)
                        return bad(ret_error,
                                   field->type == &field_channel ? STATUS_MALFORMED_REQUEST
                                                                 : STATUS_BAD_INPUT,
                                   string_format("%s%s", field->name, error));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_request_id(Request *request, RequestError *ret_error)
{
        const char *text = json_text(request->body, "request_id");

        if (!json_object_object_get(request->body, "request_id"))
                return 0;
        if (!text || !request_id_is_valid(text))
                return bad(ret_error, STATUS_BAD_INPUT,
                           strdup("request_id must be 1 to 128 printable ASCII characters without blank"));
        request->request_id = strdup(text);
        return request->request_id ? 0 : -ENOMEM;
}

static int read_action(Request *request, RequestError *ret_error)
{
        const char *action = json_text(request->body, "action");
        _cleanup_free_ char *escaped = NULL;

        if (!action)
                return bad(ret_error, STATUS_MALFORMED_REQUEST, strdup("the request has no text `action`"));
        request->action = action_from_string(action);
        if (request->action != _ACTION_INVALID)
                return 0;
        escaped = string_escape(action, strlen(action), 64);
        if (!escaped)
                return -ENOMEM;
        return bad(ret_error, STATUS_UNKNOWN_ACTION, string_format("there is no action '%s'", escaped));
}

static int read_body(const void *data, size_t size, Request *request, RequestError *ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (size > REQUEST_SIZE_MAX)
                return bad(ret_error, STATUS_MALFORMED_REQUEST, strdup("the request is larger than 1 MiB"));
        r = json_object_from_bytes(data, size, &request->body, &error);
        if (r == JSON_BAD)
                return bad(ret_error, STATUS_MALFORMED_REQUEST, string_format("the request %s", error));
        return r;
}

/* A job's channel is its action's; what a build is for is said by the member `channel`. */
static int settle_channels(Request *request, RequestError *ret_error)
{
        Channel channel;

        if (!action_is_job(request->action, &channel))
                return 0;
        if (request->action == ACTION_BUILD_CONTAINER && request->channel == CHANNEL_BUILDERS)
                return bad(ret_error, STATUS_MALFORMED_REQUEST,
                           strdup("channel must be one that containers run in: test_runners, "
                                  "static_analyzers or representers"));
        request->target = request->channel;
        request->channel = channel;
        return 0;
}

int request_parse(const void *data, size_t size, Request *ret, RequestError *ret_error)
{
        static int (*const steps[])(Request * request, RequestError * ret_error) = {
                read_request_id, read_action, check_required, read_members, settle_channels
        };
        int r;

        *ret = (Request){ .action = _ACTION_INVALID, .size = size, .channel = _CHANNEL_INVALID };
        *ret_error = (RequestError){};
        r = read_body(data, size, ret, ret_error);
        for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
                r = steps[i](ret, ret_error);
        return r;
}

void request_done(Request *request)
{
        json_object_put(request->body);
        free(request->request_id);
        free(request->id);
        free(request->track);
        free(request->exercise);
        free(request->input);
        free(request->version);
        free(request->git_reference);
        strv_free(request->versions);
        *request = (Request){ .action = _ACTION_INVALID };
}

void request_error_done(RequestError *error)
{
        free(error->error);
        json_object_put(error->missing);
        *error = (RequestError){};
}

/* Writing */

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* A copy whose objects have their members sorted. As deep as JSON may be. */
static json_object *sorted(json_object *value)
{
        _cleanup_json_ json_object *copy = NULL;
        _cleanup_free_ const char **keys = NULL;
        size_t n = 0;

        if (!json_object_is_type(value, json_type_object) && !json_object_is_type(value, json_type_array))
                return json_object_get(value);
        if (json_object_is_type(value, json_type_array)) {
                copy = json_object_new_array();
                for (size_t i = 0; copy && i < json_object_array_length(value); i++)
                        if (json_object_array_add(copy, sorted(json_object_array_get_idx(value, i))) < 0)
                                return NULL;
                return TAKE_PTR(copy);
        }
        keys = calloc((size_t) json_object_object_length(value) + 1, sizeof(char *));
        copy = json_object_new_object();
        if (!keys || !copy)
                return NULL;
        json_object_object_foreach(value, key, unused)
        {
                (void) unused;
                keys[n++] = key;
        }
        qsort(keys, n, sizeof(char *), compare_keys);
        for (size_t i = 0; i < n; i++)
                if (json_add(copy, keys[i], sorted(json_object_object_get(value, keys[i]))) < 0)
                        return NULL;
        return TAKE_PTR(copy);
}

char *request_canonical(const Request *request)
{
        _cleanup_json_ json_object *copy = sorted(request->body);
        const char *text;

        if (!copy)
                return NULL;
        json_object_object_del(copy, "resend");
        json_object_object_del(copy, "request_id");
        text = json_object_text(copy);
        return text ? strdup(text) : NULL;
}

static bool is_secret_like(const char *name)
{
        static const char *const words[] = { "secret",      "password",   "passwd",
                                             "token",       "credential", "access_key",
                                             "private_key", "api_key",    "authorization" };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcasestr(name, words[i]))
                        return true;
        return false;
}

/* A copy with secret-like members left out at every depth. */
json_object *request_without_secrets(json_object *value)
{
        _cleanup_json_ json_object *copy = NULL;

        if (json_object_is_type(value, json_type_array)) {
                copy = json_object_new_array();
                for (size_t i = 0; copy && i < json_object_array_length(value); i++)
                        if (json_object_array_add(
                                    copy, request_without_secrets(json_object_array_get_idx(value, i))) < 0)
                                return NULL;
                return TAKE_PTR(copy);
        }
        if (!json_object_is_type(value, json_type_object))
                return json_object_get(value);
        copy = json_object_new_object();
        if (!copy)
                return NULL;
        json_object_object_foreach(value, key, member)
        {
                if (!is_secret_like(key) && json_add(copy, key, request_without_secrets(member)) < 0)
                        return NULL;
        }
        return TAKE_PTR(copy);
}
