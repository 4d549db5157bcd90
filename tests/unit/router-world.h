/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A world for the router's core: its clock is a number, what it sends is a list. Clients and workers are
 * their identities, which are words. */

#include "router/router.h"

#include "proto/peer-message.h"

#include <json-c/json.h>

typedef struct Sent {
        char identity[64];
        PeerType type;     /* _PEER_TYPE_INVALID: to a client */
        json_object *body; /* the reply, or the body */
        bool is_taken;
} Sent;

typedef struct World {
        Router *router;
        Store *store;
        /* Their roles: submit; all; worker; worker. */
        Principal loopback, operator, workers, others;
        /* The clock on the wall is `realtime` ahead, and may be set. */
        usec_t now, realtime;
        Sent **sent; /* in their order */
        size_t n_sent;
        char **gone; /* identities that are not there any more */
        char *folder, *path;
        unsigned n_restarts, n_reloads;
} World;

/* `yaml` is the router's file. */
void world_init(World *w, const char *yaml);
void world_done(World *w);
/* Begins anew with the file as it is now; with what is gone and said forgotten. */
void world_restart_router(World *w, bool force_worker_restart);
void world_write_file(World *w, const char *yaml);
/* How long after its start a router waits for hellos; times.dead. */
#define WORLD_SETTLES_USEC (4 * USEC_PER_SEC)
/* Lets time pass, with all that happens meanwhile. */
void world_pass(World *w, usec_t span);
void world_lose(World *w, const char *identity);

/* A message of these frames, text each; the identity is added. */
void world_say(World *w, const Principal *principal, const char *identity, const char *const *frames,
               size_t n_frames);
/* A client's request; printf-like. `'` stands for `"`. */
void world_ask(World *w, const Principal *principal, const char *client, const char *format, ...)
        _printf_(4, 5);
/* A worker's message; the same. */
void world_tell(World *w, const char *worker, PeerType type, const char *format, ...) _printf_(4, 5);
void world_tell_as(World *w, const Principal *principal, const char *worker, PeerType type,
                   const char *format, ...) _printf_(5, 6);

/* The next that was said to somebody; NULL where there is nothing. */
Sent *world_next(World *w, const char *identity);
/* The next of a type, passing over others; NULL where there is none. */
Sent *world_next_of(World *w, const char *identity, PeerType type);

/* Workers: the hello of one in test_runners that holds nothing; `topics`, `jobs` and `unacknowledged` are
 * what their JSON arrays have inside. */
void world_hello(World *w, const Principal *principal, const char *identity, const char *name,
                 const char *topics, unsigned slots, const char *jobs, const char *unacknowledged);
/* Hello and configured of one that holds version v1 (and v2) of each of its tracks. */
void world_add_worker(World *w, const char *name, const char *topics, unsigned slots);
void world_outcome(World *w, const char *worker, const char *job, const char *token, unsigned code,
                   const char *more);
/* A job of test_solution for a track. */
void world_submit(World *w, const char *client, const char *id, const char *track, const char *more);
