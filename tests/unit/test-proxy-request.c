/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a proxy is asked for, and what the server is sent of it. */

#include "basic/string-util.h"
#include "egress/proxy-request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const char *text, const char *host, uint16_t port, const char *head)
{
        _cleanup_(proxy_request_done) ProxyRequest request = {};
        const char *error = NULL;

        assert_int_equal(proxy_head_size(text, strlen(text)), strlen(text));
        if (proxy_request_parse(text, strlen(text), &request, &error) != 0)
                fail_msg("%s: %s", text, error);
        assert_string_equal(request.host, host);
        assert_int_equal(request.port, port);
        assert_int_equal(request.is_tunnel, head == NULL);
        assert_int_equal(request.head.size, head ? strlen(head) : 0);
        if (head)
                assert_memory_equal(request.head.data, head, request.head.size);
}

static void refuse(const char *text)
{
        ProxyRequest request = {};
        const char *error = NULL;

        if (proxy_request_parse(text, strlen(text), &request, &error) != PROXY_REQUEST_BAD)
                fail_msg("%s", text);
        assert_non_null(error);
}

static void test_tunnels(void **state)
{
        check("CONNECT rubygems.org:443 HTTP/1.1\r\nHost: rubygems.org:443\r\nUser-Agent: x\r\n\r\n",
              "rubygems.org", 443, NULL);
        check("CONNECT [2600::1]:443 HTTP/1.0\r\n\r\n", "2600::1", 443, NULL);
        refuse("CONNECT rubygems.org HTTP/1.1\r\n\r\n");
        refuse("CONNECT rubygems.org:0 HTTP/1.1\r\n\r\n");
        refuse("CONNECT rubygems.org:65536 HTTP/1.1\r\n\r\n");
        refuse("CONNECT :443 HTTP/1.1\r\n\r\n");
        refuse("CONNECT [2600::1:443 HTTP/1.1\r\n\r\n");
        refuse("CONNECT a b:443 HTTP/1.1\r\n\r\n");
        refuse("CONNECT a/b:443 HTTP/1.1\r\n\r\n");
        refuse("CONNECT http://a:443 HTTP/1.1\r\n\r\n");
        refuse("CONNECT a:443 HTTP/2\r\n\r\n");
        refuse("CONNECT -a:443 HTTP/1.1\r\n\r\n");
}

static void test_the_absolute_form(void **state)
{
        check("GET http://deb.debian.org/debian/x?y HTTP/1.1\r\nHost: elsewhere\r\nAccept: a\r\n"
              "Proxy-Connection: keep-alive\r\nconnection: Keep-Alive\r\nX: y\r\n\r\n",
              "deb.debian.org", 80,
              "GET /debian/x?y HTTP/1.1\r\nHost: deb.debian.org\r\nConnection: close\r\nAccept: a\r\nX: "
              "y\r\n\r\n");
        check("POST HTTP://a:8080 HTTP/1.0\r\nContent-Length: 3\r\n\r\n", "a", 8080,
              "POST / HTTP/1.0\r\nHost: a:8080\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
        check("GET http://[2600::1]?q HTTP/1.1\r\n\r\n", "2600::1", 80,
              "GET /?q HTTP/1.1\r\nHost: [2600::1]\r\nConnection: close\r\n\r\n");
        refuse("POST http://a/ HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n");
        refuse("POST http://a/ HTTP/1.1\r\nContent-Length: +3\r\n\r\n");
        refuse("POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        refuse("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        refuse("GET https://a/ HTTP/1.1\r\n\r\n");
        refuse("GET http:///x HTTP/1.1\r\n\r\n");
        refuse("GET http://user:word@a/ HTTP/1.1\r\n\r\n");
        refuse("GET http://a#b HTTP/1.1\r\n\r\n");
        refuse("GET http://a/\x7f HTTP/1.1\r\n\r\n");
}

static void test_the_body(void **state)
{
        static const char with[] = "POST http://a/ HTTP/1.1\r\nContent-Length:  12 \r\n\r\n";
        static const char without[] = "GET http://a/ HTTP/1.1\r\n\r\n";
        _cleanup_(proxy_request_done) ProxyRequest request = {}, other = {};
        const char *error = NULL;

        assert_int_equal(proxy_request_parse(with, strlen(with), &request, &error), 0);
        assert_int_equal(request.body_size, 12);
        assert_int_equal(proxy_request_parse(without, strlen(without), &other, &error), 0);
        assert_int_equal(other.body_size, 0);
}

static void test_what_is_no_request(void **state)
{
        char *long_host = string_format("CONNECT %0300d:443 HTTP/1.1\r\n\r\n", 1);

        refuse("");
        refuse("\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\n folded: x\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\nA: b\nC: d\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\nnothing\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\nHost : b\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n");
        refuse("GET http://a/ HTTP/1.1\r\n: b\r\n\r\n");
        refuse("CONNECT [cafe.be]:443 HTTP/1.1\r\n\r\n");
        refuse("G-T http://a/ HTTP/1.1\r\n\r\n");
        refuse(long_host);
        free(long_host);
        assert_int_equal(proxy_head_size("GET http://a/ HTTP/1.1\r\nA: b\r\n", 30), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tunnels),
                cmocka_unit_test(test_the_absolute_form),
                cmocka_unit_test(test_the_body),
                cmocka_unit_test(test_what_is_no_request),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
