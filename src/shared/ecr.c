/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call is a request in an event loop of its own, which ends with its answer or its time. What fails for a
 * moment is asked again. */

#include "ecr.h"

#include "aws-identity.h"
#include "http.h"

#include "basic/string-util.h"

#include <errno.h>

#define TARGET         "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921."
#define CONTENT_TYPE   "Content-Type: application/x-amz-json-1.1"
#define ENDPOINT       "AWS_ENDPOINT_URL_ECR"
#define ANSWER_MAX     (8U * 1024U * 1024U)
#define TRIES_MAX      4U
#define AGAIN_USEC     (200 * USEC_PER_MSEC)
#define TIMER_ACCURACY (10 * USEC_PER_MSEC)
#define PAGES_MAX      100U

typedef struct Call {
        sd_event *event;
        CurlSource *source;
        AwsIdentity *identity;
        AwsWaiter *waiter;
        HttpTransfer *transfer;
        sd_event_source *again, *limit;
        const EcrRegistry *registry; /* borrowed, like the next two */
        const char *operation, *body;
        unsigned n_tries;
        Buffer answer;
        int result; /* ECR_* */
        char *error;
} Call;

static void call_done(Call *call)
{
        aws_waiter_free(call->waiter);
        http_free(call->transfer);
        sd_event_source_disable_unref(call->again);
        sd_event_source_disable_unref(call->limit);
        aws_identity_free(call->identity);
        curl_source_free(call->source);
        sd_event_unref(call->event);
        if (call->answer.data)
                explicit_bzero(call->answer.data, call->answer.size);
        buffer_done(&call->answer);
        free(call->error);
}

/* Ends the loop. Takes `error`. */
static int end(Call *call, int result, char *error)
{
        if (result != 0 && !error)
                return -ENOMEM;
        free(call->error);
        call->error = error;
        call->result = result;
        return sd_event_exit(call->event, 0);
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        return end(userdata, ECR_FAILED, strdup("ECR did not answer in time"));
}

/* Answers. */

static int send_call(Call *call);

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        return send_call(userdata);
}

static int try_again(Call *call)
{
        int r;

        call->again = sd_event_source_disable_unref(call->again);
        r = sd_event_add_time_relative(call->event, &call->again, CLOCK_MONOTONIC,
                                       AGAIN_USEC << call->n_tries, TIMER_ACCURACY, on_again, call);
        return r < 0 ? r : 0;
}

static int take_refusal(Call *call, HttpTransfer *transfer)
{
        const Buffer *body = http_body(transfer);
        _cleanup_free_ char *name = NULL;
        int meaning = ecr_parse_error((const char *) body->data, body->size, &name);
        unsigned status = http_status(transfer);
        bool is_passing = status == 0    ? !http_is_final(transfer)
                          : status < 500 ? status == 429 || (name && streq(name, "ThrottlingException"))
                                         : true;

        if (meaning < 0)
                return meaning;
        if (is_passing && ++call->n_tries < TRIES_MAX)
                return try_again(call);
        if (status == 0)
                return end(call, ECR_FAILED, string_format("ECR: %s", http_error(transfer)));
        return end(call, meaning, string_format("ECR answers %u%s%s", status, name ? " " : "", name ?: ""));
}

static int on_answer(HttpTransfer *transfer, void *userdata)
{
        _cleanup_(http_freep) HttpTransfer *ended = transfer;
        Call *call = userdata;
        int r;

        call->transfer = NULL;
        if (http_status(transfer) != 200)
                return take_refusal(call, transfer);
        r = buffer_append(&call->answer, http_body(transfer)->data, http_body(transfer)->size, ANSWER_MAX);
        return r < 0 ? r : end(call, 0, NULL);
}

/* Sending. */

static char *endpoint(const EcrRegistry *registry)
{
        const char *other = getenv(ENDPOINT);

        if (other && *other)
                return string_format("%s%s", other, string_ends_with(other, "/") ? "" : "/");
        return string_format("https://api.ecr.%s.amazonaws.com%s/", registry->region,
                             string_after(registry->region, "cn-") ? ".cn" : "");
}

static int send_with(Call *call, const AwsCredentials *credentials)
{
        _cleanup_free_ char *url = endpoint(call->registry);
        _cleanup_free_ char *target = string_format(TARGET "%s", call->operation);
        const char *headers[] = { CONTENT_TYPE, target, NULL };
        const AwsSigning signing = { credentials, call->registry->region, "ecr" };
        const HttpRequest request = {
                .url = url,
                .headers = headers,
                .body = call->body,
                .signing = &signing,
                .size_max = ANSWER_MAX,
        };

        return url && target ? http_start(call->source, &request, on_answer, call, &call->transfer)
                             : -ENOMEM;
}

static int on_credentials(AwsWaiter *waiter, const AwsCredentials *credentials, const char *error,
                          void *userdata)
{
        Call *call = userdata;

        call->waiter = aws_waiter_free(waiter);
        if (!credentials)
                return end(call, ECR_FAILED, string_format("there are no credentials for ECR: %s", error));
        return send_with(call, credentials);
}

static int send_call(Call *call)
{
        return aws_identity_wait(call->identity, on_credentials, call, &call->waiter);
}

static int open_call(Call *call, usec_t time_usec)
{
        const char *problem = aws_sign_check(curl_version_info(CURLVERSION_NOW)->version_num);
        int r = sd_event_new(&call->event);

        if (r >= 0)
                r = sd_event_add_time_relative(call->event, &call->limit, CLOCK_MONOTONIC, time_usec,
                                               TIMER_ACCURACY, on_limit, call);
        if (r >= 0)
                r = curl_source_new(call->event, &call->source);
        if (r >= 0)
                r = aws_identity_new(call->event, call->source, getenv, &call->identity);
        if (r < 0)
                return r;
        return problem ? end(call, ECR_FAILED, strdup(problem)) : send_call(call);
}

/* Has the answer in `ret`, which is the caller's. */
static int call_operation(const EcrRegistry *registry, const char *operation, const char *body,
                          usec_t time_usec, Buffer *ret, char **ret_error)
{
        _cleanup_(call_done) Call call = { .registry = registry, .operation = operation, .body = body };
        int r = open_call(&call, time_usec);

        if (r >= 0)
                r = sd_event_loop(call.event);
        if (r < 0)
                return r;
        *ret_error = TAKE_PTR(call.error);
        *ret = call.answer;
        call.answer = (Buffer){};
        return call.result;
}

/* Shows where it came from. */
static int malformed(int r, char *error, char **ret_error)
{
        _cleanup_free_ char *text = error;

        if (r <= 0)
                return r;
        return error_set(ret_error, r, "ECR: %s", text);
}

int ecr_token(const EcrRegistry *registry, usec_t time_usec, EcrToken *ret, char **ret_error)
{
        _cleanup_(buffer_done) Buffer answer = {};
        char *error = NULL;
        int r = call_operation(registry, "GetAuthorizationToken", "{}", time_usec, &answer, ret_error);

        if (r != 0)
                return r;
        r = malformed(ecr_parse_token((const char *) answer.data, answer.size, ret, &error), error,
                      ret_error);
        explicit_bzero(answer.data, answer.size);
        return r;
}

/* What every call about a repository says. */
static json_object *body_of(const EcrRegistry *registry)
{
        json_object *object = json_object_new_object();

        if (object &&
            json_object_object_add(object, "registryId", json_object_new_string(registry->account)) == 0)
                return object;
        json_object_put(object);
        return NULL;
}

static char *list_body(const EcrRegistry *registry, const char *repository, const char *next)
{
        json_object *object = body_of(registry);
        char *body = NULL;

        if (object &&
            json_object_object_add(object, "repositoryName", json_object_new_string(repository)) == 0 &&
            json_object_object_add(object, "maxResults", json_object_new_int(1000)) == 0 &&
            (!next || json_object_object_add(object, "nextToken", json_object_new_string(next)) == 0))
                body = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
        json_object_put(object);
        return body;
}

static int list_page(const EcrRegistry *registry, const char *repository, usec_t time_usec,
                     json_object *images, char **next, char **ret_error)
{
        _cleanup_free_ char *body = list_body(registry, repository, *next);
        _cleanup_(buffer_done) Buffer answer = {};
        char *error = NULL;
        int r = body ? call_operation(registry, "ListImages", body, time_usec, &answer, ret_error) : -ENOMEM;

        if (r != 0)
                return r;
        free(*next);
        *next = NULL;
        return malformed(ecr_parse_page((const char *) answer.data, answer.size, images, next, &error),
                         error, ret_error);
}

int ecr_list(const EcrRegistry *registry, const char *repository, usec_t time_usec, json_object **ret,
             char **ret_error)
{
        usec_t until = now_usec(CLOCK_MONOTONIC) + time_usec, now;
        json_object *images = json_object_new_object();
        _cleanup_free_ char *next = NULL;
        unsigned n_pages = 0;
        int r = images ? 0 : -ENOMEM;

        do {
                now = now_usec(CLOCK_MONOTONIC);
                if (r == 0)
                        r = list_page(registry, repository, until > now ? until - now : 1, images, &next,
                                      ret_error);
        } while (r == 0 && next && ++n_pages < PAGES_MAX);
        if (r == 0 && next)
                r = error_set(ret_error, ECR_FAILED, "ECR: its list has no end");
        if (r == 0)
                *ret = images;
        else
                json_object_put(images);
        return r;
}

/* Takes `value`, the repository's name in the form that the operation has for it. */
static int ask_about(const EcrRegistry *registry, const char *operation, const char *member,
                     json_object *value, usec_t time_usec, char **ret_error)
{
        _cleanup_(buffer_done) Buffer answer = {};
        json_object *object = value ? body_of(registry) : NULL;
        int r = -ENOMEM;

        if (object && json_object_object_add(object, member, value) == 0)
                r = call_operation(registry, operation,
                                   json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), time_usec,
                                   &answer, ret_error);
        else
                json_object_put(value);
        json_object_put(object);
        return r;
}

static json_object *list_of(const char *name)
{
        json_object *list = json_object_new_array(), *text = json_object_new_string(name);

        if (list && text && json_object_array_add(list, text) == 0)
                return list;
        json_object_put(text);
        json_object_put(list);
        return NULL;
}

int ecr_ensure_repository(const EcrRegistry *registry, const char *repository, usec_t time_usec,
                          char **ret_error)
{
        _cleanup_free_ char *unknown = NULL;
        int r = ask_about(registry, "DescribeRepositories", "repositoryNames", list_of(repository),
                          time_usec, &unknown);

        if (r != ECR_MISSING)
                return MIN(r, 0);
        r = ask_about(registry, "CreateRepository", "repositoryName", json_object_new_string(repository),
                      time_usec, ret_error);
        if (r != ECR_EXISTS)
                return r;
        free(*ret_error);
        *ret_error = NULL;
        return 0;
}
