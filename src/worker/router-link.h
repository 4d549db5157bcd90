/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The worker's connection to the router: it is kept, renewed when the router is silent, and says
 * when it stands. */

#include "proto/peer-message.h"
#include "shared/key-file.h"

#include <systemd/sd-event.h>

typedef struct RouterLink RouterLink;

/* Where a handler fails (< 0) the event loop ends. */
typedef struct RouterLinkHandlers {
        /* A connection stands, for the first time or anew: say hello. */
        int (*connected)(RouterLink *link, void *userdata);
        /* The router said something; borrowed. */
        int (*message)(RouterLink *link, const PeerMessage *message, void *userdata);
        /* It is time for a heartbeat. */
        int (*beat)(RouterLink *link, void *userdata);
        /* Nothing was heard for too long, the connection broke, or it was not let in; `why` is a literal. */
        int (*lost)(RouterLink *link, const char *why, void *userdata);
} RouterLinkHandlers;

/* Where the router is, and with which key it is spoken to; a key without a secret: in plain text. */
typedef struct RouterPlace {
        const char *address;
        const KeyFile *key;
} RouterPlace;

/* `handlers` is borrowed, and so is what `place` has. -EINVAL where ZeroMQ does not take the address. */
int router_link_new(sd_event *event, const RouterPlace *place, const RouterLinkHandlers *handlers,
                    void *userdata, RouterLink **ret) _warn_unused_;
/* What was sent has a second to leave. */
RouterLink *router_link_free(RouterLink *link);
DEFINE_CLEANUP(RouterLink *, router_link_free)

/* What the router said about times. */
void router_link_set_times(RouterLink *link, usec_t heartbeat_usec, usec_t dead_usec);

/* Sends; the body (NULL: an empty object) is taken over. Without a connection, or where the router does not
 * read, nothing is sent: whatever matters is said again after the next hello. 0, -ENOMEM, or -errno. */
int router_link_send(RouterLink *link, PeerType type, json_object *body, const Bytes *parts,
                     size_t n_parts) _warn_unused_;
