/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever a client sends is a request, or has a code and a word about what is wrong; the canonical form of
 * a request is a fixed point. */

#include "fuzz.h"

#include "proto/request.h"

#include "basic/string-util.h"
#include "proto/json-check.h"

static void check_canonical(const Request *request)
{
        _cleanup_free_ char *canonical = request_canonical(request), *again = NULL;
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request copy = {};

        if (!canonical)
                abort();
        if (strlen(canonical) > REQUEST_SIZE_MAX)
                return; /* escapes may be longer than what they stand for */
        if (request_parse(canonical, strlen(canonical), &copy, &error) != 0)
                abort();
        again = request_canonical(&copy);
        if (!again || !streq(canonical, again) || copy.action != request->action)
                abort();
}

static void check_members(const Request *request)
{
        if ((request->track && !slug_is_valid(request->track)) ||
            (request->id && !request_id_is_valid(request->id)) ||
            (request->version && !version_is_valid(request->version)) ||
            (request->exercise && !slug_is_valid(request->exercise)))
                abort();
        if (request->execution_usec > (usec_t) REQUEST_SECONDS_MAX * USEC_PER_SEC)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(request_error_done) RequestError error = {};
        _cleanup_(request_done) Request request = {};
        _cleanup_json_ json_object *open = NULL;
        int r = request_parse(data, size, &request, &error);

        if (r < 0)
                abort();
        if (r == REQUEST_BAD && (!status_name(error.code) || !error.error))
                abort();
        if (request.body) {
                open = request_without_secrets(request.body);
                if (!open)
                        abort();
        }
        if (r == 0) {
                check_members(&request);
                check_canonical(&request);
        }
        return 0;
}
