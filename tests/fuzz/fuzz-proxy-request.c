/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to the proxy of builds: what is passed on is one request, to the host that was found. */

#include "fuzz.h"

#include "basic/string-util.h"
#include "egress/proxy-request.h"

#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(proxy_request_done) ProxyRequest request = {};
        size_t head_size = proxy_head_size((const char *) data, MIN(size, PROXY_HEAD_SIZE_MAX));
        const char *error = NULL;
        int r;

        if (head_size == 0)
                return 0;
        expect(head_size <= size);
        r = proxy_request_parse((const char *) data, head_size, &request, &error);
        expect(r == 0 || r == PROXY_REQUEST_BAD);
        expect((r == 0) == (error == NULL));
        if (r != 0)
                return 0;
        expect(request.port > 0 && request.host[0] != '\0' && request.host[0] != '-');
        expect(!strpbrk(request.host, " \t\r\n/@%\\"));
        expect(request.is_tunnel == (request.head.size == 0));
        if (!request.is_tunnel)
                expect(proxy_head_size((const char *) request.head.data, request.head.size) ==
                       request.head.size);
        return 0;
}
