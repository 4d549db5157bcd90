/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The content of the router's file (pipeline-router.yml(5)) as a struct: text in, struct out. */

#include "basic/hashmap.h"
#include "proto/peer-message.h"
#include "proto/request.h"
#include "shared/conf-yaml.h"

/* All durations the router goes by. */
typedef struct Times {
        usec_t queue_usec;  /* a job waits for a worker */
        usec_t setup_usec;  /* input, image, start */
        usec_t margin_usec; /* beyond queue, set-up and execution, until 504 */
        usec_t heartbeat_usec;
        usec_t dead_usec;     /* a worker not heard for as long is dead */
        usec_t registry_usec; /* a question about the registry */
        usec_t build_usec;    /* a build, beside its set-up */
} Times;

/* What one peer may have at once; 0: any, of memory three quarters of all. */
typedef struct PeerLimits {
        uint64_t requests; /* under way */
        uint64_t memory_bytes;
        uint64_t rate; /* requests a second */
} PeerLimits;

/* A principal, with all its connections, and a connection. */
typedef enum PeerScope {
        PEER_PRINCIPAL,
        PEER_CONNECTION,
        _PEER_SCOPE_MAX,
} PeerScope;

typedef struct StoreTrack {
        Channel channel;
        TrackSettings settings; /* with the track's name */
        usec_t wall_max_usec;   /* the most a request may ask for */
        VersionList versions;
} StoreTrack;

typedef struct StoreConfig {
        Times times;
        uint64_t queue_length; /* jobs waiting for one track */
        uint64_t memory_bytes; /* of all requests under way */
        PeerLimits peer_limits[_PEER_SCOPE_MAX];
        uint64_t kept_bytes; /* of answers kept for those who send again */
        Role loopback_roles; /* 0: not said */
        StoreTrack **tracks; /* owned */
        size_t n_tracks;
        Hashmap *by_name;        /* of them: "CHANNEL/TRACK" */
        bool has_ports, has_aws; /* keys that mean nothing any more */
        char **unknown;          /* "LINE:COLUMN: PATH" of keys nobody knows: of the first of them */
        size_t n_unknown;        /* of all */
} StoreConfig;

/* CONF_BAD, -ENOMEM. */
int store_config_parse(const char *text, size_t size, StoreConfig **ret, ConfError *ret_error) _warn_unused_;
StoreConfig *store_config_free(StoreConfig *config);

/* NULL where there is none. */
const StoreTrack *store_config_track(const StoreConfig *config, Channel channel, const char *track);

/* Names in a channel's mapping that are no tracks. */
bool store_track_name_is_valid(const char *track);

DEFINE_CLEANUP(StoreConfig *, store_config_free)
