/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "zap-request.h"

#include "basic/string-util.h"

#include <errno.h>

/* The frames of a request. */
enum {
        ZAP_REQUEST_VERSION,
        ZAP_REQUEST_ID,
        ZAP_REQUEST_DOMAIN,
        ZAP_REQUEST_ADDRESS,
        ZAP_REQUEST_IDENTITY,
        ZAP_REQUEST_MECHANISM,
        _ZAP_REQUEST_MIN,
        ZAP_REQUEST_KEY = _ZAP_REQUEST_MIN, /* of CURVE */
};

void zap_request_done(ZapRequest *request)
{
        free(request->domain);
        free(request->address);
        free(request->mechanism);
        *request = (ZapRequest){};
}

static char *frame_text(const Bytes *frame)
{
        bool is_text = frame->size > 0 && !memchr(frame->data, '\0', frame->size);

        return is_text ? strndup(frame->data, frame->size) : strdup("");
}

int zap_request_parse(const Bytes *frames, size_t n_frames, ZapRequest *ret)
{
        ZapRequest request = {};

        if (n_frames < _ZAP_REQUEST_MIN)
                return ZAP_BAD;
        request.id = frames[ZAP_REQUEST_ID];
        request.domain = frame_text(&frames[ZAP_REQUEST_DOMAIN]);
        request.address = frame_text(&frames[ZAP_REQUEST_ADDRESS]);
        request.mechanism = frame_text(&frames[ZAP_REQUEST_MECHANISM]);
        if (!request.domain || !request.address || !request.mechanism) {
                zap_request_done(&request);
                return -ENOMEM;
        }
        if (n_frames > ZAP_REQUEST_KEY && frames[ZAP_REQUEST_KEY].size == KEY_SIZE)
                request.key = frames[ZAP_REQUEST_KEY].data;
        *ret = request;
        return 0;
}
