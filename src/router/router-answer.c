/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers to clients. Each request gets one; where a client is gone, its answer is dropped. */

#include "router-private.h"

#include <errno.h>
#include <string.h>

/* A larger one is not told back: who sends and never reads would have it lie here. */
#define FAILED_REQUEST_MAX (16U * 1024U)
#define CHANGE_SIZE        1024U

/* The memory a request takes until it is answered: its text, a job, and some small change. */
static size_t request_charge(const Request *request)
{
        return sizeof(Ask) + sizeof(RouterJob) + CHANGE_SIZE + request->size;
}

int ask_new(Router *router, const Principal *principal, Bytes identity, Bytes text, Request *request,
            Ask **ret)
{
        Ask *ask;
        int r;

        if (identity.size > IDENTITY_MAX)
                return -EINVAL;
        ask = calloc(1, sizeof(Ask));
        if (!ask)
                return -ENOMEM;
        if (request->body && text.size <= FAILED_REQUEST_MAX) {
                ask->text = strndup(text.data, text.size);
                if (!ask->text) {
                        free(ask);
                        return -ENOMEM;
                }
        }
        memcpy(ask->identity, identity.data, identity.size);
        ask->identity_size = identity.size;
        ask->principal = principal;
        ask->request = *request;
        *request = (Request){};
        ask->start_usec = router_now(router);
        ask->start_realtime = router->port.now_realtime(router->port.userdata);
        ask->charge = request_charge(&ask->request);
        ask->generation = router->generation;
        router->memory_size += ask->charge;
        router->n_asks++;
        r = peer_enter(router, ask);
        if (r < 0) {
                ask_free(router, ask);
                return r;
        }
        *ret = ask;
        return 0;
}

static void answered_before_restart(Router *router)
{
        if (--router->n_asks_before == 0 && router->restart.link.place != 0) {
                _unused_ int r = timer_set(router, &router->restart, router_now(router));

                assert(r == 0); /* it has its place there already */
        }
}

Ask *ask_free(Router *router, Ask *ask)
{
        if (!ask)
                return NULL;
        router->memory_size -= ask->charge;
        router->n_asks--;
        if (ask->generation != router->generation && router->n_asks_before > 0)
                answered_before_restart(router);
        peer_leave(router, ask);
        request_done(&ask->request);
        free(ask->text);
        free(ask);
        return NULL;
}

void ask_let_lie(Ask *ask)
{
        json_object_put(ask->request.body);
        ask->request.body = NULL;
}

/* NULL without memory. */
static json_object *failed_request(const Ask *ask)
{
        _cleanup_json_ json_object *parsed = NULL;
        _cleanup_free_ char *error = NULL;

        if (ask->request.body)
                return request_without_secrets(ask->request.body);
        if (json_object_from_bytes(ask->text, strlen(ask->text), &parsed, &error) != 0)
                return NULL; /* it was read before */
        return request_without_secrets(parsed);
}

int ask_answer(Router *router, const Ask *ask, const Parts *parts)
{
        _cleanup_json_ json_object *failed = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        Reply reply = {
                .code = parts->code,
                .error = parts->error,
                .response = parts->response,
                .context = parts->context,
                .error_detail = parts->error_detail,
                .request_id = ask->request.request_id,
                .start_realtime = ask->start_realtime,
                .end_realtime = router->port.now_realtime(router->port.userdata),
                .duration = router_now(router) - ask->start_usec,
        };
        Bytes frames[3] = { { ask->identity, ask->identity_size }, { "", 0 }, {} };
        int r;

        if (parts->code != STATUS_OK && ask->text)
                reply.failed_request = failed = failed_request(ask);
        r = reply_write(&reply, &text);
        if (r < 0)
                return r;
        router->n_answered[parts->code]++;
        frames[2] = (Bytes){ text.data, text.size };
        r = router->port.send(router->port.userdata, frames, ARRAY_SIZE(frames));
        return r < 0 ? r : 0;
}

static Bytes object_bytes(json_object *object)
{
        const char *text = object ? json_object_text(object) : NULL;

        return (Bytes){ text, text ? strlen(text) : 0 };
}

int ask_fail(Router *router, const Ask *ask, StatusCode code, const char *error, json_object *detail)
{
        _cleanup_json_ json_object *owned = detail;

        return ask_answer(router, ask,
                          &(Parts){ .code = code, .error = error, .error_detail = object_bytes(owned) });
}

int ask_succeed(Router *router, const Ask *ask, json_object *response)
{
        _cleanup_json_ json_object *owned = response;

        if (!owned)
                return -ENOMEM;
        return ask_answer(router, ask, &(Parts){ .code = STATUS_OK, .response = object_bytes(owned) });
}

int ask_tell(Router *router, const Ask *ask, const Progress *progress)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        json_object *member = json_object_new_object();
        Bytes frames[3] = { { ask->identity, ask->identity_size }, { "", 0 }, {} };
        int r;

        if (!object || !member || json_add(object, "progress", member) < 0 ||
            json_add_text(member, "text", progress->text) < 0 ||
            json_add_uint(member, "step", progress->step) < 0 ||
            json_add_uint(member, "steps", progress->n_steps) < 0 ||
            (ask->request.request_id && json_add_text(object, "request_id", ask->request.request_id) < 0))
                return -ENOMEM;
        frames[2] = object_bytes(object);
        r = router->port.send(router->port.userdata, frames, ARRAY_SIZE(frames));
        return r < 0 ? r : 0;
}
