/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store in a YAML file. A change is made to the document that lies on the disk now, not to what was read
 * once: what an operator wrote in the meantime stays, and so do keys nobody here knows. The new text is read
 * like any other before it replaces the file; until then nothing has changed, neither there nor here. */

#include "store.h"

#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_MODE 0640

struct Store {
        char *path;
        StoreConfig *config;
        bool is_stale;
};

Store *store_free(Store *store)
{
        if (!store)
                return NULL;
        free(store->path);
        store_config_free(store->config);
        free(store);
        return NULL;
}

bool store_is_stale(const Store *store)
{
        return store->is_stale;
}

const StoreConfig *store_config(const Store *store)
{
        return store->config;
}

/* Reading */

static int bad(const ConfError *error, const char *path, char **ret_error)
{
        *ret_error = conf_error_text(error, path);
        return *ret_error ? STORE_BAD : -ENOMEM;
}

static int parse(const char *path, const char *text, size_t size, StoreConfig **ret, char **ret_error)
{
        _cleanup_(conf_error_done) ConfError error = {};
        int r = store_config_parse(text, size, ret, &error);

        return r == CONF_BAD ? bad(&error, path, ret_error) : r;
}

static int read_text(const char *path, char **ret_text, size_t *ret_size, char **ret_error)
{
        int r = read_file_at(AT_FDCWD, path, CONF_SIZE_MAX, ret_text, ret_size);

        if (r != -EFBIG)
                return r;
        return error_set(ret_error, STORE_BAD, "%s: larger than 8 MiB", path);
}

static int read_config(const char *path, StoreConfig **ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = read_text(path, &text, &size, ret_error);

        return r == 0 ? parse(path, text, size, ret, ret_error) : r;
}

static void tell_old_keys(const Store *store)
{
        const StoreConfig *config = store->config;

        if (config->has_ports)
                log_struct(LOG_NOTICE, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_OLD_KEYS }),
                           "%s: the ports of queues mean nothing any more: all meet at one port",
                           store->path);
        if (config->has_aws)
                log_struct(LOG_NOTICE, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_OLD_KEYS }),
                           "%s: aws_* keys are not used here: keys belong to the workers, see "
                           "pipeline-worker(8)",
                           store->path);
        for (char **place = config->unknown; place && *place; place++)
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_OLD_KEYS }),
                           "%s:%s: unknown key, means nothing and is kept as it is", store->path, *place);
        if (config->n_unknown > strv_length(config->unknown))
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_OLD_KEYS }),
                           "%s: and %zu more unknown keys", store->path,
                           config->n_unknown - strv_length(config->unknown));
}

static void take_config(Store *store, StoreConfig *config)
{
        store_config_free(store->config);
        store->config = config;
        store->is_stale = false;
}

int store_reload(Store *store, char **ret_error)
{
        StoreConfig *config;
        int r = read_config(store->path, &config, ret_error);

        store->is_stale = r != 0;
        if (r != 0)
                return r;
        take_config(store, config);
        tell_old_keys(store);
        return 0;
}

/* The file from its template, which is checked first. */
static int plant(const char *path, const char *seed, char **ret_error)
{
        _cleanup_(store_config_freep) StoreConfig *config = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = 0;

        if (seed) {
                r = read_text(seed, &text, &size, ret_error);
                if (r == -ENOENT)
                        return error_set(ret_error, STORE_BAD,
                                         "%s: is not there, and neither is there a template: %s", path,
                                         seed);
                if (r == 0)
                        r = parse(seed, text, size, &config, ret_error);
        }
        return r == 0 ? write_file_atomic(path, text ?: "", size, FILE_MODE) : r;
}

/* A router that was killed while it wrote leaves the temporary file of write_file_atomic(). */
static void sweep(const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_free_ char *folder_path = slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");
        _cleanup_free_ char *prefix = string_format("%s.new-", name);
        _cleanup_folder_ DIR *folder = folder_path && prefix ? opendir(folder_path) : NULL;
        struct dirent *entry;

        while (folder && folder_next(folder, &entry) > 0) {
                const char *rest = string_after(entry->d_name, prefix);

                if (rest && strlen(rest) == 6 && entry->d_type == DT_REG)
                        (void) unlinkat(dirfd(folder), entry->d_name, 0);
        }
}

int store_open(const char *path, const char *seed, Store **ret, char **ret_error)
{
        _cleanup_(store_freep) Store *store = calloc(1, sizeof(Store));
        int r;

        if (!store)
                return -ENOMEM;
        store->path = strdup(path);
        if (!store->path)
                return -ENOMEM;
        sweep(path);
        r = store_reload(store, ret_error);
        if (r == -ENOENT) {
                r = plant(path, seed, ret_error);
                if (r == 0)
                        r = store_reload(store, ret_error);
        }
        if (r == 0)
                *ret = TAKE_PTR(store);
        return r;
}

/* Changing a document. Nodes are named by their ids: adding one may move all. */

static int node_id(yaml_document_t *document, const yaml_node_t *node)
{
        return (int) (node - document->nodes.start) + 1;
}

static int add_text(yaml_document_t *document, const char *text)
{
        return yaml_document_add_scalar(document, NULL, (const yaml_char_t *) text, (int) strlen(text),
                                        YAML_PLAIN_SCALAR_STYLE);
}

/* Sets a key of a mapping, in its place where it is there already. */
static int set_key(yaml_document_t *document, int mapping, const char *key, int value)
{
        yaml_node_t *node = yaml_document_get_node(document, mapping);
        int name;

        if (value == 0)
                return -ENOMEM;
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
             pair++) {
                const char *s = conf_scalar(yaml_document_get_node(document, pair->key));

                if (s && streq(s, key)) {
                        pair->value = value;
                        return 0;
                }
        }
        name = add_text(document, key);
        return name > 0 && yaml_document_append_mapping_pair(document, mapping, name, value) ? 0 : -ENOMEM;
}

/* The mapping under a key, made where there is none. */
static int enter_key(yaml_document_t *document, int mapping, const char *key)
{
        const yaml_node_t *node = conf_get(document, yaml_document_get_node(document, mapping), key);
        int made, r;

        if (node && node->type == YAML_MAPPING_NODE)
                return node_id(document, node);
        made = yaml_document_add_mapping(document, NULL, YAML_BLOCK_MAPPING_STYLE);
        r = set_key(document, mapping, key, made);
        return r < 0 ? r : made;
}

/* A channel may stand there under another of its names. */
static int enter_channel(yaml_document_t *document, int workers, Channel channel)
{
        const yaml_node_t *node = yaml_document_get_node(document, workers);

        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
             pair++) {
                const char *s = conf_scalar(yaml_document_get_node(document, pair->key));

                if (s && channel_from_string(s) == channel)
                        return enter_key(document, workers, s);
        }
        return enter_key(document, workers, channel_to_string(channel));
}

/* The mapping of a version in the list as it is, or 0: keys of others in it stay. */
static int find_version(yaml_document_t *document, int track, const char *version)
{
        const yaml_node_t *list =
                conf_get(document, yaml_document_get_node(document, track), "worker_versions");

        if (!list || list->type != YAML_SEQUENCE_NODE)
                return 0;
        for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top;
             item++) {
                const yaml_node_t *node = yaml_document_get_node(document, *item), *name;

                if (node->type != YAML_MAPPING_NODE)
                        continue;
                name = conf_get(document, node, "version");
                if (name && conf_scalar(name) && streq(conf_scalar(name), version))
                        return *item;
        }
        return 0;
}

static int add_version(yaml_document_t *document, int track, const VersionItem *item)
{
        int node = find_version(document, track, item->version), r = 0;

        if (node == 0 && !item->digest)
                return add_text(document, item->version);
        if (node == 0) {
                node = yaml_document_add_mapping(document, NULL, YAML_BLOCK_MAPPING_STYLE);
                if (node > 0)
                        r = set_key(document, node, "version", add_text(document, item->version));
        }
        if (node > 0 && r == 0 && item->digest)
                r = set_key(document, node, "digest", add_text(document, item->digest));
        return r < 0 ? 0 : node;
}

static int edit(yaml_document_t *document, Channel channel, const char *name, const VersionList *versions)
{
        int workers = enter_key(document, 1, "workers"), in_channel, track, list;

        in_channel = workers < 0 ? workers : enter_channel(document, workers, channel);
        track = in_channel < 0 ? in_channel : enter_key(document, in_channel, name);
        if (track < 0)
                return track;
        list = yaml_document_add_sequence(document, NULL, YAML_BLOCK_SEQUENCE_STYLE);
        for (size_t i = 0; list > 0 && i < versions->n_items; i++) {
                int item = add_version(document, track, &versions->items[i]);

                if (item == 0 || !yaml_document_append_sequence_item(document, list, item))
                        return -ENOMEM;
        }
        return set_key(document, track, "worker_versions", list);
}

/* Writing */

static int write_chunk(void *userdata, unsigned char *data, size_t size)
{
        return buffer_append(userdata, data, size, CONF_SIZE_MAX) == 0;
}

/* Consumes the document. */
static int document_text(yaml_document_t *document, Buffer *text)
{
        yaml_emitter_t emitter;
        bool ok;

        if (!yaml_emitter_initialize(&emitter)) {
                yaml_document_delete(document);
                return -ENOMEM;
        }
        yaml_emitter_set_output(&emitter, write_chunk, text);
        yaml_emitter_set_unicode(&emitter, true);
        yaml_emitter_set_width(&emitter, -1);
        document->start_implicit = document->end_implicit = true;
        ok = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, document) &&
             yaml_emitter_close(&emitter);
        yaml_emitter_delete(&emitter);
        return ok ? 0 : -EFBIG;
}

/* The file's document, checked, and what it says. */
static int load_document(const Store *store, yaml_document_t *ret, StoreConfig **ret_config,
                         char **ret_error)
{
        _cleanup_(conf_error_done) ConfError error = {};
        _cleanup_(store_config_freep) StoreConfig *config = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = read_text(store->path, &text, &size, ret_error);

        if (r != 0)
                return r;
        r = parse(store->path, text, size, &config, ret_error);
        if (r != 0)
                return r;
        r = conf_parse(text, size, ret, &error);
        if (r == 0)
                *ret_config = TAKE_PTR(config);
        return r == CONF_BAD ? bad(&error, store->path, ret_error) : r;
}

static bool versions_are_same(const VersionList *a, const VersionList *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++) {
                const char *one = a->items[i].digest ?: "", *other = b->items[i].digest ?: "";

                if (!streq(a->items[i].version, b->items[i].version) || !streq(one, other))
                        return false;
        }
        return true;
}

/* An alias in the file makes one node stand in two places: a change would be made to both. */
static int check_others(const Store *store, const StoreConfig *before, const StoreConfig *after,
                        const StoreTrack *changed, char **ret_error)
{
        for (size_t i = 0; i < before->n_tracks; i++) {
                const StoreTrack *track = before->tracks[i];
                const StoreTrack *now = store_config_track(after, track->channel, track->settings.track);
                bool is_same = now && versions_are_same(&track->versions, &now->versions);

                if (is_same || now == changed)
                        continue;
                return error_set(ret_error, STORE_BAD,
                                 "%s: workers.%s.%s is an alias of what is to be changed: write it out",
                                 store->path, channel_to_string(track->channel), track->settings.track);
        }
        return 0;
}

int store_set_versions(Store *store, Channel channel, const char *track, const VersionList *versions,
                       char **ret_error)
{
        _cleanup_(store_config_freep) StoreConfig *config = NULL, *before = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        yaml_document_t document;
        int r = load_document(store, &document, &before, ret_error);

        if (r != 0)
                return r;
        r = edit(&document, channel, track, versions);
        if (r < 0) {
                yaml_document_delete(&document);
                return r;
        }
        r = document_text(&document, &text);
        if (r == 0)
                r = parse(store->path, (const char *) text.data, text.size, &config, ret_error);
        if (r == 0)
                r = check_others(store, before, config, store_config_track(config, channel, track),
                                 ret_error);
        if (r == 0)
                r = write_file_atomic(store->path, text.data, text.size, FILE_MODE);
        if (r == 0)
                take_config(store, TAKE_PTR(config));
        return r;
}
