/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For programs that ask the router: one request at a time, and its reply, or that none came. */

#include "basic/io-util.h"
#include "basic/time-util.h"
#include "shared/key-file.h"

#include <json-c/json.h>

#define CLIENT_ROUTER_DEFAULT "ipc:///run/pipeline/router.sock"

typedef struct Client Client;

typedef struct ClientReply {
        /* As it came, with NUL behind it (not counted): what a guest wrote is exact here only. */
        Buffer text;
        json_object *object; /* the same, for looking into */
        unsigned code;       /* status.status_code */
} ClientReply;

void client_reply_done(ClientReply *reply);
/* Pure: what the router sent. CLIENT_BAD_REPLY where it is neither a reply, nor could say how far it is:
 * then the code is 0. */
int client_reply_parse(const void *data, size_t size, ClientReply *ret) _warn_unused_;
/* Pure: how far it is; the text is borrowed, and NULL where none is said. CLIENT_BAD_REPLY where it is not
 * of that. */
typedef struct ClientProgress {
        const char *text;
        uint64_t step, n_steps;
} ClientProgress;
int client_reply_progress(const ClientReply *reply, ClientProgress *ret) _warn_unused_;
/* The error that the reply tells, borrowed; NULL where it has none. */
const char *client_reply_error(const ClientReply *reply);

/* Conditions. */
enum {
        CLIENT_NO_ROUTER = 1,   /* nobody has that unix socket */
        CLIENT_NOT_ALLOWED = 2, /* this user may not use it */
        CLIENT_BAD_ADDRESS = 3, /* ZeroMQ does not take the address */
        CLIENT_NO_ANSWER = 4,   /* nothing came in time */
        CLIENT_BAD_REPLY = 5,   /* what came is no reply */
        CLIENT_KEPT_OUT = 6,    /* the router does not let it in with this key, or without one */
};

/* `address` may be NULL: the package's unix socket; `key` too: plain text. The first three of these. */
int client_new(const char *address, const KeyFile *key, Client **ret) _warn_unused_;
Client *client_free(Client *client);
DEFINE_CLEANUP(Client *, client_free)

/* What comes before the reply, where the request has `progress`: its text may be NULL. */
typedef void (*ClientProgressHandler)(const char *text, uint64_t step, uint64_t n_steps, void *userdata);
void client_on_progress(Client *client, ClientProgressHandler handler, void *userdata);

/* Sends the object and waits. The last three of those above; after CLIENT_KEPT_OUT the client is of no more
 * use. */
int client_ask(Client *client, json_object *request, usec_t timeout_usec, ClientReply *ret) _warn_unused_;
