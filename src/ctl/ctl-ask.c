/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what went wrong to what to do about it. */

#include "ctl-ask.h"

#include "basic/string-util.h"
#include "proto/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define TEXT_LENGTH_MAX 1024U

json_object *ctl_request(const char *action)
{
        _cleanup_json_ json_object *request = json_object_new_object();

        if (!request || json_add_text(request, "action", action) < 0)
                return NULL;
        return TAKE_PTR(request);
}

json_object *ctl_version_request(const char *action, const char *channel, const char *track,
                                 const char *version)
{
        _cleanup_json_ json_object *request = ctl_request(action);

        if (!request || json_add_text(request, "channel", channel) < 0 ||
            json_add_text(request, "track_slug", track) < 0 ||
            json_add_text(request, "new_version", version) < 0)
                return NULL;
        return TAKE_PTR(request);
}

static int say_connection(const Ctl *ctl, const CtlVerb *verb, int condition, usec_t timeout_usec)
{
        const char *router = ctl->router ?: CLIENT_ROUTER_DEFAULT;

        switch (condition) {
        case CLIENT_NO_ROUTER:
                return ctl_fail(
                        verb, CTL_NO_ANSWER,
                        "there is no router at %s; `systemctl start pipeline-router.socket` starts it",
                        router);
        case CLIENT_NOT_ALLOWED:
                return ctl_fail(verb, CTL_NOT_ALLOWED, "you may not use %s; " CTL_JOIN("pipeline"), router);
        case CLIENT_BAD_ADDRESS:
                return ctl_fail(verb, CTL_USAGE,
                                "%s is no address; one looks like tcp://localhost:5555 or ipc:///PATH",
                                router);
        case CLIENT_NO_ANSWER:
                return ctl_fail(verb, CTL_NO_ANSWER, "no answer from %s in %" PRIu64 " s", router,
                                timeout_usec / USEC_PER_SEC);
        case CLIENT_KEPT_OUT:
                if (!ctl->key)
                        return ctl_fail(
                                verb, CTL_NOT_ALLOWED,
                                "the router at %s lets nobody in without a key; `pipelinectl keys new` "
                                "where it runs makes one, and --key names it",
                                router);
                return ctl_fail(verb, CTL_NOT_ALLOWED,
                                "the router at %s does not know the key in %s, or is not the one it is for; "
                                "`pipelinectl keys list` where it runs shows which it knows",
                                router, ctl->key);
        default:
                return ctl_fail(verb, CTL_FAILED, "what %s answered is no reply", router);
        }
}

static int read_key(const Ctl *ctl, const CtlVerb *verb, KeyFile *ret)
{
        _cleanup_free_ char *error = NULL;
        int r = ctl->key ? key_file_read_peer(ctl->key, ret, &error) : 0;

        if (r == KEY_BAD || r == KEY_NONE)
                return ctl_fail(verb, CTL_USAGE, "%s is no key: %s", ctl->key, error ?: "there is nothing");
        return r < 0 ? ctl_fail(verb, CTL_FAILED, "cannot read %s: %s", ctl->key, strerror(-r)) : 0;
}

int ctl_ask(const Ctl *ctl, const CtlVerb *verb, json_object *request, usec_t timeout_usec, ClientReply *ret)
{
        _cleanup_json_ json_object *owned = request;
        _cleanup_(client_freep) Client *client = NULL;
        _cleanup_(key_file_done) KeyFile key = {};
        int r;

        if (!owned)
                return -ENOMEM;
        r = read_key(ctl, verb, &key);
        if (r != 0)
                return r;
        r = client_new(ctl->router, ctl->key ? &key : NULL, &client);
        if (r == 0 && ctl->on_progress)
                client_on_progress(client, ctl->on_progress, ctl->progress_userdata);
        if (r == 0)
                r = client_ask(client, owned, timeout_usec, ret);
        return r > 0 ? say_connection(ctl, verb, r, timeout_usec) : r;
}

int ctl_say_code(const CtlVerb *verb, const ClientReply *reply)
{
        _cleanup_free_ char *error = ctl_safe(client_reply_error(reply));
        const char *name = status_name(reply->code) ?: "unknown";

        if (error && reply->code == STATUS_BAD_INPUT && strstr(error, "not_allowed"))
                return ctl_fail(verb, CTL_NOT_ALLOWED, "%s; over the unix socket " CTL_JOIN("pipeline"),
                                error);
        return ctl_fail(verb, CTL_FAILED, "%u %s: %s", reply->code, name, error ?: "");
}

int ctl_ask_ok(const Ctl *ctl, const CtlVerb *verb, json_object *request, usec_t timeout_usec,
               ClientReply *ret)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        int r = ctl_ask(ctl, verb, request, timeout_usec, &reply);

        if (r != 0)
                return r;
        if (reply.code != STATUS_OK) {
                if (ctl->json)
                        printf("%s\n", (const char *) reply.text.data);
                return ctl_say_code(verb, &reply);
        }
        *ret = reply;
        reply = (ClientReply){};
        return 0;
}

int ctl_ask_shown(const Ctl *ctl, const CtlVerb *verb, json_object *request, ClientReply *ret)
{
        int r = ctl_ask_ok(ctl, verb, request, CTL_ASK_TIMEOUT_USEC, ret);

        if (r == 0 && ctl->json)
                ctl_print_json(ctl_response(ret));
        return r;
}

json_object *ctl_response(const ClientReply *reply)
{
        return json_object_object_get(reply->object, "response");
}

void ctl_print_json(json_object *object)
{
        printf("%s\n",
               json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
}

char *ctl_safe(const char *text)
{
        return text ? string_escape(text, strlen(text), TEXT_LENGTH_MAX) : strdup("-");
}
