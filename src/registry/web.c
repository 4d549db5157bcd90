/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcurl does the talking. It shows the header Authorization to the host that it was meant for, and to none
 * that an answer leads on to; over TLS an answer cannot lead to something without. An answer can also not
 * lead to this machine's own services, or to those of its link, where clouds keep their keys: addresses are
 * looked at when they are connected to, so no name can hide one. */

#include "web.h"

#include "basic/address-util.h"
#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_SECONDS 10L
#define REDIRECTS_MAX   5L
#define ERROR_BODY_MAX  65536U /* of an answer that is none: not even read further */

struct Web {
        const RegistrySettings *settings; /* borrowed */
        usec_t deadline_usec;
        CURL *curl;
        bool is_loopback; /* the registry is on this machine */
        bool has_proxy;   /* then it is the proxy that is connected to */
};

/* One exchange. */
typedef struct Exchange {
        Web *web;
        const WebRequest *request;
        WebResponse *response;
        uint64_t size; /* came */
        uint64_t sent; /* of the body */
        bool is_too_large, is_stopped, is_refused;
} Exchange;

/* Whom to connect to */

static bool may_connect(const Web *web, const struct sockaddr *address)
{
        if (web->has_proxy)
                return true;
        return !address_is_link_local(address) && (web->is_loopback || !address_is_this_machine(address));
}

static curl_socket_t on_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
        Exchange *exchange = userdata;

        if (!may_connect(exchange->web, &address->addr)) {
                exchange->is_refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What comes */

static size_t on_header(char *line, size_t unit, size_t n, void *userdata)
{
        Exchange *exchange = userdata;

        web_response_take_header(exchange->response, line, unit * n);
        return unit * n;
}

static size_t on_data(char *data, size_t unit, size_t n, void *userdata)
{
        Exchange *exchange = userdata;
        const WebRequest *request = exchange->request;
        size_t size = unit * n;
        uint64_t size_max = request->size_max;
        long status = 0;
        int r;

        (void) curl_easy_getinfo(exchange->web->curl, CURLINFO_RESPONSE_CODE, &status);
        exchange->size += size;
        if (status != 200 && status != 206)
                return exchange->size > ERROR_BODY_MAX ? 0 : size;
        if (status == 206)
                size_max -= MIN(size_max, exchange->response->range_start);
        else /* it is the whole, whatever else it says */
                exchange->response->range_start = 0;
        if (exchange->size > size_max) {
                exchange->is_too_large = true;
                return 0;
        }
        r = request->sink ? request->sink(data, size, request->userdata)
                          : buffer_append(&exchange->response->body, data, size, size_max);
        exchange->is_stopped = r != 0;
        return r == 0 ? size : 0;
}

/* What is sent */

static size_t on_read(char *data, size_t unit, size_t n, void *userdata)
{
        Exchange *exchange = userdata;
        const WebRequest *request = exchange->request;
        size_t size = unit * n;
        ssize_t got;

        if (!request->has_file) {
                size = MIN(size, request->body.size - (size_t) exchange->sent);
                (void) memcpy(data, (const uint8_t *) request->body.data + exchange->sent, size);
                exchange->sent += size;
                return size;
        }
        got = pread(request->body_fd, data, size, (off_t) exchange->sent);
        if (got < 0)
                return CURL_READFUNC_ABORT;
        exchange->sent += (uint64_t) got;
        return (size_t) got;
}

static int on_seek(void *userdata, curl_off_t offset, int origin)
{
        Exchange *exchange = userdata;

        if (origin != SEEK_SET || offset < 0)
                return CURL_SEEKFUNC_CANTSEEK;
        exchange->sent = (uint64_t) offset;
        return CURL_SEEKFUNC_OK;
}

/* Lifecycle */

int web_new(const RegistrySettings *settings, usec_t deadline_usec, Web **ret)
{
        _cleanup_(web_freep) Web *web = calloc(1, sizeof(Web));

        if (!web)
                return -ENOMEM;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        web->curl = curl_easy_init();
        if (!web->curl)
                return -ENOMEM;
        web->settings = settings;
        web->deadline_usec = deadline_usec;
        web->is_loopback = registry_host_is_loopback(settings->host);
        web->has_proxy = getenv("https_proxy") || getenv("HTTPS_PROXY") || getenv("http_proxy");
        *ret = TAKE_PTR(web);
        return 0;
}

Web *web_free(Web *web)
{
        if (!web)
                return NULL;
        curl_easy_cleanup(web->curl);
        free(web);
        return NULL;
}

usec_t web_deadline(const Web *web)
{
        return web->deadline_usec;
}

/* The exchange */

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
        _cleanup_free_ char *line = string_format("%s: %s", name, value);
        struct curl_slist *longer = line ? curl_slist_append(*list, line) : NULL;

        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

static int make_headers(const WebRequest *request, struct curl_slist **ret)
{
        int r = add_header(ret, "Expect", ""); /* no waiting for a 100 */

        if (r == 0 && request->accept)
                r = add_header(ret, "Accept", request->accept);
        if (r == 0 && request->authorization)
                r = add_header(ret, "Authorization", request->authorization);
        if (r == 0 && request->content_type)
                r = add_header(ret, "Content-Type", request->content_type);
        return r;
}

#define SET(option, value) (r = r ?: curl_easy_setopt(curl, (option), (value)))

static CURLcode set_rules(Web *web, const WebRequest *request)
{
        const RegistrySettings *settings = web->settings;
        const char *protocols = settings->is_plain ? "http,https" : "https";
        usec_t now = now_usec(CLOCK_MONOTONIC);
        long left = web->deadline_usec > now ? (long) ((web->deadline_usec - now) / USEC_PER_MSEC) + 1 : 1;
        CURL *curl = web->curl;
        CURLcode r = CURLE_OK;

        SET(CURLOPT_PROTOCOLS_STR, protocols);
        SET(CURLOPT_REDIR_PROTOCOLS_STR, protocols);
        SET(CURLOPT_FOLLOWLOCATION, request->follows ? 1L : 0L);
        SET(CURLOPT_MAXREDIRS, REDIRECTS_MAX);
        SET(CURLOPT_UNRESTRICTED_AUTH, 0L);
        SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_CONNECTTIMEOUT, MIN(CONNECT_SECONDS, (long) (settings->stall_usec / USEC_PER_SEC)));
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long) (settings->stall_usec / USEC_PER_SEC));
        SET(CURLOPT_TIMEOUT_MS, left);
        SET(CURLOPT_USERAGENT, "pipeline/" PROJECT_VERSION);
        if (settings->ca_file)
                SET(CURLOPT_CAINFO, settings->ca_file);
        return r;
}

static CURLcode set_sending(Exchange *exchange)
{
        const WebRequest *request = exchange->request;
        uint64_t size = request->has_file ? request->body_size : request->body.size;
        CURL *curl = exchange->web->curl;
        CURLcode r = CURLE_OK;

        if (!request->method)
                return CURLE_OK;
        SET(CURLOPT_UPLOAD, 1L); /* with the method below */
        SET(CURLOPT_CUSTOMREQUEST, request->method);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) size);
        SET(CURLOPT_READFUNCTION, on_read);
        SET(CURLOPT_READDATA, exchange);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, exchange);
        if (streq(request->method, "HEAD")) {
                SET(CURLOPT_UPLOAD, 0L);
                SET(CURLOPT_NOBODY, 1L);
        }
        return r;
}

static CURLcode set_exchange(Exchange *exchange, struct curl_slist *headers, const char *range, char *error)
{
        const WebRequest *request = exchange->request;
        CURL *curl = exchange->web->curl;
        CURLcode r;

        curl_easy_reset(curl); /* its connections stay */
        r = set_rules(exchange->web, request);
        SET(CURLOPT_URL, request->url);
        SET(CURLOPT_HTTPHEADER, headers);
        SET(CURLOPT_ERRORBUFFER, error);
        SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
        SET(CURLOPT_OPENSOCKETDATA, exchange);
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, exchange);
        SET(CURLOPT_WRITEFUNCTION, on_data);
        SET(CURLOPT_WRITEDATA, exchange);
        if (request->offset > 0)
                SET(CURLOPT_RANGE, range);
        return r ?: set_sending(exchange);
}

/* Why there is no answer. libcurl's own words may hold an address with a signature in it: only known ones
 * are passed on. */
static char *describe(const Exchange *exchange, CURLcode code, const char *error)
{
        const RegistrySettings *settings = exchange->web->settings;
        const char *host = settings->host;

        if (exchange->is_refused)
                return string_format(
                        "the registry %s leads to an address of this machine or its link, which is "
                        "not gone to",
                        host);
        if (exchange->is_too_large)
                return string_format("the registry %s sends more than it said", host);
        switch (code) {
        case CURLE_OPERATION_TIMEDOUT:
                if (now_usec(CLOCK_MONOTONIC) >= exchange->web->deadline_usec)
                        return string_format("the registry %s did not answer in time", host);
                return string_format("nothing came from the registry %s for %" PRIu64 " s", host,
                                     settings->stall_usec / USEC_PER_SEC);
        case CURLE_PARTIAL_FILE:
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                return string_format("the registry %s broke its answer off", host);
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
                return string_format("the registry %s cannot be reached: %s", host,
                                     *error ? error : curl_easy_strerror(code));
        default:
                return string_format("the registry %s cannot be reached: %s", host,
                                     curl_easy_strerror(code));
        }
}

int web_exchange(Web *web, const WebRequest *request, WebResponse *ret, char **ret_error)
{
        Exchange exchange = { .web = web, .request = request, .response = ret };
        struct curl_slist *headers = NULL;
        char error[CURL_ERROR_SIZE] = "", range[32];
        long status = 0;
        CURLcode code;

        *ret = (WebResponse){};
        (void) snprintf(range, sizeof(range), "%" PRIu64 "-", request->offset);
        code = make_headers(request, &headers) < 0 ? CURLE_OUT_OF_MEMORY
                                                   : set_exchange(&exchange, headers, range, error);
        if (code == CURLE_OK)
                code = curl_easy_perform(web->curl);
        curl_slist_free_all(headers);
        if (code == CURLE_OUT_OF_MEMORY)
                return -ENOMEM;
        if (exchange.is_stopped)
                return WEB_STOPPED;
        (void) curl_easy_getinfo(web->curl, CURLINFO_RESPONSE_CODE, &status);
        ret->status = (unsigned) status;
        /* A refusal whose text is of no interest is a whole answer all the same. */
        if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && status >= 300 && !exchange.is_too_large))
                return 0;
        *ret_error = describe(&exchange, code, error);
        return *ret_error ? WEB_FAILED : -ENOMEM;
}
