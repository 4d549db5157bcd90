/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What workers and the router say to each other (docs/PROTOCOL.md part 2): the envelope of frames, and the
 * bodies of all types but Job and Outcome. Texts are owned by the structs. Each `…_from_json` gives 0,
 * -ENOMEM, or JSON_BAD with what is wrong; each `…_to_json` NULL without memory. */

#include "job.h"

#include "basic/io-util.h"

#define PEER_MAGIC         "PIPELINE1"
#define PEER_BODY_SIZE_MAX (1024U * 1024U)
#define PEER_PART_SIZE_MAX (4U * 1024U * 1024U)
#define PEER_N_PARTS_MAX   3U
#define PEER_N_FRAMES_MAX  (3U + PEER_N_PARTS_MAX)
#define PEER_PROTOCOL      1U

typedef enum PeerType {
        PEER_HELLO,
        PEER_CONFIGURE,
        PEER_CONFIGURED,
        PEER_JOB,
        PEER_CANCEL,
        PEER_OUTCOME,
        PEER_OUTCOME_ACK,
        PEER_RESOLVE,
        PEER_RESOLVED,
        PEER_LIST,
        PEER_LISTED,
        PEER_HEARTBEAT,
        PEER_GOODBYE,
        PEER_REFUSED,
        PEER_PROGRESS,
        _PEER_TYPE_MAX,
        _PEER_TYPE_INVALID = -1,
} PeerType;

const char *peer_type_to_string(PeerType type);

typedef struct PeerMessage {
        PeerType type;
        json_object *body; /* a reference owned */
        Bytes parts[PEER_N_PARTS_MAX];
        size_t n_parts;
} PeerMessage;

/* The parts of an outcome, in their order. */
enum {
        OUTCOME_RESPONSE,
        OUTCOME_CONTEXT,
        OUTCOME_ERROR_DETAIL,
};

/* `frames` are those after the identity: magic, type, body, parts. 0, -ENOMEM, JSON_BAD with what is wrong,
 * or PEER_UNKNOWN for a type this release does not know (drop it). The parts stay the caller's. */
enum {
        PEER_UNKNOWN = 2,
};
int peer_message_parse(const Bytes *frames, size_t n_frames, PeerMessage *ret,
                       char **ret_error) _warn_unused_;
void peer_message_done(PeerMessage *message);
/* The frames of a message, into `frames` of PEER_N_FRAMES_MAX; they point into `message`. 0 or -ENOMEM. */
int peer_message_frames(const PeerMessage *message, Bytes *frames, size_t *ret_n_frames) _warn_unused_;

/* A version of a track, and how it is there: deployed, held, or being installed. */
typedef struct VersionItem {
        char *track;
        char *version;
        char *digest;                   /* deployed, held; or NULL */
        char *state;                    /* installing: `queued`, `fetching`, `unpacking` or `failed` */
        char *error;                    /* failed: why; or NULL */
        uint64_t done_size, total_size; /* fetching: bytes; 0: not known */
} VersionItem;

typedef struct VersionList {
        VersionItem *items; /* owned */
        size_t n_items;
} VersionList;

#define N_VERSION_ITEMS_MAX 4096U

/* Adds a copy. `digest`, `state`, `error` may be NULL. 0, -ENOMEM, -E2BIG beyond N_VERSION_ITEMS_MAX. */
int version_list_add(VersionList *list, const VersionItem *item) _warn_unused_;
/* The item, or NULL. */
const VersionItem *version_list_find(const VersionList *list, const char *track, const char *version);
void version_list_done(VersionList *list);

/* A job by its id and attempt: member of hello; body of cancel (with a reason) and of outcome-ack. */
typedef struct JobRef {
        char *job;
        char *token;
        char *reason;     /* cancel only; or NULL */
        char *resend_key; /* hello only; or NULL */
} JobRef;

int job_ref_from_json(json_object *object, JobRef *ret, char **ret_error) _warn_unused_;
json_object *job_ref_to_json(const JobRef *ref);
void job_ref_done(JobRef *ref);

typedef struct Hello {
        uint64_t version; /* any; this release speaks PEER_PROTOCOL */
        char *name;
        Channel channel;
        char **topics; /* tracks; empty or NULL: generic */
        uint64_t slots;
        VersionList held;
        JobRef *jobs; /* running */
        size_t n_jobs;
        char **unacknowledged; /* ids of jobs whose outcome the worker keeps */
} Hello;

int hello_from_json(json_object *object, Hello *ret, char **ret_error) _warn_unused_;
json_object *hello_to_json(const Hello *hello);
void hello_done(Hello *hello);

/* What a track wants of its jobs; a worker uses it to have the right sandboxes parked. */
#define CANARY_INPUT_MAX 2048U

typedef struct TrackSettings {
        char *track;
        Limits limits;
        char *profile;
        char **entrypoint; /* or NULL */
        /* What a worker tries before it takes jobs. Without an exercise it is the suite's own. */
        bool canary_is_off;
        char *canary_exercise, *canary_input; /* both, or NULL */
        bool late_success;                    /* as in Job */
} TrackSettings;

typedef struct Configure {
        uint64_t serial;         /* of those that this worker was sent, from 1 on */
        VersionList versions;    /* all that the worker shall hold */
        TrackSettings *settings; /* one a track */
        size_t n_settings;
        usec_t heartbeat_usec, dead_usec;
} Configure;

int configure_from_json(json_object *object, Configure *ret, char **ret_error) _warn_unused_;
json_object *configure_to_json(const Configure *configure);
void configure_done(Configure *configure);

typedef struct Configured {
        uint64_t serial; /* of the Configure that it knows of; 0: it does not say */
        VersionList held, installing;
} Configured;

int configured_from_json(json_object *object, Configured *ret, char **ret_error) _warn_unused_;
json_object *configured_to_json(const Configured *configured);
void configured_done(Configured *configured);

/* resolve and list: a question about the registry. */
typedef struct Query {
        char *query; /* an id, repeated in the answer */
        Channel channel;
        char *track;
        char *version; /* resolve only; or NULL */
} Query;

int query_from_json(json_object *object, Query *ret, char **ret_error) _warn_unused_;
json_object *query_to_json(const Query *query);
void query_done(Query *query);

/* resolved (digest) and listed (images), or why not. */
typedef struct Answer {
        char *query;
        char *digest;        /* or NULL */
        json_object *images; /* {digest: [tags]}, a reference owned; or NULL */
        uint64_t code;       /* 400 or 503; 0: it went well */
        char *error;         /* or NULL */
} Answer;

int answer_from_json(json_object *object, Answer *ret, char **ret_error) _warn_unused_;
json_object *answer_to_json(const Answer *answer);
void answer_done(Answer *answer);

/* Of a worker; the router's body is an empty object. */
typedef struct Heartbeat {
        uint64_t slots, running;
        uint64_t load;              /* the load average of a minute, in hundredths */
        bool sandbox;               /* the sandbox service of its host answers */
        uint64_t parked, sandboxes; /* of its host: that wait for a job, that run one */
} Heartbeat;

int heartbeat_from_json(json_object *object, Heartbeat *ret, char **ret_error) _warn_unused_;
json_object *heartbeat_to_json(const Heartbeat *heartbeat);

/* How far a job is: its step, of how many, and what it is about. */
typedef struct Progress {
        char *job;
        char *token;
        uint64_t step, n_steps; /* 0: not known */
        char *text;
} Progress;

int progress_from_json(json_object *object, Progress *ret, char **ret_error) _warn_unused_;
json_object *progress_to_json(const Progress *progress);
void progress_done(Progress *progress);

/* refused {error} and goodbye {reason}. */
typedef struct Notice {
        char *error;  /* or NULL */
        char *reason; /* or NULL */
} Notice;

int notice_from_json(json_object *object, Notice *ret, char **ret_error) _warn_unused_;
json_object *notice_to_json(const Notice *notice);
void notice_done(Notice *notice);
