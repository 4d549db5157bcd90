/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The core of the router: messages in, messages out, and what follows from them. It knows no socket and no
 * clock: both are given to it, so that a test may be both. */

#include "principal.h"
#include "store.h"

#include "basic/io-util.h"
#include "shared/openmetrics.h"

#define ROUTER_N_FRAMES_MAX 8U

typedef struct Router Router;

/* The world around it. */
typedef struct RouterPort {
        void *userdata;
        usec_t (*now)(void *userdata);          /* monotonic */
        usec_t (*now_realtime)(void *userdata); /* shown only */
        /* Sends a message whose first frame is the connection's identity. 0, or ROUTER_GONE where that is
         * not there any more or does not read; < 0 stops the router. */
        int (*send)(void *userdata, const Bytes *frames, size_t n_frames);
        /* Ends this process, so that it is started anew; only where `can_restart`. */
        int (*restart)(void *userdata);
        /* The file was read anew. */
        void (*reloaded)(void *userdata, const StoreConfig *config);
        /* Reads anew who may do what, before the file: a fault in that one must not keep anybody in. */
        int (*reload_keys)(void *userdata);
        bool can_restart; /* somebody starts it anew */
} RouterPort;

enum {
        ROUTER_GONE = 1,
};

/* `store` is borrowed. With `force_worker_restart` each worker is told once to start anew. */
int router_new(const RouterPort *port, Store *store, bool force_worker_restart, Router **ret) _warn_unused_;
Router *router_free(Router *router);

/* A message as it came, its first frame the connection's identity. Nothing a peer can send makes it fail:
 * < 0 is -ENOMEM and the like. `is_cut`: there were more frames than ROUTER_N_FRAMES_MAX. */
int router_on_message(Router *router, const Principal *principal, const Bytes *frames, size_t n_frames,
                      bool is_cut) _warn_unused_;

/* When router_on_time() wants to be called: monotonic. */
usec_t router_next_time(const Router *router);
int router_on_time(Router *router) _warn_unused_;

/* Reads the file anew and tells the workers what has changed. STORE_BAD with what is wrong, -errno. */
int router_reload(Router *router, char **ret_error) _warn_unused_;

/* "3 workers, 5 jobs running, 2 waiting", and whether the last reload failed; a new string, NULL without
 * memory. */
char *router_status_text(const Router *router);

/* Families of metrics, without the last line. */
void router_write_metrics(const Router *router, MetricWriter *writer);

DEFINE_CLEANUP(Router *, router_free)
