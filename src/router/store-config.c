/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's file, by tables. Settings are layered: what holds where nothing is set, what the channel
 * says, what the track says; so a channel's `settings` are read before its tracks, wherever they stand.
 * Where keys are the router's alone, an unknown one is refused. Beside what others may have noted (at the
 * top, in a track, in a version) it is passed over, and told: unless it is the name of a setting, which
 * would silently not hold there. */

#include "store-config.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define WALL_MAX_DEFAULT (60 * USEC_PER_SEC)
#define N_TRACKS_MAX     10000U
#define N_UNKNOWN_MAX    20U

/* What one channel's mapping is read with. */
typedef struct ChannelWalk {
        StoreConfig *config;
        Channel channel;
        StoreTrack base;
} ChannelWalk;

static void track_done(StoreTrack *track)
{
        free(track->settings.track);
        free(track->settings.profile);
        free(track->settings.canary_exercise);
        free(track->settings.canary_input);
        strv_free(track->settings.entrypoint);
        version_list_done(&track->versions);
        *track = (StoreTrack){};
}

StoreConfig *store_config_free(StoreConfig *config)
{
        if (!config)
                return NULL;
        for (size_t i = 0; i < config->n_tracks; i++) {
                track_done(config->tracks[i]);
                free(config->tracks[i]);
        }
        free(config->tracks);
        hashmap_free(config->by_name);
        strv_free(config->unknown);
        free(config);
        return NULL;
}

static char *track_key(Channel channel, const char *track)
{
        return string_format("%s/%s", channel_to_string(channel), track);
}

const StoreTrack *store_config_track(const StoreConfig *config, Channel channel, const char *track)
{
        _cleanup_free_ char *key = track_key(channel, track);

        return key ? hashmap_get_str(config->by_name, key) : NULL;
}

bool store_track_name_is_valid(const char *track)
{
        return slug_is_valid(track) && !streq(track, "settings") && !streq(track, "shared_queue");
}

/* Names */

static int read_profile(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        const char *s = conf_scalar(node);
        char *copy;

        if (!s || !slug_is_valid(s))
                return conf_bad(walk, node, "must be the name of a profile");
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        free(*(char **) target);
        *(char **) target = copy;
        return 0;
}

/* `off`, `on`, or the exercise and the input of a job that must be answered 200. */
static int read_canary(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        TrackSettings *settings = target;
        bool is_pair = node->type == YAML_MAPPING_NODE &&
                       node->data.mapping.pairs.top - node->data.mapping.pairs.start == 2;
        yaml_node_t *exercise = is_pair ? conf_get(walk->document, node, "exercise") : NULL;
        yaml_node_t *input = is_pair ? conf_get(walk->document, node, "input") : NULL;
        const char *word = conf_scalar(node), *slug = exercise ? conf_scalar(exercise) : NULL;
        const char *uri = input ? conf_scalar(input) : NULL;
        bool is_on = false;

        if (word ? parse_bool(word, &is_on) < 0
                 : !slug || !slug_is_valid(slug) || !uri || strlen(uri) > CANARY_INPUT_MAX)
                return conf_bad(walk, node, "must be on, off, or {exercise: …, input: URI}");
        free(settings->canary_exercise);
        free(settings->canary_input);
        settings->canary_exercise = slug ? strdup(slug) : NULL;
        settings->canary_input = uri ? strdup(uri) : NULL;
        settings->canary_is_off = word && !is_on;
        return slug && (!settings->canary_exercise || !settings->canary_input) ? -ENOMEM : 0;
}

static int read_switch(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        const char *s = conf_scalar(node);

        return s && parse_bool(s, target) == 0 ? 0 : conf_bad(walk, node, "must be yes or no");
}

static int read_roles(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        _cleanup_(strv_freep) char **names = NULL;
        Role roles = 0;
        int r = conf_texts(walk, key, node, &names);

        for (char **name = names; r == 0 && name && *name; name++) {
                Role role = role_from_string(*name);

                if (!role)
                        r = conf_bad(walk, node, "must be a list of worker, submit, deploy, admin");
                roles |= role;
        }
        if (r == 0)
                *(Role *) target = roles;
        return r;
}

static int note_ports(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        StoreConfig *config = walk->userdata;

        config->has_ports = true;
        return 0;
}

/* Settings */

#define SETTING(key_, type_, handler_, member_, min_, max_)                           \
        {                                                                             \
                .key = (key_), .type = (type_), .handler = (handler_),                \
                .offset = offsetof(StoreTrack, member_), .min = (min_), .max = (max_) \
        }
#define LIMIT(key_, handler_, member_, min_, max_) \
        SETTING(key_, YAML_SCALAR_NODE, handler_, settings.limits.member_, min_, max_)

static const ConfKey setting_keys[] = {
        LIMIT("execution_timeout", conf_span, wall_usec, USEC_PER_MSEC, 86400 * USEC_PER_SEC),
        SETTING("execution_timeout_max", YAML_SCALAR_NODE, conf_span, wall_max_usec, USEC_PER_MSEC,
                86400 * USEC_PER_SEC),
        LIMIT("memory", conf_size, memory_bytes, MIB, 1024 * GIB),
        LIMIT("processes", conf_uint, processes, 1, 1000000),
        LIMIT("cpu_percent", conf_uint, cpu_percent, 1, 100000),
        LIMIT("output", conf_size, output_bytes, 1, GIB),
        LIMIT("result", conf_size, result_bytes, 1, 4 * MIB),
        LIMIT("written", conf_size, written_bytes, 4 * KIB, 1024 * GIB),
        LIMIT("inodes", conf_uint, inodes, 16, 100000000),
        LIMIT("open_files", conf_uint, open_files, 16, 1048576),
        SETTING("profile", YAML_SCALAR_NODE, read_profile, settings.profile, 0, 0),
        SETTING("entrypoint", YAML_SEQUENCE_NODE, conf_texts, settings.entrypoint, 0, 256),
        SETTING("canary", YAML_NO_NODE, read_canary, settings, 0, 0),
        SETTING("late_success", YAML_SCALAR_NODE, read_switch, settings.late_success, 0, 0),
};

static bool is_setting(const char *key)
{
        for (size_t i = 0; i < ARRAY_SIZE(setting_keys); i++)
                if (streq(setting_keys[i].key, key))
                        return true;
        return false;
}

/* Keys that are not in their place, and those of others */

static int refuse_setting(ConfWalk *walk)
{
        return conf_bad(walk, walk->key_node,
                        "is a setting, and holds only below `settings:` of a track or a channel");
}

static int note_unknown(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        StoreConfig *config = walk->userdata;
        _cleanup_free_ char *path = NULL, *place = NULL;

        if (is_setting(walk->key))
                return refuse_setting(walk);
        if (config->n_unknown++ >= N_UNKNOWN_MAX)
                return 0;
        path = conf_path(walk);
        if (path)
                place = string_format("%zu:%zu: %s", walk->key_node->start_mark.line + 1,
                                      walk->key_node->start_mark.column + 1, path);
        return place ? strv_extend(&config->unknown, place) : -ENOMEM;
}

/* Versions: a text, or {version, digest}. */

static int read_version(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        const char *s = conf_scalar(node);

        if (!s || !version_is_valid(s))
                return conf_bad(walk, node, "must be a version, or {version: …, digest: …}");
        *(const char **) target = s;
        return 0;
}

static int read_digest(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        const char *s = conf_scalar(node);

        if (!s || !digest_is_valid(s))
                return conf_bad(walk, node, "must be sha256: and 64 hexadecimal digits");
        *(const char **) target = s;
        return 0;
}

static const ConfKey version_keys[] = {
        { "version", YAML_NO_NODE, read_version, offsetof(VersionItem, version) },
        { "digest", YAML_NO_NODE, read_digest, offsetof(VersionItem, digest) },
        { .key = NULL, .handler = note_unknown },
};

static int version_node(ConfWalk *walk, yaml_node_t *node, VersionItem *ret)
{
        int r = 0;

        if (node->type == YAML_MAPPING_NODE)
                r = conf_walk(walk, node, version_keys, ARRAY_SIZE(version_keys), ret);
        return r == 0 && !ret->version ? read_version(walk, NULL, node, &ret->version) : r;
}

static int read_versions(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        StoreTrack *track = target;

        for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top;
             item++) {
                VersionItem version = { .track = track->settings.track };
                yaml_node_t *value = yaml_document_get_node(walk->document, *item);
                int r = version_node(walk, value, &version);

                if (r == 0 && !version_list_find(&track->versions, version.track, version.version))
                        r = version_list_add(&track->versions, &version);
                if (r == -E2BIG)
                        return conf_bad(walk, value, "has too many versions");
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Tracks */

static int copy_canary(const TrackSettings *base, TrackSettings *ret)
{
        ret->canary_is_off = base->canary_is_off;
        if (!base->canary_exercise)
                return 0;
        ret->canary_exercise = strdup(base->canary_exercise);
        ret->canary_input = strdup(base->canary_input);
        return ret->canary_exercise && ret->canary_input ? 0 : -ENOMEM;
}

static int copy_base(const StoreTrack *base, Channel channel, const char *name, StoreTrack *ret)
{
        *ret = (StoreTrack){
                .channel = channel,
                .settings = { .limits = base->settings.limits,
                              .late_success = base->settings.late_success,
                              .track = strdup(name),
                              .profile = strdup(base->settings.profile) },
                .wall_max_usec = base->wall_max_usec,
        };
        if (!ret->settings.track || !ret->settings.profile)
                return -ENOMEM;
        for (char **s = base->settings.entrypoint; s && *s; s++)
                if (strv_extend(&ret->settings.entrypoint, *s) < 0)
                        return -ENOMEM;
        return copy_canary(&base->settings, &ret->settings);
}

/* Takes over the track on success. */
static int config_add_track(StoreConfig *config, StoreTrack *track)
{
        _cleanup_free_ char *key = track_key(track->channel, track->settings.track);
        StoreTrack **grown = reallocarray(config->tracks, config->n_tracks + 1, sizeof(StoreTrack *));
        int r;

        if (grown)
                config->tracks = grown;
        if (!key || !grown)
                return -ENOMEM;
        r = hashmap_put_str(config->by_name, key, track);
        if (r == 0)
                config->tracks[config->n_tracks++] = track;
        return r;
}

static const ConfKey track_keys[] = {
        { "queue", YAML_NO_NODE, note_ports },
        { "worker_versions", YAML_SEQUENCE_NODE, read_versions },
        { "settings", YAML_MAPPING_NODE, conf_mapping, .table = setting_keys,
          .n_table = ARRAY_SIZE(setting_keys) },
        { .key = NULL, .handler = note_unknown },
};

/* A canary is a mapping, too. */
static bool is_like_track(yaml_document_t *document, yaml_node_t *node)
{
        return node->type == YAML_MAPPING_NODE && !conf_get(document, node, "exercise") &&
               !conf_get(document, node, "input");
}

static int read_track(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        ChannelWalk *channel = target;
        StoreTrack *track;
        int r;

        if (is_setting(walk->key) && !is_like_track(walk->document, node))
                return refuse_setting(walk);
        if (!slug_is_valid(walk->key))
                return conf_bad(walk, walk->key_node, "is not the name of a track");
        if (channel->config->n_tracks >= N_TRACKS_MAX)
                return conf_bad(walk, node, "there are too many tracks");
        track = calloc(1, sizeof(StoreTrack));
        if (!track)
                return -ENOMEM;
        r = copy_base(&channel->base, channel->channel, walk->key, track);
        if (r == 0)
                r = conf_walk(walk, node, track_keys, ARRAY_SIZE(track_keys), track);
        if (r == 0)
                r = config_add_track(channel->config, track);
        if (r == -EEXIST)
                r = conf_bad(walk, node, "the track stands in two channels that are one");
        if (r != 0) {
                track_done(track);
                free(track);
                return r;
        }
        track->wall_max_usec = MAX(track->wall_max_usec, track->settings.limits.wall_usec);
        return 0;
}

/* Channels */

static const ConfKey channel_keys[] = {
        { "shared_queue", YAML_NO_NODE, note_ports },
        { "settings", YAML_MAPPING_NODE, NULL }, /* read before */
        { .key = NULL, .handler = read_track },
};

static int read_channel_settings(ConfWalk *walk, yaml_node_t *node, ChannelWalk *channel)
{
        yaml_node_t *settings = conf_get(walk->document, node, "settings");
        ConfWalk below = *walk;

        channel->base.settings.limits = limits_default;
        channel->base.wall_max_usec = WALL_MAX_DEFAULT;
        channel->base.settings.profile = strdup("default");
        if (!channel->base.settings.profile)
                return -ENOMEM;
        if (!settings)
                return 0;
        below.parent = walk;
        below.key = "settings";
        return conf_walk(&below, settings, setting_keys, ARRAY_SIZE(setting_keys), &channel->base);
}

static int read_channel(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        ChannelWalk channel = { .config = target, .channel = channel_from_string(walk->key) };
        int r;

        if (channel.channel == _CHANNEL_INVALID)
                return conf_bad(walk, walk->key_node,
                                "is not a channel: test_runners, static_analyzers, representers, "
                                "builders");
        r = read_channel_settings(walk, node, &channel);
        if (r == 0)
                r = conf_walk(walk, node, channel_keys, ARRAY_SIZE(channel_keys), &channel);
        track_done(&channel.base);
        return r;
}

/* The file */

#define TIME(key_, member_, hours_max_)                                                    \
        {                                                                                  \
                (key_), YAML_SCALAR_NODE, conf_span, offsetof(StoreConfig, times.member_), \
                        10 * USEC_PER_MSEC, (hours_max_) *3600 * USEC_PER_SEC              \
        }

/* An hour is the most that a worker is told of (proto/job.c, proto/peer-message.c). */
static const ConfKey time_keys[] = {
        TIME("queue", queue_usec, 24),   TIME("setup", setup_usec, 1),
        TIME("margin", margin_usec, 24), TIME("heartbeat", heartbeat_usec, 1),
        TIME("dead", dead_usec, 1),      TIME("registry", registry_usec, 24),
        TIME("build", build_usec, 24),
};

static const ConfKey peer_keys[] = {
        { "requests", YAML_SCALAR_NODE, conf_uint, offsetof(PeerLimits, requests), 0, 10000000 },
        { "memory", YAML_SCALAR_NODE, conf_size, offsetof(PeerLimits, memory_bytes), 0, 64 * GIB },
        { "rate", YAML_SCALAR_NODE, conf_uint, offsetof(PeerLimits, rate), 0, USEC_PER_SEC },
};

#define PEER(key_, scope_)                                                                    \
        {                                                                                     \
                .key = (key_), .type = YAML_MAPPING_NODE, .handler = conf_mapping,            \
                .offset = offsetof(StoreConfig, peer_limits) + (scope_) * sizeof(PeerLimits), \
                .table = peer_keys, .n_table = ARRAY_SIZE(peer_keys)                          \
        }

static const ConfKey any_channel[] = { { .key = NULL, .handler = read_channel } };

static int note_other(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        StoreConfig *config = walk->userdata;

        if (streq(walk->key, "settings"))
                return conf_bad(walk, walk->key_node,
                                "holds only in a track or a channel, below `workers:`");
        if (!string_after(walk->key, "aws_"))
                return note_unknown(walk, key, node, target);
        config->has_aws = true;
        return 0;
}

static const ConfKey file_keys[] = {
        { "loopback_roles", YAML_SEQUENCE_NODE, read_roles, offsetof(StoreConfig, loopback_roles) },
        { "times", YAML_MAPPING_NODE, conf_mapping, .table = time_keys, .n_table = ARRAY_SIZE(time_keys) },
        { "queue_length", YAML_SCALAR_NODE, conf_uint, offsetof(StoreConfig, queue_length), 0, 1000000 },
        { "request_memory", YAML_SCALAR_NODE, conf_size, offsetof(StoreConfig, memory_bytes), MIB,
          64 * GIB },
        { "answer_memory", YAML_SCALAR_NODE, conf_size, offsetof(StoreConfig, kept_bytes), 0, 64 * GIB },
        PEER("peer_limits", PEER_PRINCIPAL),
        PEER("connection_limits", PEER_CONNECTION),
        { "workers", YAML_MAPPING_NODE, conf_mapping, .table = any_channel,
          .n_table = ARRAY_SIZE(any_channel) },
        { .key = NULL, .handler = note_other },
};

static const StoreConfig defaults = {
        .times = { .queue_usec = 10 * USEC_PER_SEC,
                   .setup_usec = 10 * USEC_PER_SEC,
                   .margin_usec = 2 * USEC_PER_SEC,
                   .heartbeat_usec = USEC_PER_SEC,
                   .dead_usec = 4 * USEC_PER_SEC,
                   .registry_usec = 30 * USEC_PER_SEC,
                   .build_usec = 1800 * USEC_PER_SEC },
        .queue_length = 1000,
        .memory_bytes = 64 * MIB,
        .kept_bytes = 16 * MIB,
};

static int walk_file(StoreConfig *config, yaml_document_t *document, ConfError *ret_error)
{
        ConfWalk walk = { .document = document, .error = ret_error, .userdata = config };
        yaml_node_t *root = yaml_document_get_root_node(document);
        int r = conf_walk(&walk, root, file_keys, ARRAY_SIZE(file_keys), config);

        if (r == 0 && config->times.dead_usec < 2 * config->times.heartbeat_usec)
                r = conf_bad(&walk, root, "times.dead must be at least two times times.heartbeat");
        return r;
}

int store_config_parse(const char *text, size_t size, StoreConfig **ret, ConfError *ret_error)
{
        _cleanup_(store_config_freep) StoreConfig *config = malloc(sizeof(StoreConfig));
        yaml_document_t document;
        int r;

        if (!config)
                return -ENOMEM;
        *config = defaults;
        config->by_name = hashmap_new();
        if (!config->by_name)
                return -ENOMEM;
        r = conf_parse(text, size, &document, ret_error);
        if (r != 0)
                return r;
        r = walk_file(config, &document, ret_error);
        yaml_document_delete(&document);
        if (r == 0)
                *ret = TAKE_PTR(config);
        return r;
}
