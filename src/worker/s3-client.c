/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request waits for credentials, is sent, and ends, or goes round again: at once with another region or
 * other credentials (each but a few times), after a while where the storage or the way to it failed. Nothing
 * that it answers leads anywhere else: of a redirection only the region is taken. */

#include "s3-client.h"

#include "s3-list.h"

#include "basic/string-util.h"

#include <errno.h>
#include <sys/random.h>

#define REGION_DEFAULT   "us-east-1"
#define TRIES_MAX        6U
#define BACKOFF_USEC     (100 * USEC_PER_MSEC) /* doubled each time, and half of it by chance */
#define BACKOFF_MAX_USEC (2 * USEC_PER_SEC)
#define TURNS_MAX        2U /* to another region */
#define RENEWALS_MAX     1U /* of the credentials */
#define TIMER_ACCURACY   (5 * USEC_PER_MSEC)
#define ERROR_SIZE_MAX   (64U * 1024U)
#define REGIONS_MAX      32U /* that are remembered */

struct S3Client {
        sd_event *event; /* borrowed, like the next */
        CurlSource *source;
        AwsIdentity *identity;
        const S3Settings *settings;
        struct {
                char *bucket, *region;
        } regions[REGIONS_MAX]; /* of buckets that lie elsewhere; a ring */
        size_t n_regions;
        size_t n_requests;
};

struct S3Request {
        S3Client *client;
        S3Get get;
        S3Handler on_ended;
        void *userdata;
        char *region; /* where it is told to lie, else the client's */
        char *access_key;
        AwsWaiter *waiter;
        HttpTransfer *transfer;
        sd_event_source *again;
        unsigned n_tries, n_turns, n_renewals;
        char *fault;
};

S3Client *s3_client_free(S3Client *client)
{
        if (!client)
                return NULL;
        assert(client->n_requests == 0);
        for (size_t i = 0; i < REGIONS_MAX; i++) {
                free(client->regions[i].bucket);
                free(client->regions[i].region);
        }
        free(client);
        return NULL;
}

int s3_client_new(sd_event *event, CurlSource *source, AwsIdentity *identity, const S3Settings *settings,
                  S3Client **ret)
{
        S3Client *client = calloc(1, sizeof(S3Client));

        if (!client)
                return -ENOMEM;
        client->event = event;
        client->source = source;
        client->identity = identity;
        client->settings = settings;
        *ret = client;
        return 0;
}

const S3Settings *s3_client_settings(const S3Client *client)
{
        return client->settings;
}

S3Request *s3_request_free(S3Request *request)
{
        if (!request)
                return NULL;
        request->client->n_requests--;
        aws_waiter_free(request->waiter);
        http_free(request->transfer);
        sd_event_source_disable_unref(request->again);
        free(request->region);
        free(request->access_key);
        free(request->fault);
        free(request);
        return NULL;
}

const char *s3_request_fault(const S3Request *request)
{
        return request->fault;
}

/* Regions. */

static const char *find_region(const S3Client *client, const char *bucket)
{
        for (size_t i = 0; i < REGIONS_MAX && client->regions[i].bucket; i++)
                if (streq(client->regions[i].bucket, bucket))
                        return client->regions[i].region;
        return client->settings->region ?: REGION_DEFAULT;
}

static int remember_region(S3Client *client, const char *bucket, const char *region)
{
        char *bucket_copy = strdup(bucket), *region_copy = strdup(region);
        size_t i = 0;

        if (!bucket_copy || !region_copy) {
                free(bucket_copy);
                free(region_copy);
                return -ENOMEM;
        }
        while (i < REGIONS_MAX && client->regions[i].bucket && !streq(client->regions[i].bucket, bucket))
                i++;
        if (i == REGIONS_MAX)
                i = client->n_regions++ % REGIONS_MAX;
        free(client->regions[i].bucket);
        free(client->regions[i].region);
        client->regions[i].bucket = bucket_copy;
        client->regions[i].region = region_copy;
        return 0;
}

/* The end. */

static int end(S3Request *request, const Buffer *body, const char *error)
{
        return request->on_ended(request, body, error, request->userdata);
}

/* Takes `error`. */
static int fail(S3Request *request, char *error)
{
        _cleanup_free_ char *text = error;

        return text ? end(request, NULL, text) : -ENOMEM;
}

/* Going round again. */

static int send_request(S3Request *request);

static usec_t backoff(unsigned n_tries)
{
        usec_t wait = MIN(BACKOFF_USEC << n_tries, BACKOFF_MAX_USEC);
        uint16_t jitter = 0;

        (void) !getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK);
        return wait / 2 + wait / 2 * jitter / UINT16_MAX;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        S3Request *request = userdata;

        request->again = sd_event_source_disable_unref(request->again);
        return send_request(request);
}

/* What the sink has got is worth nothing. */
static int rewind_sink(S3Request *request)
{
        return request->get.rewind ? request->get.rewind(request->get.userdata) : 0;
}

static int go_round(S3Request *request, usec_t wait)
{
        int r = rewind_sink(request);

        if (r >= 0)
                r = sd_event_add_time_relative(request->client->event, &request->again, CLOCK_MONOTONIC,
                                               wait, TIMER_ACCURACY, on_again, request);
        return r < 0 ? r : 0;
}

/* Takes `fault`. */
static int try_again(S3Request *request, char *fault)
{
        free(request->fault);
        request->fault = fault;
        if (!fault)
                return -ENOMEM;
        if (++request->n_tries == TRIES_MAX)
                return fail(request, string_format("%s, tried %u times", fault, TRIES_MAX));
        return go_round(request, backoff(request->n_tries - 1));
}

/* Answers. */

static const struct {
        const char *code, *meaning;
} meanings[] = {
        { "AccessDenied", "these credentials may not read it, or are wrong" },
        { "AllAccessDisabled", "these credentials may not read it" },
        { "AuthorizationHeaderMalformed", "it lies in another region" },
        { "ExpiredToken", "the credentials have expired" },
        { "InvalidAccessKeyId", "the access key is not known there" },
        { "InvalidToken", "the session token is not valid" },
        { "NoSuchBucket", "there is no such bucket" },
        { "NoSuchKey", "an object is gone since it was listed" },
        { "PermanentRedirect", "it lies in another region" },
        { "PreconditionFailed", "an object changed while it was fetched" },
        { "RequestTimeTooSkewed", "the clock of the worker's host is wrong" },
        { "SignatureDoesNotMatch", "the secret access key is wrong" },
        { "SlowDown", "it wants fewer requests" },
        { "TemporaryRedirect", "it lies in another region" },
};

static char *describe(unsigned status, const char *code)
{
        for (size_t i = 0; code && i < ARRAY_SIZE(meanings); i++)
                if (streq(meanings[i].code, code))
                        return string_format("S3 answers %u %s: %s", status, code, meanings[i].meaning);
        return string_format("S3 answers %u%s%s", status, code ? " " : "", code ?: "");
}

static bool is_passing(unsigned status, const char *code)
{
        return status == 429 || status == 500 || (status >= 502 && status <= 504) ||
               (code &&
                (streq(code, "SlowDown") || streq(code, "RequestTimeout") || streq(code, "InternalError")));
}

/* Whether it shall be signed for another region: then `region` is of the request. */
static int turn(S3Request *request, HttpTransfer *transfer, unsigned status, const S3Error *error)
{
        const char *region = http_header(transfer, "x-amz-bucket-region");
        char *copy;

        if (status != 301 && status != 307 && status != 400 && status != 403)
                return 0;
        if (!region || !aws_region_is_valid(region))
                region = error->region;
        if (!region || streq(region, request->region) || request->n_turns == TURNS_MAX)
                return 0;
        copy = strdup(region);
        if (!copy || remember_region(request->client, request->get.bucket, region) < 0) {
                free(copy);
                return -ENOMEM;
        }
        free(request->region);
        request->region = copy;
        request->n_turns++;
        return 1;
}

/* Whether other credentials shall be fetched. */
static bool renew(S3Request *request, const S3Error *error)
{
        if (!error->code ||
            (!streq(error->code, "ExpiredToken") && !streq(error->code, "TokenRefreshRequired")) ||
            request->n_renewals == RENEWALS_MAX)
                return false;
        request->n_renewals++;
        aws_identity_forget(request->client->identity, request->access_key);
        return true;
}

static int take_refusal(S3Request *request, HttpTransfer *transfer)
{
        _cleanup_(s3_error_done) S3Error error = {};
        const Buffer *body = http_body(transfer);
        unsigned status = http_status(transfer);
        int r = s3_error_parse((const char *) body->data, body->size, &error);

        if (r < 0)
                return r;
        if (is_passing(status, error.code))
                return try_again(request, describe(status, error.code));
        r = turn(request, transfer, status, &error);
        if (r < 0)
                return r;
        if (r > 0 || renew(request, &error))
                return go_round(request, 0);
        return fail(request, describe(status, error.code));
}

static int on_answer(HttpTransfer *transfer, void *userdata)
{
        _cleanup_(http_freep) HttpTransfer *ended = transfer;
        S3Request *request = userdata;
        unsigned status = http_status(transfer);

        request->transfer = NULL;
        if (status == 200)
                return end(request, http_body(transfer), NULL);
        if (status == 0 && http_is_final(transfer))
                return fail(request, string_format("S3: %s", http_error(transfer)));
        if (status == 0)
                return try_again(request, string_format("S3: %s", http_error(transfer)));
        return take_refusal(request, transfer);
}

/* Sending. */

static int start_transfer(S3Request *request, const AwsCredentials *credentials, const char *url)
{
        _cleanup_free_ char *condition =
                request->get.etag ? string_format("If-Match: %s", request->get.etag) : NULL;
        const AwsSigning signing = { credentials, request->region, "s3" };
        const char *headers[] = { condition, NULL };
        const HttpRequest http = {
                .url = url,
                .headers = headers,
                .signing = &signing,
                .size_max = request->get.sink ? ERROR_SIZE_MAX : request->get.size_max,
                .sink = request->get.sink,
                .sink_userdata = request->get.userdata,
        };

        if (request->get.etag && !condition)
                return -ENOMEM;
        free(request->access_key);
        request->access_key = strdup(credentials->access_key);
        if (!request->access_key)
                return -ENOMEM;
        return http_start(request->client->source, &http, on_answer, request, &request->transfer);
}

static int send_with(S3Request *request, const AwsCredentials *credentials)
{
        _cleanup_free_ char *query = request->get.query ? aws_query(request->get.query) : NULL;
        _cleanup_free_ char *url = NULL;

        if (request->get.query && !query)
                return -ENOMEM;
        url = s3_url(request->client->settings, request->region, request->get.bucket, request->get.key,
                     query);
        return url ? start_transfer(request, credentials, url) : -ENOMEM;
}

static int on_credentials(AwsWaiter *waiter, const AwsCredentials *credentials, const char *error,
                          void *userdata)
{
        S3Request *request = userdata;

        request->waiter = aws_waiter_free(waiter);
        if (!credentials)
                return fail(request, string_format("this worker has no credentials for S3: %s", error));
        return send_with(request, credentials);
}

static int send_request(S3Request *request)
{
        const AwsCredentials *credentials = aws_identity_peek(request->client->identity);

        if (credentials)
                return send_with(request, credentials);
        return aws_identity_wait(request->client->identity, on_credentials, request, &request->waiter);
}

int s3_request_new(S3Client *client, const S3Get *get, S3Handler on_ended, void *userdata, S3Request **ret)
{
        _cleanup_(s3_request_freep) S3Request *request = calloc(1, sizeof(S3Request));
        int r;

        if (!request)
                return -ENOMEM;
        client->n_requests++;
        request->client = client;
        request->get = *get;
        request->on_ended = on_ended;
        request->userdata = userdata;
        request->region = strdup(find_region(client, get->bucket));
        if (!request->region)
                return -ENOMEM;
        r = send_request(request);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(request);
        return 0;
}
