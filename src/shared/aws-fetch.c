/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fetch is a table of places, each of which has what is wanted, is not configured, fails, or starts a
 * conversation: one request (a container's endpoint) or three (the metadata service: a token, the name of
 * the role, its keys). A request that fails is tried again a few times. Endpoints are asked without a proxy,
 * and where they send us elsewhere we do not go. */

#include "aws-fetch.h"

#include "http.h"

#include "basic/fd-util.h"
#include "basic/percent.h"
#include "basic/string-util.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/random.h>

#define CONTAINER_ADDRESS "http://169.254.170.2"
#define METADATA_ADDRESS  "http://169.254.169.254"
#define METADATA_TOKEN    "/latest/api/token"
#define METADATA_ROLES    "/latest/meta-data/iam/security-credentials/"
#define METADATA_TTL      "X-aws-ec2-metadata-token-ttl-seconds: 21600"

#define CONNECT_USEC   USEC_PER_SEC
#define REQUEST_USEC   (2 * USEC_PER_SEC)
#define TRIES_MAX      3U
#define TRY_AGAIN_USEC (200 * USEC_PER_MSEC) /* and up to as much more */
#define TIMER_ACCURACY (10 * USEC_PER_MSEC)
#define URI_SIZE_MAX   2048U
#define ROLE_SIZE_MAX  128U

typedef struct Step Step;

struct AwsFetch {
        sd_event *event; /* borrowed, like the next */
        CurlSource *source;
        AwsLookup lookup;
        AwsFetchHandler on_ended;
        void *userdata;
        sd_event_source *end;   /* says how it ended, from the event loop */
        sd_event_source *again; /* the next try */
        HttpTransfer *transfer;
        const Step *step;
        unsigned n_tries;
        char *uri, *token, *role; /* of the step at hand: where, a header, the role's name */
        AwsCredentials credentials;
        bool has_credentials;
        char *error; /* where there are none */
};

/* A request of a conversation. `take` gets the answer: 0 with the next step started or the fetch ended. */
struct Step {
        const char *what; /* for people */
        const char *method;
        int (*prepare)(AwsFetch *fetch, char **ret_header); /* sets `uri`; a header, or NULL */
        int (*take)(AwsFetch *fetch, const Buffer *body);
};

AwsFetch *aws_fetch_free(AwsFetch *fetch)
{
        if (!fetch)
                return NULL;
        http_free(fetch->transfer);
        sd_event_source_disable_unref(fetch->end);
        sd_event_source_disable_unref(fetch->again);
        aws_credentials_done(&fetch->credentials);
        if (fetch->token)
                explicit_bzero(fetch->token, strlen(fetch->token));
        free(fetch->token);
        free(fetch->uri);
        free(fetch->role);
        free(fetch->error);
        free(fetch);
        return NULL;
}

/* The end: from the event loop, where it is not there already. */

static int on_end(sd_event_source *source, void *userdata)
{
        AwsFetch *fetch = userdata;

        return fetch->on_ended(fetch, fetch->has_credentials ? &fetch->credentials : NULL, fetch->error,
                               fetch->userdata);
}

static int end(AwsFetch *fetch)
{
        return sd_event_source_set_enabled(fetch->end, SD_EVENT_ONESHOT) < 0 ? -EIO : 0;
}

/* Takes `error`. */
static int fail(AwsFetch *fetch, char *error)
{
        fetch->error = error;
        return error ? end(fetch) : -ENOMEM;
}

static int succeed(AwsFetch *fetch)
{
        fetch->has_credentials = true;
        return end(fetch);
}

/* Files and the environment. */

#define TEXT_SIZE_MAX (AWS_TOKEN_SIZE_MAX + 1U)

static void text_clearp(char **text)
{
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
}

/* A file without the white space at its end; *ret stays NULL where there is none. */
static int read_text(const char *path, char **ret)
{
        _cleanup_(text_clearp) char *text = NULL;
        int r = read_file_at(AT_FDCWD, path, TEXT_SIZE_MAX, &text, NULL);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        for (size_t n = strlen(text); n > 0 && strchr(" \t\r\n", text[n - 1]); n--)
                text[n - 1] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

enum {
        NOT_CONFIGURED = 1, /* of a place: the next is asked */
};

static int take_texts(AwsFetch *fetch, const char *place, const char *key, const char *secret,
                      const char *token)
{
        const char *error;
        int r;

        if (!key && !secret)
                return NOT_CONFIGURED;
        if (!key || !secret)
                return fail(fetch,
                            string_format("%s: the access key's id and its secret come together, and one "
                                          "is missing",
                                          place));
        r = aws_credentials_set(key, secret, token && *token ? token : NULL, &fetch->credentials, &error);
        if (r == AWS_CREDENTIALS_BAD)
                return fail(fetch, string_format("%s: %s", place, error));
        return r < 0 ? r : succeed(fetch);
}

static int from_files(AwsFetch *fetch)
{
        static const char *const names[] = { "aws-access-key-id", "aws-secret-access-key",
                                             "aws-session-token" };
        const char *folder = fetch->lookup("CREDENTIALS_DIRECTORY");
        char *texts[ARRAY_SIZE(names)] = {};
        int r = folder ? 0 : NOT_CONFIGURED;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
                _cleanup_free_ char *path = string_format("%s/%s", folder, names[i]);

                r = path ? read_text(path, &texts[i]) : -ENOMEM;
                if (r < 0 && r != -ENOMEM)
                        r = fail(fetch,
                                 string_format("the service's credential %s cannot be read", names[i]));
                if (fetch->error)
                        break;
        }
        if (r == 0 && !fetch->error)
                r = take_texts(fetch, "the service's credentials", texts[0], texts[1], texts[2]);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                text_clearp(&texts[i]);
        return r;
}

/* A variable that is set to nothing is not set. */
static const char *variable(const AwsFetch *fetch, const char *name)
{
        const char *text = fetch->lookup(name);

        return text && *text ? text : NULL;
}

static int from_environment(AwsFetch *fetch)
{
        return take_texts(fetch, "the environment", variable(fetch, "AWS_ACCESS_KEY_ID"),
                          variable(fetch, "AWS_SECRET_ACCESS_KEY"), variable(fetch, "AWS_SESSION_TOKEN"));
}

/* Conversations. */

static int send_request(AwsFetch *fetch);

static int start_step(AwsFetch *fetch, const Step *step)
{
        fetch->step = step;
        fetch->n_tries = 0;
        return send_request(fetch);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        return send_request(userdata);
}

static int try_again(AwsFetch *fetch)
{
        uint16_t jitter = 0;
        usec_t wait;
        int r;

        (void) !getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK);
        wait = TRY_AGAIN_USEC + TRY_AGAIN_USEC * jitter / UINT16_MAX;
        fetch->again = sd_event_source_disable_unref(fetch->again);
        r = sd_event_add_time_relative(fetch->event, &fetch->again, CLOCK_MONOTONIC, wait, TIMER_ACCURACY,
                                       on_again, fetch);
        return r < 0 ? r : 0;
}

static bool is_worth_a_try(unsigned status)
{
        return status == 0 || status == 429 || status >= 500;
}

static int on_answer(HttpTransfer *transfer, void *userdata)
{
        _cleanup_(http_freep) HttpTransfer *ended = transfer;
        AwsFetch *fetch = userdata;
        unsigned status = http_status(transfer);

        fetch->transfer = NULL;
        if (status == 200)
                return fetch->step->take(fetch, http_body(transfer));
        if (is_worth_a_try(status) && ++fetch->n_tries < TRIES_MAX)
                return try_again(fetch);
        if (status == 0)
                return fail(fetch, string_format("%s: %s", fetch->step->what, http_error(transfer)));
        return fail(fetch, string_format("%s answers %u", fetch->step->what, status));
}

static int send_request(AwsFetch *fetch)
{
        _cleanup_(text_clearp) char *header = NULL;
        const char *headers[] = { NULL, NULL };
        const HttpRequest request = {
                .method = fetch->step->method,
                .headers = headers,
                .connect_usec = CONNECT_USEC,
                .total_usec = REQUEST_USEC,
                .is_direct = true,
                .size_max = AWS_CREDENTIALS_JSON_SIZE_MAX,
        };
        HttpRequest to_send = request;
        int r = fetch->step->prepare(fetch, &header);

        if (r < 0 || fetch->error)
                return r;
        headers[0] = header;
        to_send.url = fetch->uri;
        return http_start(fetch->source, &to_send, on_answer, fetch, &fetch->transfer);
}

static int take_keys(AwsFetch *fetch, const Buffer *body)
{
        const char *error;
        int r = aws_credentials_parse((const char *) body->data, body->size, &fetch->credentials, &error);

        if (r == AWS_CREDENTIALS_BAD)
                return fail(fetch, string_format("%s: %s", fetch->step->what, error));
        if (r < 0)
                return r;
        if (fetch->credentials.expires_usec <= now_usec(CLOCK_REALTIME)) {
                aws_credentials_done(&fetch->credentials);
                return fail(fetch, string_format("%s: its answer has expired already", fetch->step->what));
        }
        return succeed(fetch);
}

/* A container's endpoint. */

static bool is_own_host(const char *host)
{
        struct in6_addr six;
        struct in_addr four;

        if (inet_pton(AF_INET, host, &four) == 1)
                return ntohl(four.s_addr) >> 24 == 127 || streq(host, "169.254.170.2") ||
                       streq(host, "169.254.170.23");
        if (inet_pton(AF_INET6, host, &six) == 1)
                return IN6_IS_ADDR_LOOPBACK(&six) || streq(host, "fd00:ec2::23");
        return streq(host, "localhost");
}

static char *uri_part(CURLU *url, CURLUPart part)
{
        char *text = NULL;

        return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

bool aws_container_uri_is_allowed(const char *uri)
{
        CURLU *url = curl_url();
        bool is_allowed = false;

        if (url && aws_text_is_valid(uri, URI_SIZE_MAX) &&
            curl_url_set(url, CURLUPART_URL, uri, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
                char *scheme = uri_part(url, CURLUPART_SCHEME), *host = uri_part(url, CURLUPART_HOST);
                char *user = uri_part(url, CURLUPART_USER);

                if (scheme && host && !user) {
                        size_t n = strlen(host);

                        if (host[0] == '[' && host[n - 1] == ']') {
                                host[n - 1] = '\0';
                                memmove(host, host + 1, n - 1);
                        }
                        is_allowed = streq(scheme, "https") || (streq(scheme, "http") && is_own_host(host));
                }
                curl_free(scheme);
                curl_free(host);
                curl_free(user);
        }
        curl_url_cleanup(url);
        return is_allowed;
}

/* The file is read anew for each request: it is replaced from time to time. */
static int prepare_container(AwsFetch *fetch, char **ret_header)
{
        const char *path = variable(fetch, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        const char *given = variable(fetch, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
        _cleanup_(text_clearp) char *token = NULL;
        int r = 0;

        if (path)
                r = read_text(path, &token);
        if (path && r != -ENOMEM && !token)
                return fail(fetch, strdup("the container endpoint's token file cannot be read"));
        if (r == 0 && !path && given && !(token = strdup(given)))
                r = -ENOMEM;
        if (r < 0 || !token)
                return r;
        if (!aws_text_is_valid(token, AWS_TOKEN_SIZE_MAX) && strpbrk(token, "\r\n"))
                return fail(fetch, strdup("the container endpoint's token is malformed"));
        *ret_header = string_format("Authorization: %s", token);
        return *ret_header ? 0 : -ENOMEM;
}

static const Step container_step = { "the container's credentials endpoint", NULL, prepare_container,
                                     take_keys };

static int from_container(AwsFetch *fetch)
{
        const char *relative = variable(fetch, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        const char *full = variable(fetch, "AWS_CONTAINER_CREDENTIALS_FULL_URI");

        if (!relative && !full)
                return NOT_CONFIGURED;
        if (relative && (relative[0] != '/' || !aws_text_is_valid(relative, URI_SIZE_MAX)))
                return fail(fetch, strdup("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path"));
        if (!relative && !aws_container_uri_is_allowed(full))
                return fail(fetch,
                            strdup("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor at an address "
                                   "of this host or of its container service"));
        fetch->uri = relative ? string_format(CONTAINER_ADDRESS "%s", relative) : strdup(full);
        return fetch->uri ? start_step(fetch, &container_step) : -ENOMEM;
}

/* The metadata service. */

static int set_uri(AwsFetch *fetch, char *uri)
{
        free(fetch->uri);
        fetch->uri = uri;
        return uri ? 0 : -ENOMEM;
}

/* Another than the usual one is for hosts that have but IPv6. */
static const char *metadata_address(const AwsFetch *fetch)
{
        return variable(fetch, "AWS_EC2_METADATA_SERVICE_ENDPOINT") ?: METADATA_ADDRESS;
}

static int prepare_token(AwsFetch *fetch, char **ret_header)
{
        *ret_header = strdup(METADATA_TTL);
        return *ret_header ? set_uri(fetch, string_format("%s" METADATA_TOKEN, metadata_address(fetch)))
                           : -ENOMEM;
}

static int with_token(AwsFetch *fetch, char **ret_header, char *uri)
{
        *ret_header = string_format("X-aws-ec2-metadata-token: %s", fetch->token);
        return set_uri(fetch, uri) < 0 || !*ret_header ? -ENOMEM : 0;
}

static int prepare_role(AwsFetch *fetch, char **ret_header)
{
        return with_token(fetch, ret_header, string_format("%s" METADATA_ROLES, metadata_address(fetch)));
}

static int prepare_keys(AwsFetch *fetch, char **ret_header)
{
        _cleanup_free_ char *role = percent_encode(fetch->role, "");

        if (!role)
                return -ENOMEM;
        return with_token(fetch, ret_header,
                          string_format("%s" METADATA_ROLES "%s", metadata_address(fetch), role));
}

/* The first line of an answer, as one word; fails the fetch where it is none. */
static int take_word(AwsFetch *fetch, const Buffer *body, size_t size_max, char **ret)
{
        int r = aws_word_parse((const char *) body->data, body->size, size_max, ret);

        if (r == AWS_CREDENTIALS_BAD)
                return fail(fetch, string_format("%s gives an answer that is malformed", fetch->step->what));
        return r;
}

static const Step keys_step = { "the instance metadata service", NULL, prepare_keys, take_keys };

static int take_role(AwsFetch *fetch, const Buffer *body)
{
        int r = take_word(fetch, body, ROLE_SIZE_MAX, &fetch->role);

        return r < 0 || fetch->error ? r : start_step(fetch, &keys_step);
}

static const Step role_step = { "the instance metadata service, asked for the instance's role,", NULL,
                                prepare_role, take_role };

static int take_token(AwsFetch *fetch, const Buffer *body)
{
        int r = take_word(fetch, body, AWS_TOKEN_SIZE_MAX, &fetch->token);

        return r < 0 || fetch->error ? r : start_step(fetch, &role_step);
}

static const Step token_step = { "the instance metadata service", "PUT", prepare_token, take_token };

static bool metadata_address_is_allowed(const char *address)
{
        return streq(address, METADATA_ADDRESS) || streq(address, "http://[fd00:ec2::254]") ||
               (!string_ends_with(address, "/") && aws_container_uri_is_allowed(address));
}

static int from_metadata(AwsFetch *fetch)
{
        const char *disabled = variable(fetch, "AWS_EC2_METADATA_DISABLED");

        if (disabled && strcasecmp(disabled, "true") == 0)
                return NOT_CONFIGURED;
        if (!metadata_address_is_allowed(metadata_address(fetch)))
                return fail(
                        fetch,
                        strdup("AWS_EC2_METADATA_SERVICE_ENDPOINT is no address of the metadata service"));
        return start_step(fetch, &token_step);
}

/* Lifecycle. */

static int start(AwsFetch *fetch)
{
        static int (*const places[])(AwsFetch * fetch) = { from_files, from_environment, from_container,
                                                           from_metadata };
        int r = NOT_CONFIGURED;

        for (size_t i = 0; r == NOT_CONFIGURED && i < ARRAY_SIZE(places); i++)
                r = places[i](fetch);
        return r == NOT_CONFIGURED ? fail(fetch, strdup("none are configured")) : r;
}

int aws_fetch_new(sd_event *event, CurlSource *source, AwsLookup lookup, AwsFetchHandler on_ended,
                  void *userdata, AwsFetch **ret)
{
        _cleanup_(aws_fetch_freep) AwsFetch *fetch = calloc(1, sizeof(AwsFetch));
        int r;

        if (!fetch)
                return -ENOMEM;
        fetch->event = event;
        fetch->source = source;
        fetch->lookup = lookup;
        fetch->on_ended = on_ended;
        fetch->userdata = userdata;
        r = sd_event_add_defer(event, &fetch->end, on_end, fetch);
        if (r >= 0)
                r = sd_event_source_set_enabled(fetch->end, SD_EVENT_OFF);
        if (r >= 0)
                r = start(fetch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(fetch);
        return 0;
}
