/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection carries one request, to one server: fields that are for the proxy alone are dropped, the
 * server is told to close, and the size of the body must be known, lest the next request go there too. */

#include "proxy-request.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define HTTP_PORT    80U
#define METHOD_MAX   16U
#define FIELD_END    "\r\n"
#define HEAD_END     "\r\n\r\n"
#define LETTERS      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS       "0123456789"
#define HOST_LETTERS LETTERS DIGITS ".-_"
#define SIX_LETTERS  DIGITS "abcdefABCDEF:."

void proxy_request_done(ProxyRequest *request)
{
        buffer_done(&request->head);
        *request = (ProxyRequest){};
}

size_t proxy_head_size(const char *data, size_t size)
{
        const char *end = memmem(data, size, HEAD_END, strlen(HEAD_END));

        return end ? (size_t) (end - data) + strlen(HEAD_END) : 0;
}

static int bad(const char **ret_error, const char *what)
{
        *ret_error = what;
        return PROXY_REQUEST_BAD;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT; without a port it is `port`. Cuts the text. */
static int parse_authority(char *text, uint64_t port, ProxyRequest *ret)
{
        bool is_six = text[0] == '[';
        char *host = text + is_six, *end = host + strspn(host, is_six ? SIX_LETTERS : HOST_LETTERS),
             *rest = end;

        if (is_six && (*rest++ != ']' || !memchr(host, ':', (size_t) (end - host))))
                return -EINVAL;
        if (*rest == ':' ? parse_uint64(rest + 1, 1, UINT16_MAX, &port) < 0 : *rest != '\0' || port == 0)
                return -EINVAL;
        *end = '\0';
        if (end == host || strlen(host) >= sizeof(ret->host) || host[0] == '-')
                return -EINVAL;
        (void) stpcpy(ret->host, host);
        ret->port = (uint16_t) port;
        return 0;
}

static int append(ProxyRequest *request, const char *text, size_t size)
{
        return buffer_append(&request->head, text, size, 2 * PROXY_HEAD_SIZE_MAX);
}

/* "METHOD http://AUTHORITY/PATH HTTP/1.1" */
static int take_absolute(const char *method, char *target, const char *version, ProxyRequest *request,
                         const char **ret_error)
{
        _cleanup_free_ char *authority = NULL, *line = NULL;
        const char *path;
        size_t size;

        if (strncasecmp(target, "http://", 7) != 0)
                return bad(ret_error, "it is neither CONNECT nor of an address that begins with http://");
        target += 7;
        size = strcspn(target, "/?");
        path = target + size;
        authority = strndup(target, size);
        if (!authority)
                return -ENOMEM;
        /* Whatever it said itself, the server is named as it is looked for. */
        line = string_format("%s %s%s HTTP/%s" FIELD_END "Host: %s" FIELD_END "Connection: close" FIELD_END,
                             method, *path == '/' ? "" : "/", path, version, authority);
        if (!line)
                return -ENOMEM;
        if (parse_authority(authority, HTTP_PORT, request) < 0)
                return bad(ret_error, "its address has no valid host and port");
        return append(request, line, strlen(line));
}

static int take_line(char *line, ProxyRequest *request, const char **ret_error)
{
        char *rest = line, *method = strsep(&rest, " "), *target = strsep(&rest, " ");

        if (!target || !rest || (!streq(rest, "HTTP/1.1") && !streq(rest, "HTTP/1.0")))
                return bad(ret_error, "its first line is not METHOD TARGET HTTP/1.1");
        if (strlen(method) > METHOD_MAX || method[0] == '\0' || method[strspn(method, LETTERS)] != '\0')
                return bad(ret_error, "its method is none");
        for (const char *c = target; *c; c++)
                if (*c <= ' ' || *c > '~')
                        return bad(ret_error, "its address holds what no address holds");
        if (!streq(method, "CONNECT"))
                return take_absolute(method, target, rest + strlen("HTTP/"), request, ret_error);
        request->is_tunnel = true;
        return parse_authority(target, 0, request) < 0 ? bad(ret_error, "CONNECT wants HOST:PORT") : 0;
}

/* Whether a field is for the proxy, or for this one connection. */
static bool field_is_ours(const char *line)
{
        static const char *const names[] = { "Host:",    "Connection:", "Keep-Alive:",
                                             "Upgrade:", "TE:",         "Proxy-" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strncasecmp(line, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

/* Content-Length says it, or there is none. */
static int take_length(const char *line, size_t size, ProxyRequest *request, const char **ret_error)
{
        static const char name[] = "Content-Length:";
        _cleanup_free_ char *value = NULL;

        if (strncasecmp(line, "Transfer-Encoding:", strlen("Transfer-Encoding:")) == 0)
                return bad(ret_error, "the size of its body is not said: Content-Length is wanted");
        if (strncasecmp(line, name, strlen(name)) != 0)
                return 0;
        value = strndup(line + strlen(name), size - strlen(name));
        if (!value)
                return -ENOMEM;
        for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
                value[n - 1] = '\0';
        if (request->has_body ||
            parse_uint64(value + strspn(value, " \t"), 0, UINT64_MAX, &request->body_size) < 0)
                return bad(ret_error, "its Content-Length is none");
        request->has_body = true;
        return 0;
}

static int take_field(const char *line, size_t size, ProxyRequest *request, const char **ret_error)
{
        size_t name_size = strcspn(line, " \t:\r\n");
        int r;

        if (name_size == 0 || name_size >= size || line[name_size] != ':' || memchr(line, '\n', size) ||
            memchr(line, '\r', size))
                return bad(ret_error, "one of its fields is none");
        if (request->is_tunnel || field_is_ours(line))
                return 0;
        r = take_length(line, size, request, ret_error);
        if (r != 0)
                return r;
        return append(request, line, size + strlen(FIELD_END));
}

int proxy_request_parse(const char *head, size_t size, ProxyRequest *ret, const char **ret_error)
{
        _cleanup_(proxy_request_done) ProxyRequest request = {};
        const char *end = memmem(head, size, FIELD_END, strlen(FIELD_END)), *field;
        _cleanup_free_ char *line = NULL;
        int r;

        if (!end || memchr(head, '\0', size))
                return bad(ret_error, "it is no HTTP");
        line = strndup(head, (size_t) (end - head));
        if (!line)
                return -ENOMEM;
        r = take_line(line, &request, ret_error);
        for (field = end + 2; r == 0 && field < head + size - 2; field = end + 2) {
                end = memmem(field, (size_t) (head + size - field), FIELD_END, strlen(FIELD_END));
                r = end ? take_field(field, (size_t) (end - field), &request, ret_error)
                        : bad(ret_error, "it is no HTTP");
        }
        if (r == 0 && !request.is_tunnel)
                r = append(&request, FIELD_END, strlen(FIELD_END));
        if (r != 0)
                return r;
        *ret = request;
        request = (ProxyRequest){};
        return 0;
}
