/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of a worker: pure, from texts to a struct. Each text is checked before it may become part of a
 * path, an address or a message. */

#include "settings.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "shared/aws-sign.h"

#include <errno.h>

#define GENERIC_NAME   "any"
#define GENERIC_TOPIC  "*"
#define LIST_SEPARATOR " ,\t\n"

void settings_done(WorkerSettings *settings)
{
        free(settings->name);
        strv_free(settings->topics);
        free(settings->router);
        free(settings->key_file);
        key_file_done(&settings->key);
        free(settings->folder);
        registry_settings_done(&settings->registry);
        free(settings->images);
        free(settings->sandbox);
        strv_free(settings->input_folders);
        s3_settings_done(&settings->s3);
        *settings = (WorkerSettings){};
}

int settings_set(char **place, const char *text)
{
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*place);
        *place = copy;
        return 0;
}

/* The length of the track in a worker's name: without the dash and the digits at its end. */
static size_t track_length(const char *name)
{
        size_t length = strlen(name), n = length;

        while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9')
                n--;
        return n > 1 && n < length && name[n - 1] == '-' ? n - 1 : length;
}

static int set_track_of_name(WorkerSettings *settings)
{
        _cleanup_free_ char *track = strndup(settings->name, track_length(settings->name));

        if (!track)
                return -ENOMEM;
        return streq(track, GENERIC_NAME) ? 0 : strv_extend(&settings->topics, track);
}

int settings_init(WorkerSettings *settings, const char *name, char **ret_error)
{
        *settings = (WorkerSettings){ .channel = CHANNEL_TEST_RUNNERS,
                                      .slots = 1,
                                      .s3.object_size_max = S3_OBJECT_SIZE_MAX_DEFAULT };
        if (!slug_is_valid(name))
                return error_set(ret_error, SETTINGS_BAD,
                                 "a worker's name is made of letters, digits, '-' and '_', begins with a "
                                 "letter or digit, and has at most 64 of them");
        if (settings_set(&settings->name, name) < 0 || set_track_of_name(settings) < 0 ||
            settings_set(&settings->router, WORKER_ROUTER_DEFAULT) < 0 ||
            registry_settings_init(&settings->registry) < 0 ||
            settings_set(&settings->sandbox, WORKER_SANDBOX_DEFAULT) < 0 ||
            strv_extend(&settings->input_folders, WORKER_INPUT_FOLDER_DEFAULT) < 0)
                return -ENOMEM;
        return 0;
}

int settings_init_builder(WorkerSettings *settings, const char *name, char **ret_error)
{
        int r = settings_init(settings, name, ret_error);

        settings->channel = CHANNEL_BUILDERS;
        strv_free(settings->topics);
        settings->topics = NULL;
        return r;
}

/* What each variable, or part of an address, says. */

static int set_channel(WorkerSettings *settings, const char *text, char **ret_error)
{
        Channel channel = channel_from_string(text);

        if (settings->channel == CHANNEL_BUILDERS && channel != CHANNEL_BUILDERS)
                return error_set(ret_error, SETTINGS_BAD, "%s is not the channel of builders: builders",
                                 text);
        if (channel == _CHANNEL_INVALID ||
            (channel == CHANNEL_BUILDERS && settings->channel != CHANNEL_BUILDERS))
                return error_set(ret_error, SETTINGS_BAD,
                                 "%s is no channel of workers; there are test_runners, static_analyzers and "
                                 "representers",
                                 text);
        settings->channel = channel;
        return 0;
}

static int set_topics(WorkerSettings *settings, const char *text, char **ret_error)
{
        _cleanup_(strv_freep) char **words = NULL, **topics = NULL;
        int r = strv_split(text, LIST_SEPARATOR, &words);

        for (char **word = words; r == 0 && word && *word; word++) {
                if (streq(*word, GENERIC_TOPIC) || strv_contains(topics, *word))
                        continue;
                if (!slug_is_valid(*word))
                        return error_set(ret_error, SETTINGS_BAD, "%s is no track", *word);
                r = strv_extend(&topics, *word);
        }
        if (r < 0)
                return r;
        strv_free(settings->topics);
        settings->topics = TAKE_PTR(topics);
        return 0;
}

int settings_set_slots(WorkerSettings *settings, const char *text, char **ret_error)
{
        if (parse_uint64(text, 1, WORKER_SLOTS_MAX, &settings->slots) < 0)
                return error_set(ret_error, SETTINGS_BAD, "the number of slots is from 1 to %u, not %s",
                                 WORKER_SLOTS_MAX, text);
        return 0;
}

static int set_router(WorkerSettings *settings, const char *text, char **ret_error)
{
        if (!string_after(text, "tcp://") && !string_after(text, "ipc:///"))
                return error_set(ret_error, SETTINGS_BAD,
                                 "%s is no address of a router: it begins with tcp:// or ipc:///", text);
        return settings_set(&settings->router, text);
}

static int set_path(char **place, const char *text, char **ret_error)
{
        if (text[0] != '/')
                return error_set(ret_error, SETTINGS_BAD, "%s is no absolute path", text);
        return settings_set(place, text);
}

static int set_key_file(WorkerSettings *settings, const char *text, char **ret_error)
{
        return set_path(&settings->key_file, text, ret_error);
}

static int set_sandbox(WorkerSettings *settings, const char *text, char **ret_error)
{
        return set_path(&settings->sandbox, text, ret_error);
}

static int set_folder(WorkerSettings *settings, const char *text, char **ret_error)
{
        return set_path(&settings->folder, text, ret_error);
}

int settings_set_folder(WorkerSettings *settings, const char *folder)
{
        _cleanup_free_ char *current = folder[0] == '/' ? strdup("") : realpath(".", NULL), *path = NULL;

        if (!current)
                return -errno;
        path = string_format("%s%s%s", current, current[0] != '\0' ? "/" : "", folder);
        if (!path)
                return -ENOMEM;
        free(settings->folder);
        settings->folder = TAKE_PTR(path);
        return 0;
}

static int set_images(WorkerSettings *settings, const char *text, char **ret_error)
{
        _cleanup_free_ char *path = string_format("%s/images", text);

        return path ? set_path(&settings->images, path, ret_error) : -ENOMEM;
}

static int set_input_folders(WorkerSettings *settings, const char *text, char **ret_error)
{
        _cleanup_(strv_freep) char **folders = NULL;
        int r = strv_split(text, ":", &folders);

        if (r < 0)
                return r;
        for (char **folder = folders; folder && *folder; folder++)
                if (**folder != '/')
                        return error_set(ret_error, SETTINGS_BAD, "%s is no absolute path", *folder);
        strv_free(settings->input_folders);
        settings->input_folders = TAKE_PTR(folders);
        return 0;
}

/* S3. */

static int set_region(WorkerSettings *settings, const char *text, char **ret_error)
{
        if (!aws_region_is_valid(text))
                return error_set(ret_error, SETTINGS_BAD, "%s is no region", text);
        return settings_set(&settings->s3.region, text);
}

static int set_s3_region(WorkerSettings *settings, const char *text, char **ret_error)
{
        settings->wants_s3 = true;
        return set_region(settings, text, ret_error);
}

static int set_s3_endpoint(WorkerSettings *settings, const char *text, char **ret_error)
{
        _cleanup_free_ char *endpoint = strndup(text, strlen(text) - string_ends_with(text, "/"));

        if (!endpoint)
                return -ENOMEM;
        if (!s3_endpoint_is_valid(endpoint))
                return error_set(ret_error, SETTINGS_BAD,
                                 "%s is no endpoint; one looks like https://HOST or http://HOST:PORT", text);
        settings->wants_s3 = true;
        return settings_set(&settings->s3.endpoint, endpoint);
}

static int set_s3_addressing(WorkerSettings *settings, const char *text, char **ret_error)
{
        settings->s3.path_style = streq(text, "path");
        settings->s3.virtual_style = streq(text, "virtual");
        if (!settings->s3.path_style && !settings->s3.virtual_style)
                return error_set(ret_error, SETTINGS_BAD, "it is path or virtual, not %s", text);
        return 0;
}

static int set_s3_allow(WorkerSettings *settings, const char *text, char **ret_error)
{
        _cleanup_(strv_freep) char **words = NULL, **allowed = NULL;
        int r = strv_split(text, LIST_SEPARATOR, &words);

        for (char **word = words; r == 0 && word && *word; word++) {
                const char *place = string_after(*word, "s3://") ?: *word;

                if (!s3_allowed_is_valid(place))
                        return error_set(ret_error, SETTINGS_BAD, "%s is neither BUCKET nor BUCKET/FOLDER/",
                                         *word);
                r = strv_extend(&allowed, place);
        }
        if (r < 0)
                return r;
        strv_free(settings->s3.allowed);
        settings->s3.allowed = TAKE_PTR(allowed);
        settings->wants_s3 = true;
        return 0;
}

static int set_s3_object_size_max(WorkerSettings *settings, const char *text, char **ret_error)
{
        if (parse_size(text, &settings->s3.object_size_max) < 0)
                return error_set(ret_error, SETTINGS_BAD, "%s is no size", text);
        return 0;
}

/* That there are credentials for AWS says that it is to be used; they themselves are not looked at here. */
static int note_credentials(WorkerSettings *settings, const char *text, char **ret_error)
{
        settings->wants_s3 = true;
        return 0;
}

int settings_from_environment(WorkerSettings *settings, char *(*lookup)(const char *name), char **ret_error)
{
        static const struct {
                const char *name;
                int (*set)(WorkerSettings *settings, const char *text, char **ret_error);
        } variables[] = {
                { "CHANNEL", set_channel },
                { "TOPICS", set_topics },
                { "SLOTS", settings_set_slots },
                { "ROUTER", set_router },
                { "ROUTER_KEY", set_key_file },
                { "SANDBOX", set_sandbox },
                { "INPUT_FOLDERS", set_input_folders },
                { "STATE_DIRECTORY", set_folder },
                { "CACHE_DIRECTORY", set_images },
                { "AWS_DEFAULT_REGION", set_region },
                { "AWS_REGION", set_region },
                { "S3_REGION", set_s3_region },
                { "S3_ENDPOINT", set_s3_endpoint },
                { "S3_ADDRESSING", set_s3_addressing },
                { "S3_ALLOW", set_s3_allow },
                { "S3_OBJECT_SIZE_MAX", set_s3_object_size_max },
                { "AWS_ACCESS_KEY_ID", note_credentials },
                { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", note_credentials },
                { "AWS_CONTAINER_CREDENTIALS_FULL_URI", note_credentials },
        };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                _cleanup_free_ char *error = NULL;
                const char *text = lookup(variables[i].name);
                int r;

                if (!text || *text == '\0')
                        continue;
                r = variables[i].set(settings, text, &error);
                if (r != 0)
                        return r < 0 ? r
                                     : error_set(ret_error, SETTINGS_BAD, "%s=: %s", variables[i].name,
                                                 error);
        }
        return registry_settings_from_environment(&settings->registry, lookup, ret_error);
}

/* topic=T&topic=U */
static int set_query(WorkerSettings *settings, char *query, char **ret_error)
{
        _cleanup_free_ char *topics = strdup("");

        for (char *item; topics && (item = strsep(&query, "&"));) {
                const char *topic = string_after(item, "topic=");
                char *longer;

                if (!topic || (!slug_is_valid(topic) && !streq(topic, GENERIC_TOPIC)))
                        return error_set(ret_error, SETTINGS_BAD, "%s is not topic=TRACK", item);
                longer = string_format("%s %s", topics, topic);
                free(topics);
                topics = longer;
        }
        return topics ? set_topics(settings, topics, ret_error) : -ENOMEM;
}

int settings_from_address(WorkerSettings *settings, const char *address, char **ret_error)
{
        _cleanup_free_ char *copy = strdup(address);
        char *rest = copy, *place, *channel, *query;
        int r;

        if (!copy)
                return -ENOMEM;
        place = strsep(&rest, "?");
        query = rest;
        channel = strrchr(place, '/');
        if (!channel || channel == place || channel[-1] == '/' || channel[-1] == ':')
                return error_set(ret_error, SETTINGS_BAD,
                                 "%s has no channel; an address looks like "
                                 "tcp://localhost:5555/test_runners?topic=ruby",
                                 address);
        *channel++ = '\0';
        r = set_channel(settings, channel, ret_error);
        if (r == 0)
                r = set_router(settings, place, ret_error);
        if (r != 0)
                return r;
        return query ? set_query(settings, query, ret_error) : set_topics(settings, "", ret_error);
}

int settings_read_key(WorkerSettings *settings, char **ret_error)
{
        _cleanup_free_ char *credential = NULL, *error = NULL;
        const char *path = settings->key_file;
        int r = path ? 0 : key_file_credential(&credential);

        if (r < 0 || (!path && !credential))
                return r;
        r = key_file_read_peer(path ?: credential, &settings->key, &error);
        if (r == KEY_NONE && !path)
                return 0;
        if (r == KEY_NONE || r == KEY_BAD)
                return error_set(ret_error, SETTINGS_BAD, "the key for the router cannot be used: %s",
                                 error ?: "there is no such file");
        if (r < 0)
                return error_set(ret_error, SETTINGS_BAD, "the key for the router cannot be read: %s",
                                 strerror(-r));
        return 0;
}
