/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts to a struct, by a table. An address is checked for what would make git do more than fetch: its
 * scheme is one of a few, and it is no option. */

#include "builder-settings.h"

#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "worker/settings.h"

#include <errno.h>
#include <stdio.h>

#define MIB              (UINT64_C(1024) * 1024)
#define GIB              (MIB * 1024)
#define ADDRESS_SIZE_MAX 2048U

static const BuilderSettings defaults = {
        .base_tls = true,
        .limits = {
                .memory_bytes = 4 * GIB,
                .processes = 1024,
                .cpu_percent = 200,
                .output_bytes = 16 * MIB,
                .written_bytes = 16 * GIB,
                .image_bytes = 4 * GIB,
        },
};

static const char *const suffixes[_CHANNEL_MAX] = {
        [CHANNEL_TEST_RUNNERS] = "test-runner",
        [CHANNEL_STATIC_ANALYZERS] = "analyzer",
        [CHANNEL_REPRESENTERS] = "representer",
};

void builder_settings_done(BuilderSettings *settings)
{
        for (size_t i = 0; i < _CHANNEL_MAX; i++)
                free(settings->sources[i]);
        free(settings->dockerfile);
        free(settings->socket);
        free(settings->ssh_key);
        free(settings->ssh_known_hosts);
        free(settings->base_auth);
        *settings = (BuilderSettings){};
}

static bool source_is_valid(const char *s)
{
        static const char *const schemes[] = { "https://", "ssh://", "git://", "http://", "file:///" };

        for (const char *c = s; *c; c++)
                if (*c <= ' ' || *c > '~')
                        return false;
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (string_after(s, schemes[i]))
                        return strlen(s) <= ADDRESS_SIZE_MAX;
        return false;
}

/* In the repository: no way out of it, and nothing that git reads otherwise. */
static bool path_is_inside(const char *s)
{
        return s[0] != '/' && s[0] != '-' && s[0] != ':' && !strstr(s, "..") && strlen(s) <= 255;
}

static bool path_is_absolute(const char *s)
{
        return s[0] == '/' && !strpbrk(s, " \t'\"\\$`");
}

typedef struct Variable {
        const char *name;
        size_t offset;
        bool (*is_valid)(const char *s);                 /* texts */
        int (*parse)(const char *text, uint64_t *value); /* numbers */
        const char *form;
} Variable;

static int parse_count(const char *text, uint64_t *ret)
{
        return parse_uint64(text, 1, UINT32_MAX, ret);
}

#define SOURCE_FORM "an address of repositories, such as https://git.example.org/{track}-{suffix}"

static const Variable variables[] = {
        { "SOURCE", offsetof(BuilderSettings, sources[CHANNEL_BUILDERS]), source_is_valid, NULL,
          SOURCE_FORM },
        { "SOURCE_TEST_RUNNERS", offsetof(BuilderSettings, sources[CHANNEL_TEST_RUNNERS]), source_is_valid,
          NULL, SOURCE_FORM },
        { "SOURCE_STATIC_ANALYZERS", offsetof(BuilderSettings, sources[CHANNEL_STATIC_ANALYZERS]),
          source_is_valid, NULL, SOURCE_FORM },
        { "SOURCE_REPRESENTERS", offsetof(BuilderSettings, sources[CHANNEL_REPRESENTERS]), source_is_valid,
          NULL, SOURCE_FORM },
        { "DOCKERFILE", offsetof(BuilderSettings, dockerfile), path_is_inside, NULL,
          "a path in the repository" },
        { "BUILD_SOCKET", offsetof(BuilderSettings, socket), path_is_absolute, NULL, "an absolute path" },
        { "SSH_KEY", offsetof(BuilderSettings, ssh_key), path_is_absolute, NULL, "an absolute path" },
        { "SSH_KNOWN_HOSTS", offsetof(BuilderSettings, ssh_known_hosts), path_is_absolute, NULL,
          "an absolute path" },
        { "BASE_AUTH", offsetof(BuilderSettings, base_auth), path_is_absolute, NULL, "an absolute path" },
        { "BUILD_MEMORY", offsetof(BuilderSettings, limits.memory_bytes), NULL, parse_size,
          "bytes, such as 4G" },
        { "BUILD_PROCESSES", offsetof(BuilderSettings, limits.processes), NULL, parse_count, "a number" },
        { "BUILD_CPU", offsetof(BuilderSettings, limits.cpu_percent), NULL, parse_count,
          "percent of one CPU" },
        { "BUILD_LOG", offsetof(BuilderSettings, limits.output_bytes), NULL, parse_size,
          "bytes, such as 16M" },
        { "BUILD_DISK", offsetof(BuilderSettings, limits.written_bytes), NULL, parse_size,
          "bytes, such as 16G" },
        { "IMAGE_SIZE", offsetof(BuilderSettings, limits.image_bytes), NULL, parse_size,
          "bytes, such as 4G" },
};

static int bad(char **ret_error, char *message)
{
        *ret_error = message;
        return message ? SETTINGS_BAD : -ENOMEM;
}

static int set_variable(BuilderSettings *settings, const Variable *variable, const char *text,
                        char **ret_error)
{
        void *place = (uint8_t *) settings + variable->offset;

        if (variable->parse ? variable->parse(text, place) < 0 : !variable->is_valid(text))
                return bad(ret_error,
                           string_format("%s=: %s is not %s", variable->name, text, variable->form));
        return variable->parse ? 0 : settings_set(place, text);
}

int builder_settings_init(BuilderSettings *ret, char *(*lookup)(const char *name), char **ret_error)
{
        _cleanup_(builder_settings_done) BuilderSettings settings = defaults;
        const char *tls = lookup("BASE_TLS");
        int r;

        r = settings_set(&settings.dockerfile, DOCKERFILE_DEFAULT);
        if (r >= 0)
                r = settings_set(&settings.socket, BUILD_SOCKET_DEFAULT);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(variables); i++) {
                const char *text = lookup(variables[i].name);

                if (text && *text != '\0')
                        r = set_variable(&settings, &variables[i], text, ret_error);
        }
        if (r == 0 && tls && *tls != '\0' && parse_bool(tls, &settings.base_tls) < 0)
                r = bad(ret_error, string_format("BASE_TLS=: %s is neither yes nor no", tls));
        if (r != 0)
                return r;
        *ret = settings;
        settings = (BuilderSettings){};
        return 0;
}

int builder_source(const BuilderSettings *settings, Channel channel, const char *track, char **ret,
                   char **ret_error)
{
        const char *template = settings->sources[channel] ?: settings->sources[CHANNEL_BUILDERS];
        const struct {
                const char *name, *value;
        } words[] = {
                { "{track}", track },
                { "{channel}", channel_to_string(channel) },
                { "{suffix}", suffixes[channel] },
        };
        _cleanup_(buffer_done) Buffer address = {};
        int r = 0;

        if (!template)
                return bad(ret_error,
                           string_format("this builder does not know where the sources of %s are: SOURCE= "
                                         "in its settings says so",
                                         channel_to_string(channel)));
        while (r == 0 && *template) {
                const char *rest = NULL;

                for (size_t i = 0; i < ARRAY_SIZE(words) && !rest; i++) {
                        rest = string_after(template, words[i].name);
                        if (rest)
                                r = buffer_append(&address, words[i].value, strlen(words[i].value),
                                                  ADDRESS_SIZE_MAX);
                }
                if (!rest) {
                        r = buffer_append(&address, template, 1, ADDRESS_SIZE_MAX);
                        rest = template + 1;
                }
                template = rest;
        }
        if (r == 0)
                r = buffer_append(&address, "", 1, ADDRESS_SIZE_MAX + 1);
        if (r == 0)
                *ret = (char *) TAKE_PTR(address.data);
        return r;
}
