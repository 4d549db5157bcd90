/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libzmq asks of somebody at the door: the frames of ZAP 1.0 to a Caller. Pure. */

#include "principal.h"

#include "basic/io-util.h"

typedef struct ZapRequest {
        Bytes id;                           /* for the answer; borrowed from the frames */
        char *domain, *address, *mechanism; /* a frame with NUL in it is empty text */
        const uint8_t *key;                 /* borrowed: of CURVE, KEY_SIZE bytes; or NULL */
} ZapRequest;

/* 0, -ENOMEM, or ZAP_BAD where there are too few frames. */
enum {
        ZAP_BAD = 1,
};
int zap_request_parse(const Bytes *frames, size_t n_frames, ZapRequest *ret) _warn_unused_;
void zap_request_done(ZapRequest *request);
