/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request, one answer: who is this, and may they come in. The id of the principal is the User-Id that
 * libzmq then attaches to each of their messages. */

#include "zap.h"

#include "zap-request.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"
#include "shared/zmq-source.h"

#include <errno.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_VERSION  "1.0"

#define LOG_INTERVAL_USEC USEC_PER_SEC

struct Zap {
        ZmqSource *source; /* owned */
        Principals *principals;
        uint64_t n_refused;
        usec_t next_log_usec;
};

static Bytes text_bytes(const char *text)
{
        return (Bytes){ text, strlen(text) };
}

/* `id` is NULL where they may not come in. */
static int zap_answer(Zap *zap, const ZapRequest *request, const char *id)
{
        const Bytes frames[] = {
                text_bytes(ZAP_VERSION),        request->id,
                text_bytes(id ? "200" : "400"), text_bytes(id ? "OK" : "not allowed"),
                text_bytes(id ?: ""),           { "", 0 },
        };
        int r = zmq_source_send(zap->source, frames, ARRAY_SIZE(frames));

        return r < 0 ? r : 0;
}

/* Those who try again and again are told of now and then only. */
static void log_refusal(Zap *zap, const char *address, const char *domain)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        zap->n_refused++;
        if (now < zap->next_log_usec)
                return;
        log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_CONNECTION_REFUSED }),
                   "A connection from %s is refused%s", address,
                   streq(domain, DOMAIN_KEYS) ? ": its key is not known" : "");
        zap->next_log_usec = now + LOG_INTERVAL_USEC;
}

static int answer(Zap *zap, const ZapRequest *request)
{
        const Caller caller = { request->domain, request->address, request->mechanism, request->key };
        const Principal *principal = NULL;
        char id[PRINCIPAL_ID_SIZE];
        int r = principals_find(zap->principals, &caller, id, &principal);

        if (r < 0 && r != -EPERM)
                return r;
        if (!principal)
                log_refusal(zap, request->address, request->domain);
        return zap_answer(zap, request, principal ? id : NULL);
}

static int on_request(ZmqSource *source, ZmqMessage *message, void *userdata)
{
        _cleanup_(zap_request_done) ZapRequest request = {};
        Bytes frames[ZMQ_N_FRAMES_MAX];
        int r;

        for (size_t i = 0; i < message->n_frames; i++)
                frames[i] = (Bytes){ zmq_msg_data(&message->frames[i]), zmq_msg_size(&message->frames[i]) };
        r = zap_request_parse(frames, message->n_frames, &request);
        if (r != 0)
                return r < 0 ? r : -EPROTO; /* libzmq itself is the peer */
        return answer(userdata, &request);
}

int zap_new(sd_event *event, void *context, Principals *principals, Zap **ret)
{
        _cleanup_(zap_freep) Zap *zap = calloc(1, sizeof(Zap));
        void *socket;
        int r;

        if (!zap)
                return -ENOMEM;
        zap->principals = principals;
        socket = zmq_socket(context, ZMQ_REP);
        if (!socket)
                return -errno;
        r = zmq_source_new(event, socket, on_request, zap, &zap->source);
        if (r < 0) {
                (void) zmq_close(socket);
                return r;
        }
        if (zmq_bind(socket, ZAP_ENDPOINT) < 0)
                return -errno;
        *ret = TAKE_PTR(zap);
        return 0;
}

Zap *zap_free(Zap *zap)
{
        if (!zap)
                return NULL;
        zmq_source_free(zap->source);
        free(zap);
        return NULL;
}

uint64_t zap_n_refused(const Zap *zap)
{
        return zap->n_refused;
}
