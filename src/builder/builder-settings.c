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
        strv_free(settings->base_hosts);
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

/* git has the shell take the command for ssh apart: none of what means something there. */
static bool path_is_absolute(const char *s)
{
        return s[0] == '/' && !strpbrk(s, " \t\r\n'\"\\$`;&|<>()*?[]{}#!");
}

/* Texts to members: 0, -ENOMEM, or another error where the text has not the form. */

static int set_source(const char *text, void *member)
{
        return source_is_valid(text) ? settings_set(member, text) : -EINVAL;
}

static int set_inside(const char *text, void *member)
{
        return path_is_inside(text) ? settings_set(member, text) : -EINVAL;
}

static int set_path(const char *text, void *member)
{
        return path_is_absolute(text) ? settings_set(member, text) : -EINVAL;
}

static int set_list(const char *text, void *member)
{
        char ***list = member;
        int r;

        strv_free(*list);
        *list = NULL;
        r = strv_split(text, " ,\t\n", list);
        return r == 0 && !*list ? -EINVAL : r;
}

static int set_size(const char *text, void *member)
{
        return parse_size(text, member);
}

static int set_count(const char *text, void *member)
{
        return parse_uint64(text, 1, UINT32_MAX, member);
}

static int set_switch(const char *text, void *member)
{
        return parse_bool(text, member);
}

typedef struct Variable {
        const char *name;
        size_t offset;
        int (*set)(const char *text, void *member);
        const char *form;
} Variable;

#define SOURCE_FORM "an address of repositories, such as https://git.example.org/{track}-{suffix}"
#define PATH_FORM   "an absolute path"
#define SIZE_FORM   "bytes, such as 4G"
#define SWITCH_FORM "yes or no"

#define VARIABLE(name_, member_, set_, form_)                          \
        {                                                              \
                name_, offsetof(BuilderSettings, member_), set_, form_ \
        }

static const Variable variables[] = {
        VARIABLE("SOURCE", sources[CHANNEL_BUILDERS], set_source, SOURCE_FORM),
        VARIABLE("SOURCE_TEST_RUNNERS", sources[CHANNEL_TEST_RUNNERS], set_source, SOURCE_FORM),
        VARIABLE("SOURCE_STATIC_ANALYZERS", sources[CHANNEL_STATIC_ANALYZERS], set_source, SOURCE_FORM),
        VARIABLE("SOURCE_REPRESENTERS", sources[CHANNEL_REPRESENTERS], set_source, SOURCE_FORM),
        VARIABLE("DOCKERFILE", dockerfile, set_inside, "a path in the repository"),
        VARIABLE("BUILD_SOCKET", socket, set_path, PATH_FORM),
        VARIABLE("SSH_KEY", ssh_key, set_path, PATH_FORM),
        VARIABLE("SSH_KNOWN_HOSTS", ssh_known_hosts, set_path, PATH_FORM),
        VARIABLE("BASE_AUTH", base_auth, set_path, PATH_FORM),
        VARIABLE("BASE_HOSTS", base_hosts, set_list, "hosts of registries"),
        VARIABLE("BASE_TLS", base_tls, set_switch, SWITCH_FORM),
        VARIABLE("BUILD_NETWORK", network, set_switch, SWITCH_FORM),
        VARIABLE("BUILD_MEMORY", limits.memory_bytes, set_size, SIZE_FORM),
        VARIABLE("BUILD_PROCESSES", limits.processes, set_count, "a number"),
        VARIABLE("BUILD_CPU", limits.cpu_percent, set_count, "percent of one CPU"),
        VARIABLE("BUILD_LOG", limits.output_bytes, set_size, SIZE_FORM),
        VARIABLE("BUILD_DISK", limits.written_bytes, set_size, SIZE_FORM),
        VARIABLE("IMAGE_SIZE", limits.image_bytes, set_size, SIZE_FORM),
};

static int set_variable(BuilderSettings *settings, const Variable *variable, const char *text,
                        char **ret_error)
{
        int r = variable->set(text, (uint8_t *) settings + variable->offset);

        return r == 0 || r == -ENOMEM ? r
                                      : error_set(ret_error, SETTINGS_BAD, "%s=: %s is not %s",
                                                  variable->name, text, variable->form);
}

int builder_settings_init(BuilderSettings *ret, char *(*lookup)(const char *name), char **ret_error)
{
        _cleanup_(builder_settings_done) BuilderSettings settings = defaults;
        int r;

        r = settings_set(&settings.dockerfile, DOCKERFILE_DEFAULT);
        if (r >= 0)
                r = settings_set(&settings.socket, BUILD_SOCKET_DEFAULT);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(variables); i++) {
                const char *text = lookup(variables[i].name);

                if (text && *text != '\0')
                        r = set_variable(&settings, &variables[i], text, ret_error);
        }
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
                return error_set(ret_error, SETTINGS_BAD,
                                 "this builder does not know where the sources of %s are: SOURCE= in its "
                                 "settings says so",
                                 channel_to_string(channel));
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
        if (r == -ENOBUFS)
                return error_set(ret_error, SETTINGS_BAD,
                                 "the address of the sources of %s is longer than %u bytes", track,
                                 ADDRESS_SIZE_MAX);
        if (r == 0)
                *ret = (char *) TAKE_PTR(address.data);
        return r;
}
