/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transfer owns its easy handle and what the handle borrows. */

#include "http.h"

#include "basic/string-util.h"

#include <errno.h>

#define USER_AGENT "pipeline/" PROJECT_VERSION

struct HttpTransfer {
        CurlJob job;
        CurlSource *source; /* borrowed; NULL: not under way */
        HttpHandler on_ended;
        void *userdata;
        struct curl_slist *headers;
        char *body_out;
        HttpSink sink;
        void *sink_userdata;
        Buffer body;
        size_t size_max;
        CURLcode result;
        bool is_too_large;
};

HttpTransfer *http_free(HttpTransfer *transfer)
{
        if (!transfer)
                return NULL;
        if (transfer->source)
                curl_source_remove(transfer->source, &transfer->job);
        curl_easy_cleanup(transfer->job.easy);
        for (struct curl_slist *header = transfer->headers; header; header = header->next)
                explicit_bzero(header->data, strlen(header->data));
        curl_slist_free_all(transfer->headers);
        free(transfer->body_out);
        if (transfer->body.data)
                explicit_bzero(transfer->body.data, transfer->body.size);
        buffer_done(&transfer->body);
        free(transfer);
        return NULL;
}

static unsigned status_of(const HttpTransfer *transfer)
{
        long status = 0;

        (void) curl_easy_getinfo(transfer->job.easy, CURLINFO_RESPONSE_CODE, &status);
        return status > 0 && status < 1000 ? (unsigned) status : 0;
}

/* libcurl's: bytes of a body. */
static size_t on_write(char *data, size_t size, size_t n, void *userdata)
{
        HttpTransfer *transfer = userdata;
        unsigned status = status_of(transfer);
        int r;

        if (transfer->sink && (status == 200 || status == 206))
                return transfer->sink(data, size * n, transfer->sink_userdata) < 0 ? 0 : size * n;
        r = buffer_append(&transfer->body, data, size * n, transfer->size_max);
        transfer->is_too_large = r == -ENOBUFS;
        return r < 0 ? 0 : size * n;
}

static int on_job_ended(CurlJob *job, CURLcode result)
{
        HttpTransfer *transfer = CONTAINER_OF(job, HttpTransfer, job);

        transfer->source = NULL;
        transfer->result = result;
        return transfer->on_ended(transfer, transfer->userdata);
}

#define SET(option, value) (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

static int set_body(HttpTransfer *transfer, const HttpRequest *request)
{
        CURL *easy = transfer->job.easy;

        if (request->body) {
                transfer->body_out = strdup(request->body);
                if (!transfer->body_out)
                        return -ENOMEM;
                if (!SET(CURLOPT_POSTFIELDS, transfer->body_out))
                        return -EIO;
        }
        return !request->method || SET(CURLOPT_CUSTOMREQUEST, request->method) ? 0 : -EIO;
}

static int set_headers(HttpTransfer *transfer, const HttpRequest *request)
{
        CURL *easy = transfer->job.easy;

        for (const char *const *header = request->headers; header && *header; header++) {
                struct curl_slist *longer = curl_slist_append(transfer->headers, *header);

                if (!longer)
                        return -ENOMEM;
                transfer->headers = longer;
        }
        if (request->signing) {
                int r = aws_sign(easy, request->signing, &transfer->headers);

                if (r < 0)
                        return r;
        }
        return SET(CURLOPT_HTTPHEADER, transfer->headers) ? 0 : -EIO;
}

static int set_times(CURL *easy, const HttpRequest *request)
{
        usec_t connect_usec = request->connect_usec > 0 ? request->connect_usec : HTTP_CONNECT_USEC;
        bool is_set = SET(CURLOPT_CONNECTTIMEOUT_MS, (long) (connect_usec / USEC_PER_MSEC));

        if (request->total_usec > 0)
                is_set = is_set && SET(CURLOPT_TIMEOUT_MS, (long) (request->total_usec / USEC_PER_MSEC));
        else
                is_set = is_set && SET(CURLOPT_LOW_SPEED_LIMIT, HTTP_SLOW_BYTES) &&
                         SET(CURLOPT_LOW_SPEED_TIME, HTTP_SLOW_SECONDS);
        return is_set ? 0 : -EIO;
}

/* The path is not normalised away: callers send none that would be. */
static int set_options(HttpTransfer *transfer, const HttpRequest *request)
{
        CURL *easy = transfer->job.easy;

        if (!SET(CURLOPT_URL, request->url) || !SET(CURLOPT_PROTOCOLS_STR, "http,https") ||
            !SET(CURLOPT_FOLLOWLOCATION, 0L) || !SET(CURLOPT_NOSIGNAL, 1L) ||
            !SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) ||
            !SET(CURLOPT_USERAGENT, USER_AGENT) || !SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED) ||
            !SET(CURLOPT_WRITEFUNCTION, on_write) || !SET(CURLOPT_WRITEDATA, transfer))
                return -EIO;
        return !request->is_direct || SET(CURLOPT_PROXY, "") ? 0 : -EIO;
}

int http_start(CurlSource *source, const HttpRequest *request, HttpHandler on_ended, void *userdata,
               HttpTransfer **ret)
{
        _cleanup_(http_freep) HttpTransfer *transfer = calloc(1, sizeof(HttpTransfer));
        int r;

        if (!transfer)
                return -ENOMEM;
        transfer->job = (CurlJob){ .easy = curl_easy_init(), .ended = on_job_ended };
        transfer->on_ended = on_ended;
        transfer->userdata = userdata;
        transfer->sink = request->sink;
        transfer->sink_userdata = request->sink_userdata;
        transfer->size_max = request->size_max;
        if (!transfer->job.easy)
                return -ENOMEM;
        r = set_options(transfer, request);
        if (r >= 0)
                r = set_body(transfer, request);
        if (r >= 0)
                r = set_headers(transfer, request);
        if (r >= 0)
                r = set_times(transfer->job.easy, request);
        if (r >= 0)
                r = curl_source_add(source, &transfer->job);
        if (r < 0)
                return r;
        transfer->source = source;
        *ret = TAKE_PTR(transfer);
        return 0;
}

unsigned http_status(const HttpTransfer *transfer)
{
        return transfer->result == CURLE_OK ? status_of(transfer) : 0;
}

const char *http_error(const HttpTransfer *transfer)
{
        switch (transfer->result) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return "its name is not known";
        case CURLE_COULDNT_CONNECT:
                return "it cannot be reached";
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
                return "the connection ended in the middle of the answer";
        case CURLE_OPERATION_TIMEDOUT:
                return "it is too slow";
        case CURLE_WRITE_ERROR:
                return transfer->is_too_large ? "its answer is too large" : "its answer was not taken";
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
                return "its certificate is not trusted";
        default:
                return curl_easy_strerror(transfer->result);
        }
}

bool http_is_final(const HttpTransfer *transfer)
{
        return transfer->result == CURLE_WRITE_ERROR || transfer->result == CURLE_PEER_FAILED_VERIFICATION ||
               transfer->result == CURLE_SSL_CACERT_BADFILE || transfer->result == CURLE_URL_MALFORMAT;
}

const Buffer *http_body(const HttpTransfer *transfer)
{
        return &transfer->body;
}

const char *http_header(const HttpTransfer *transfer, const char *name)
{
        struct curl_header *header;

        if (curl_easy_header(transfer->job.easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
                return NULL;
        return header->value;
}
