/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers and the router say to each other, as tables. Only the maps {track: {version: …}} have code of
 * their own: they are kinds of member here, like texts and numbers. */

#include "peer-message.h"

#include "basic/string-util.h"

#include <errno.h>

#define TEXT_SIZE_MAX 4096U
#define N_SLOTS_MAX   1024U
#define N_JOBS_MAX    4096U
#define N_TOPICS_MAX  256U
#define SERIAL_MAX    (UINT64_C(1) << 53)

/* The envelope */

static const char *const peer_types[_PEER_TYPE_MAX] = {
        [PEER_HELLO] = "hello",
        [PEER_CONFIGURE] = "configure",
        [PEER_CONFIGURED] = "configured",
        [PEER_JOB] = "job",
        [PEER_CANCEL] = "cancel",
        [PEER_OUTCOME] = "outcome",
        [PEER_OUTCOME_ACK] = "outcome-ack",
        [PEER_RESOLVE] = "resolve",
        [PEER_RESOLVED] = "resolved",
        [PEER_LIST] = "list",
        [PEER_LISTED] = "listed",
        [PEER_HEARTBEAT] = "heartbeat",
        [PEER_GOODBYE] = "goodbye",
        [PEER_REFUSED] = "refused",
        [PEER_PROGRESS] = "progress",
};

const char *peer_type_to_string(PeerType type)
{
        return peer_types[type];
}

static bool bytes_are(Bytes bytes, const char *s)
{
        return bytes.size == strlen(s) && memcmp(bytes.data, s, bytes.size) == 0;
}

static PeerType peer_type_from_bytes(Bytes bytes)
{
        for (size_t i = 0; i < _PEER_TYPE_MAX; i++)
                if (bytes_are(bytes, peer_types[i]))
                        return (PeerType) i;
        return _PEER_TYPE_INVALID;
}

/* What is wrong with the frames, or NULL. */
static const char *envelope_error(const Bytes *frames, size_t n_frames)
{
        if (n_frames < 3 || n_frames > 3 + PEER_N_PARTS_MAX)
                return "a message has a magic, a type, a body and at most three parts";
        if (!bytes_are(frames[0], PEER_MAGIC))
                return "the first frame is not " PEER_MAGIC;
        if (frames[2].size > PEER_BODY_SIZE_MAX)
                return "the body is larger than 1 MiB";
        for (size_t i = 3; i < n_frames; i++)
                if (frames[i].size > PEER_PART_SIZE_MAX)
                        return "a part is larger than 4 MiB";
        return NULL;
}

int peer_message_parse(const Bytes *frames, size_t n_frames, PeerMessage *ret, char **ret_error)
{
        const char *error = envelope_error(frames, n_frames);
        PeerMessage message = {};
        int r;

        if (error)
                return error_set(ret_error, JSON_BAD, "%s", error);
        message.type = peer_type_from_bytes(frames[1]);
        if (message.type == _PEER_TYPE_INVALID)
                return PEER_UNKNOWN;
        r = json_object_from_bytes(frames[2].data, frames[2].size, &message.body, ret_error);
        if (r != 0)
                return r;
        message.n_parts = n_frames - 3;
        for (size_t i = 0; i < message.n_parts; i++)
                message.parts[i] = frames[3 + i];
        *ret = message;
        return 0;
}

void peer_message_done(PeerMessage *message)
{
        json_object_put(message->body);
        *message = (PeerMessage){};
}

int peer_message_frames(const PeerMessage *message, Bytes *frames, size_t *ret_n_frames)
{
        const char *body = message->body ? json_object_text(message->body) : "{}", *type;

        if (!body)
                return -ENOMEM;
        type = peer_types[message->type];
        frames[0] = (Bytes){ PEER_MAGIC, strlen(PEER_MAGIC) };
        frames[1] = (Bytes){ type, strlen(type) };
        frames[2] = (Bytes){ body, strlen(body) };
        for (size_t i = 0; i < message->n_parts; i++)
                frames[3 + i] = message->parts[i];
        *ret_n_frames = 3 + message->n_parts;
        return 0;
}

/* Versions */

static void version_item_done(VersionItem *item)
{
        free(item->track);
        free(item->version);
        free(item->digest);
        free(item->state);
        free(item->error);
        *item = (VersionItem){};
}

static int copy_text(const char *s, char **ret)
{
        *ret = s ? strdup(s) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

int version_list_add(VersionList *list, const VersionItem *item)
{
        VersionItem *grown, copy = {};

        if (list->n_items >= N_VERSION_ITEMS_MAX)
                return -E2BIG;
        grown = reallocarray(list->items, list->n_items + 1, sizeof(VersionItem));
        if (!grown)
                return -ENOMEM;
        list->items = grown;
        if (copy_text(item->track, &copy.track) < 0 || copy_text(item->version, &copy.version) < 0 ||
            copy_text(item->digest, &copy.digest) < 0 || copy_text(item->state, &copy.state) < 0 ||
            copy_text(item->error, &copy.error) < 0) {
                version_item_done(&copy);
                return -ENOMEM;
        }
        copy.done_size = item->done_size;
        copy.total_size = item->total_size;
        list->items[list->n_items++] = copy;
        return 0;
}

const VersionItem *version_list_find(const VersionList *list, const char *track, const char *version)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (streq(list->items[i].track, track) && streq(list->items[i].version, version))
                        return &list->items[i];
        return NULL;
}

void version_list_done(VersionList *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                version_item_done(&list->items[i]);
        free(list->items);
        *list = (VersionList){};
}

static void versions_done(const JsonField *field, void *member)
{
        version_list_done(member);
}

/* What is held is {track: {version: digest}}, what is being installed {track: {version: {state, error}}}. */
static bool version_item_from_json(const char *track, const char *version, json_object *value,
                                   VersionItem *ret)
{
        bool is_state = json_object_is_type(value, json_type_object);

        *ret = (VersionItem){ .track = (char *) track, .version = (char *) version };
        if (is_state) {
                ret->state = (char *) json_text(value, "state");
                ret->error = (char *) json_text(value, "error");
                ret->done_size = json_object_get_uint64(json_object_object_get(value, "done_bytes"));
                ret->total_size = json_object_get_uint64(json_object_object_get(value, "total_bytes"));
        } else if (json_object_is_type(value, json_type_string))
                ret->digest = (char *) json_object_get_string(value);
        return slug_is_valid(track) && version_is_valid(version) &&
               (!ret->digest || digest_is_valid(ret->digest)) && (is_state ? ret->state != NULL : true) &&
               (is_state || !value || ret->digest);
}

static int versions_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        VersionItem item;
        int r;

        if (!json_object_is_type(value, json_type_object))
                return error_set(ret_error, JSON_BAD, " must be an object of tracks");
        json_object_object_foreach(value, track, versions)
        {
                if (!json_object_is_type(versions, json_type_object))
                        return error_set(ret_error, JSON_BAD,
                                         " must have an object of versions for each track");
                json_object_object_foreach(versions, version, told)
                {
                        if (!version_item_from_json(track, version, told, &item))
                                return error_set(ret_error, JSON_BAD,
                                                 " must be {track: {version: digest, or its state}}");
                        r = version_list_add(member, &item);
                        if (r == -E2BIG)
                                return error_set(ret_error, JSON_BAD, " has too many versions");
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int version_item_to_json(const VersionItem *item, json_object **ret)
{
        _cleanup_json_ json_object *object = NULL;
        int r;

        if (!item->state) {
                *ret = item->digest ? json_object_new_string(item->digest) : NULL;
                return item->digest && !*ret ? -ENOMEM : 0;
        }
        object = json_object_new_object();
        if (!object)
                return -ENOMEM;
        r = json_add_text(object, "state", item->state);
        if (r == 0)
                r = json_add_text(object, "error", item->error);
        if (r == 0 && item->total_size > 0)
                r = json_add_uint(object, "done_bytes", item->done_size);
        if (r == 0 && item->total_size > 0)
                r = json_add_uint(object, "total_bytes", item->total_size);
        *ret = r == 0 ? TAKE_PTR(object) : NULL;
        return r;
}

/* The object of a track in an object of tracks, made where it is not there yet; NULL without memory. */
static json_object *object_of(json_object *tracks, const char *track)
{
        json_object *object = json_object_object_get(tracks, track);

        if (!object) {
                object = json_object_new_object();
                if (!object || json_add(tracks, track, object) < 0)
                        return NULL;
        }
        return object;
}

static int versions_write(const JsonField *field, const void *member, json_object **ret)
{
        _cleanup_json_ json_object *tracks = json_object_new_object();
        const VersionList *list = member;
        int r;

        if (!tracks)
                return -ENOMEM;
        for (size_t i = 0; i < list->n_items; i++) {
                json_object *versions = object_of(tracks, list->items[i].track), *value;

                if (!versions)
                        return -ENOMEM;
                r = version_item_to_json(&list->items[i], &value);
                if (r == 0)
                        r = json_add(versions, list->items[i].version, value);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(tracks);
        return 0;
}

static const FieldType field_versions = { versions_read, versions_write, versions_done };

/* Defines the three functions of a message whose table is NAME_table. */
#define DEFINE_MESSAGE(type, name)                                             \
        int name##_from_json(json_object *object, type *ret, char **ret_error) \
        {                                                                      \
                *ret = (type){};                                               \
                return json_read(&name##_table, object, ret, ret_error);       \
        }                                                                      \
                                                                               \
        json_object *name##_to_json(const type *value)                         \
        {                                                                      \
                return json_write(&name##_table, value);                       \
        }                                                                      \
                                                                               \
        void name##_done(type *value)                                          \
        {                                                                      \
                json_done(&name##_table, value);                               \
        }

/* A job by its id and attempt */

static const JsonField job_ref_fields[] = {
        { "job", &field_text, offsetof(JobRef, job), .is_valid = job_id_is_valid, .form = "a job's id" },
        { "token", &field_text, offsetof(JobRef, token), .is_valid = token_is_valid, .form = "a token" },
        { "reason", &field_text, offsetof(JobRef, reason), .optional = true, .max = TEXT_SIZE_MAX },
        { "resend_key", &field_text, offsetof(JobRef, resend_key), .optional = true,
          .is_valid = resend_key_is_valid, .form = "a key" },
};

static const JsonTable job_ref_table = JSON_TABLE(JobRef, job_ref_fields);

DEFINE_MESSAGE(JobRef, job_ref)

/* hello */

static const JsonField hello_fields[] = {
        { "version", &field_uint, offsetof(Hello, version), .max = 1000000 },
        { "name", &field_text, offsetof(Hello, name), .is_valid = slug_is_valid, .form = "a name" },
        { "channel", &field_channel, offsetof(Hello, channel) },
        { "topics", &field_texts, offsetof(Hello, topics), .max = N_TOPICS_MAX, .is_valid = slug_is_valid,
          .form = "a track" },
        { "slots", &field_uint, offsetof(Hello, slots), .max = N_SLOTS_MAX },
        { "held", &field_versions, offsetof(Hello, held) },
        { "jobs", &field_list, offsetof(Hello, jobs), .max = N_JOBS_MAX, .table = &job_ref_table,
          .count_offset = offsetof(Hello, n_jobs) },
        { "unacknowledged", &field_texts, offsetof(Hello, unacknowledged), .max = N_JOBS_MAX,
          .is_valid = job_id_is_valid, .form = "a job's id" },
};

static const JsonTable hello_table = JSON_TABLE(Hello, hello_fields);

DEFINE_MESSAGE(Hello, hello)

/* configure: {track: {versions: [{version, digest}], settings: {…}}} */

typedef struct DeployedVersion {
        char *version, *digest;
} DeployedVersion;

typedef struct DeployedTrack {
        DeployedVersion *versions;
        size_t n_versions;
        TrackSettings settings;
} DeployedTrack;

static const JsonField track_settings_fields[] = {
        { "limits", &field_struct, offsetof(TrackSettings, limits), .table = &limits_table },
        { "profile", &field_text, offsetof(TrackSettings, profile), .is_valid = slug_is_valid,
          .form = "a name" },
        { "entrypoint", &field_texts, offsetof(TrackSettings, entrypoint), .optional = true, .max = 256 },
        { "canary_is_off", &field_bool, offsetof(TrackSettings, canary_is_off), .optional = true },
        { "canary_exercise", &field_text, offsetof(TrackSettings, canary_exercise), .optional = true,
          .is_valid = slug_is_valid, .form = "a slug" },
        { "canary_input", &field_text, offsetof(TrackSettings, canary_input), .optional = true,
          .max = CANARY_INPUT_MAX },
        { "late_success", &field_bool, offsetof(TrackSettings, late_success), .optional = true },
};

static const JsonTable track_settings_table = JSON_TABLE(TrackSettings, track_settings_fields);

static const JsonField deployed_version_fields[] = {
        { "version", &field_text, offsetof(DeployedVersion, version), .is_valid = version_is_valid,
          .form = "a version" },
        { "digest", &field_text, offsetof(DeployedVersion, digest), .optional = true,
          .is_valid = digest_is_valid, .form = "a digest" },
};

static const JsonTable deployed_version_table = JSON_TABLE(DeployedVersion, deployed_version_fields);

static const JsonField deployed_track_fields[] = {
        { "versions", &field_list, offsetof(DeployedTrack, versions), .max = N_VERSION_ITEMS_MAX,
          .table = &deployed_version_table, .count_offset = offsetof(DeployedTrack, n_versions) },
        { "settings", &field_struct, offsetof(DeployedTrack, settings), .table = &track_settings_table },
};

static const JsonTable deployed_track_table = JSON_TABLE(DeployedTrack, deployed_track_fields);

static void track_settings_done(TrackSettings *settings)
{
        free(settings->track);
        settings->track = NULL;
        json_done(&track_settings_table, settings);
}

static void configure_tracks_done(const JsonField *field, void *member)
{
        Configure *configure = member;

        version_list_done(&configure->versions);
        for (size_t i = 0; i < configure->n_settings; i++)
                track_settings_done(&configure->settings[i]);
        free(configure->settings);
}

/* Moves what was said of one track into the flat lists of Configure. */
static int configure_add_track(Configure *configure, const char *track, DeployedTrack *deployed)
{
        TrackSettings *settings = &configure->settings[configure->n_settings++];
        int r = 0;

        *settings = deployed->settings;
        deployed->settings = (TrackSettings){};
        settings->track = strdup(track);
        if (!settings->track)
                return -ENOMEM;
        for (size_t i = 0; i < deployed->n_versions && r == 0; i++)
                r = version_list_add(&configure->versions,
                                     &(VersionItem){ .track = (char *) track,
                                                     .version = deployed->versions[i].version,
                                                     .digest = deployed->versions[i].digest });
        return r;
}

static int configure_tracks_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        Configure *configure = member;
        int r;

        if (!json_object_is_type(value, json_type_object))
                return error_set(ret_error, JSON_BAD, " must be an object of tracks");
        configure->settings = calloc((size_t) json_object_object_length(value) + 1, sizeof(TrackSettings));
        if (!configure->settings)
                return -ENOMEM;
        json_object_object_foreach(value, track, told)
        {
                _cleanup_free_ char *error = NULL;
                DeployedTrack deployed = {};

                if (!slug_is_valid(track))
                        return error_set(ret_error, JSON_BAD, " has a name that is no track");
                r = json_object_is_type(told, json_type_object)
                            ? json_read(&deployed_track_table, told, &deployed, &error)
                            : error_set(&error, JSON_BAD, "must be an object");
                if (r == JSON_BAD)
                        return error_set(ret_error, JSON_BAD, ".%s.%s", track, error);
                if (r == 0)
                        r = configure_add_track(configure, track, &deployed);
                json_done(&deployed_track_table, &deployed);
                if (r == -E2BIG)
                        return error_set(ret_error, JSON_BAD, " has too many versions");
                if (r < 0)
                        return r;
        }
        return 0;
}

static int deployed_to_json(const VersionItem *item, json_object *array)
{
        DeployedVersion deployed = { .version = item->version, .digest = item->digest };
        json_object *object = json_write(&deployed_version_table, &deployed);

        if (object && json_object_array_add(array, object) == 0)
                return 0;
        json_object_put(object);
        return -ENOMEM;
}

static json_object *configure_track_to_json(const Configure *configure, const TrackSettings *settings)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        json_object *versions = json_object_new_array(), *limits;

        if (!object || !versions || json_add(object, "versions", versions) < 0)
                return NULL;
        for (size_t i = 0; i < configure->versions.n_items; i++)
                if (streq(configure->versions.items[i].track, settings->track) &&
                    deployed_to_json(&configure->versions.items[i], versions) < 0)
                        return NULL;
        limits = json_write(&track_settings_table, settings);
        if (!limits || json_add(object, "settings", limits) < 0)
                return NULL;
        return TAKE_PTR(object);
}

static int configure_tracks_write(const JsonField *field, const void *member, json_object **ret)
{
        _cleanup_json_ json_object *tracks = json_object_new_object();
        const Configure *configure = member;

        if (!tracks)
                return -ENOMEM;
        for (size_t i = 0; i < configure->n_settings; i++) {
                json_object *track = configure_track_to_json(configure, &configure->settings[i]);

                if (!track || json_add(tracks, configure->settings[i].track, track) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(tracks);
        return 0;
}

static const FieldType field_configure_tracks = { configure_tracks_read, configure_tracks_write,
                                                  configure_tracks_done };

static const JsonField configure_fields[] = {
        { "serial", &field_uint, offsetof(Configure, serial), .optional = true, .max = SERIAL_MAX },
        { "tracks", &field_configure_tracks, 0 }, /* the whole struct */
        { "heartbeat_usec", &field_uint, offsetof(Configure, heartbeat_usec), .min = 10 * USEC_PER_MSEC,
          .max = 3600 * USEC_PER_SEC },
        { "dead_usec", &field_uint, offsetof(Configure, dead_usec), .min = 10 * USEC_PER_MSEC,
          .max = 3600 * USEC_PER_SEC },
};

static const JsonTable configure_table = JSON_TABLE(Configure, configure_fields);

DEFINE_MESSAGE(Configure, configure)

/* configured */

static const JsonField configured_fields[] = {
        { "serial", &field_uint, offsetof(Configured, serial), .optional = true, .max = SERIAL_MAX },
        { "held", &field_versions, offsetof(Configured, held) },
        { "installing", &field_versions, offsetof(Configured, installing) },
};

static const JsonTable configured_table = JSON_TABLE(Configured, configured_fields);

DEFINE_MESSAGE(Configured, configured)

/* resolve, list, and their answers */

static const JsonField query_fields[] = {
        { "query", &field_text, offsetof(Query, query), .is_valid = token_is_valid, .form = "a query's id" },
        { "channel", &field_channel, offsetof(Query, channel) },
        { "track", &field_text, offsetof(Query, track), .is_valid = slug_is_valid, .form = "a track" },
        { "version", &field_text, offsetof(Query, version), .optional = true, .is_valid = version_is_valid,
          .form = "a version" },
};

static const JsonTable query_table = JSON_TABLE(Query, query_fields);

DEFINE_MESSAGE(Query, query)

static const JsonField answer_fields[] = {
        { "query", &field_text, offsetof(Answer, query), .is_valid = token_is_valid,
          .form = "a query's id" },
        { "digest", &field_text, offsetof(Answer, digest), .optional = true, .is_valid = digest_is_valid,
          .form = "a digest" },
        { "images", &field_object, offsetof(Answer, images), .optional = true },
        { "code", &field_uint, offsetof(Answer, code), .optional = true, .max = 599 },
        { "error", &field_text, offsetof(Answer, error), .optional = true, .max = TEXT_SIZE_MAX },
};

static const JsonTable answer_table = JSON_TABLE(Answer, answer_fields);

DEFINE_MESSAGE(Answer, answer)

/* heartbeat; refused and goodbye */

static const JsonField heartbeat_fields[] = {
        { "slots", &field_uint, offsetof(Heartbeat, slots), .max = N_SLOTS_MAX },
        { "running", &field_uint, offsetof(Heartbeat, running), .max = N_SLOTS_MAX },
        { "load", &field_uint, offsetof(Heartbeat, load), .optional = true, .max = 100000000 },
        { "sandbox", &field_bool, offsetof(Heartbeat, sandbox), .optional = true },
        { "parked", &field_uint, offsetof(Heartbeat, parked), .optional = true, .max = 1000000 },
        { "sandboxes", &field_uint, offsetof(Heartbeat, sandboxes), .optional = true, .max = 1000000 },
};

static const JsonTable heartbeat_table = JSON_TABLE(Heartbeat, heartbeat_fields);

int heartbeat_from_json(json_object *object, Heartbeat *ret, char **ret_error)
{
        *ret = (Heartbeat){};
        return json_read(&heartbeat_table, object, ret, ret_error);
}

json_object *heartbeat_to_json(const Heartbeat *heartbeat)
{
        return json_write(&heartbeat_table, heartbeat);
}

#define PROGRESS_TEXT_MAX 512U

static const JsonField progress_fields[] = {
        { "job", &field_text, offsetof(Progress, job), .is_valid = job_id_is_valid, .form = "a job's id" },
        { "token", &field_text, offsetof(Progress, token), .is_valid = token_is_valid, .form = "a token" },
        { "step", &field_uint, offsetof(Progress, step), .optional = true, .max = UINT32_MAX },
        { "steps", &field_uint, offsetof(Progress, n_steps), .optional = true, .max = UINT32_MAX },
        { "text", &field_text, offsetof(Progress, text), .max = PROGRESS_TEXT_MAX },
};

static const JsonTable progress_table = JSON_TABLE(Progress, progress_fields);

int progress_from_json(json_object *object, Progress *ret, char **ret_error)
{
        *ret = (Progress){};
        return json_read(&progress_table, object, ret, ret_error);
}

json_object *progress_to_json(const Progress *progress)
{
        return json_write(&progress_table, progress);
}

void progress_done(Progress *progress)
{
        json_done(&progress_table, progress);
}

static const JsonField notice_fields[] = {
        { "error", &field_text, offsetof(Notice, error), .optional = true, .max = TEXT_SIZE_MAX },
        { "reason", &field_text, offsetof(Notice, reason), .optional = true, .max = TEXT_SIZE_MAX },
};

static const JsonTable notice_table = JSON_TABLE(Notice, notice_fields);

DEFINE_MESSAGE(Notice, notice)
