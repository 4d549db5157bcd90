/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking the router, for every verb that does: what goes wrong is said once, in the same words, with what to
 * do. */

#include "ctl.h"

#include "client/client.h"
#include "proto/json-fields.h"

/* What to do where a right comes with a group. */
#define CTL_JOIN(group) "`sudo adduser $USER " group "` lets you (then log in again)"

#define CTL_ASK_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* A request with an action, NULL without memory. */
json_object *ctl_request(const char *action) _warn_unused_;

/* The same with channel, track and version. */
json_object *ctl_version_request(const char *action, const char *channel, const char *track,
                                 const char *version) _warn_unused_;

/* Asks; the request is taken over (NULL: no memory). 0 with a reply, whatever its code is; or a CtlExit that
 * was said; or -errno. */
int ctl_ask(const Ctl *ctl, const CtlVerb *verb, json_object *request, usec_t timeout_usec,
            ClientReply *ret) _warn_unused_;
/* The same, and any code but 200 is said and a CtlExit. With --json the reply is printed then. */
int ctl_ask_ok(const Ctl *ctl, const CtlVerb *verb, json_object *request, usec_t timeout_usec,
               ClientReply *ret) _warn_unused_;

/* The same, and with --json the response is printed: then there is nothing more to show. */
int ctl_ask_shown(const Ctl *ctl, const CtlVerb *verb, json_object *request, ClientReply *ret) _warn_unused_;

/* Says what the reply's code means to the one who asked; a CtlExit. */
int ctl_say_code(const CtlVerb *verb, const ClientReply *reply);

/* The reply's `response`, or NULL. */
json_object *ctl_response(const ClientReply *reply);
/* Prints an object in lines. */
void ctl_print_json(json_object *object);
/* A text safe for terminals, as a new string; of NULL "-". */
char *ctl_safe(const char *text);
