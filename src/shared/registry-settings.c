/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry-settings.h"

#include "oci-layout.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SCHEME           "docker://"
#define HOST_SIZE_MAX    255U
#define PATH_SIZE_MAX    255U /* of a repository: what registries take */
#define LIST_SEPARATOR   " ,\t\n"
#define CHANNEL_MARK     "{channel}"
#define TRACK_MARK       "{track}"
#define SIZE_MAX_DEFAULT (UINT64_C(16) << 30)
#define STALL_DEFAULT    (60 * USEC_PER_SEC)
#define TIME_DEFAULT     (1800 * USEC_PER_SEC)

static int set_text(char **place, const char *text)
{
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*place);
        *place = copy;
        return 0;
}

int registry_settings_init(RegistrySettings *settings)
{
        *settings = (RegistrySettings){ .size_max = SIZE_MAX_DEFAULT,
                                        .stall_usec = STALL_DEFAULT,
                                        .time_usec = TIME_DEFAULT };
        if (set_text(&settings->address, OCI_REGISTRY_FOLDER) < 0 ||
            set_text(&settings->folder, OCI_REGISTRY_FOLDER) < 0) {
                registry_settings_done(settings);
                return -ENOMEM;
        }
        return 0;
}

void registry_settings_done(RegistrySettings *settings)
{
        free(settings->address);
        free(settings->folder);
        free(settings->host);
        free(settings->path);
        free(settings->auth_file);
        free(settings->ca_file);
        strv_free(settings->token_hosts);
        *settings = (RegistrySettings){};
}

/* Addresses */

static bool host_is_valid(const char *host)
{
        const char *port = host + strcspn(host, ":");

        if (*host == '[') { /* an IPv6 address */
                size_t n = strspn(host + 1, "0123456789abcdefABCDEF:.") + 1;

                if (n < 3 || host[n] != ']')
                        return false;
                port = host + n + 1;
        } else if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
                           (size_t) (port - host) ||
                   port == host || *host == '-')
                return false;
        if (*port == '\0')
                return strlen(host) <= HOST_SIZE_MAX;
        return *port == ':' && parse_uint64(port + 1, 1, UINT16_MAX, &(uint64_t){ 0 }) == 0 &&
               strlen(host) <= HOST_SIZE_MAX;
}

bool registry_host_is_loopback(const char *host)
{
        static const char *const names[] = { "localhost", "[::1]" };
        const char *after = string_after(host, "127.");

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *rest = string_after(host, names[i]);

                if (rest && (*rest == '\0' || *rest == ':'))
                        return true;
        }
        if (!after)
                return false;
        after += strspn(after, "0123456789.");
        return *after == '\0' || *after == ':';
}

/* What may stand between letters and digits: one `.`, one or two `_`, or any number of `-`. Its
 * size, or 0. */
static size_t separator_size(const char *s)
{
        size_t n = strspn(s, "._-");

        return n == 1 || strspn(s, "-") == n || (n == 2 && strspn(s, "_") == n) ? n : 0;
}

/* A repository's name: parts between slashes, of lower-case letters and digits with separators between. */
static bool repository_is_valid(const char *name)
{
        if (strlen(name) > PATH_SIZE_MAX)
                return false;
        for (;;) {
                size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");

                if (n == 0 || name[n] == '\0')
                        return n > 0;
                name += n;
                n = *name == '/' ? 1 : separator_size(name);
                if (n == 0)
                        return false;
                name += n;
        }
}

static int set_remote(RegistrySettings *settings, const char *text, char **ret_error)
{
        _cleanup_free_ char *host = strndup(text, strcspn(text, "/")), *path = NULL, *example = NULL;
        RegistrySettings tried = { .path = NULL };
        int r;

        text += strcspn(text, "/");
        path = strdup(*text == '/' ? text + 1 : text);
        if (!host || !path)
                return -ENOMEM;
        if (!host_is_valid(host))
                return error_set(ret_error, REGISTRY_BAD, "%s is not the HOST or HOST:PORT of a registry",
                                 host);
        tried.path = path;
        r = registry_repository(&tried, "channel", "track", &example, ret_error);
        if (r != 0)
                return r;
        free(settings->folder);
        free(settings->host);
        free(settings->path);
        settings->folder = NULL;
        settings->host = TAKE_PTR(host);
        settings->path = TAKE_PTR(path);
        return 0;
}

int registry_settings_set_address(RegistrySettings *settings, const char *text, char **ret_error)
{
        const char *rest = string_after(text, SCHEME);
        int r;

        if (rest)
                r = set_remote(settings, rest, ret_error);
        else if (text[0] == '/')
                r = set_text(&settings->folder, text);
        else
                r = error_set(ret_error, REGISTRY_BAD,
                              "%s is neither an absolute path nor " SCHEME "HOST[:PORT][/PATH]", text);
        if (r == 0)
                r = set_text(&settings->address, text);
        if (r == 0 && settings->host && !settings->has_tls_setting)
                settings->is_plain = registry_host_is_loopback(settings->host);
        return r;
}

/* Replaces each `mark` in `text`, which is freed. */
static char *replace(char *text, const char *mark, const char *by)
{
        for (char *at; text && (at = strstr(text, mark));) {
                char *longer = string_format("%.*s%s%s", (int) (at - text), text, by, at + strlen(mark));

                free(text);
                text = longer;
        }
        return text;
}

int registry_repository(const RegistrySettings *settings, const char *channel, const char *track, char **ret,
                        char **ret_error)
{
        const char *path = settings->path;
        _cleanup_free_ char *name =
                settings->is_repository || strstr(path, TRACK_MARK)
                        ? strdup(path)
                        : string_format("%s%s" CHANNEL_MARK "/" TRACK_MARK, path, *path ? "/" : "");

        name = replace(replace(TAKE_PTR(name), CHANNEL_MARK, channel), TRACK_MARK, track);
        if (!name)
                return -ENOMEM;
        if (!repository_is_valid(name))
                return error_set(ret_error, REGISTRY_BAD,
                                 "a registry cannot have a repository named %s: lower-case letters, digits, "
                                 "and single . _ - and / between them",
                                 name);
        *ret = TAKE_PTR(name);
        return 0;
}

/* Variables */

static int set_auth(RegistrySettings *settings, const char *text, char **ret_error)
{
        return text[0] == '/' ? set_text(&settings->auth_file, text)
                              : error_set(ret_error, REGISTRY_BAD, "%s is no absolute path", text);
}

static int set_ca(RegistrySettings *settings, const char *text, char **ret_error)
{
        return text[0] == '/' ? set_text(&settings->ca_file, text)
                              : error_set(ret_error, REGISTRY_BAD, "%s is no absolute path", text);
}

static int set_tls(RegistrySettings *settings, const char *text, char **ret_error)
{
        bool is_on;

        if (parse_bool(text, &is_on) < 0)
                return error_set(ret_error, REGISTRY_BAD, "it is yes or no, not %s", text);
        settings->has_tls_setting = true;
        settings->is_plain = !is_on;
        return 0;
}

static int set_repository(RegistrySettings *settings, const char *text, char **ret_error)
{
        return parse_bool(text, &settings->is_repository) == 0
                       ? 0
                       : error_set(ret_error, REGISTRY_BAD, "it is yes or no, not %s", text);
}

static int set_token_hosts(RegistrySettings *settings, const char *text, char **ret_error)
{
        _cleanup_(strv_freep) char **hosts = NULL;
        int r = strv_split(text, LIST_SEPARATOR, &hosts);

        if (r < 0)
                return r;
        for (char **host = hosts; host && *host; host++)
                if (!host_is_valid(*host))
                        return error_set(ret_error, REGISTRY_BAD, "%s is not HOST or HOST:PORT", *host);
        strv_free(settings->token_hosts);
        settings->token_hosts = TAKE_PTR(hosts);
        return 0;
}

static int set_size_max(RegistrySettings *settings, const char *text, char **ret_error)
{
        return parse_size(text, &settings->size_max) == 0
                       ? 0
                       : error_set(ret_error, REGISTRY_BAD, "%s is no number of bytes (with K, M, G)", text);
}

static int set_time(usec_t *usec, const char *text, char **ret_error)
{
        usec_t value;

        if (parse_time_span(text, &value) < 0 || value < USEC_PER_SEC)
                return error_set(ret_error, REGISTRY_BAD, "%s is no time of at least a second", text);
        *usec = value;
        return 0;
}

static int set_stall(RegistrySettings *settings, const char *text, char **ret_error)
{
        return set_time(&settings->stall_usec, text, ret_error);
}

static int set_time_max(RegistrySettings *settings, const char *text, char **ret_error)
{
        return set_time(&settings->time_usec, text, ret_error);
}

static const struct {
        const char *name;
        int (*set)(RegistrySettings *settings, const char *text, char **ret_error);
} VARIABLES[] = {
        { "REGISTRY_TLS", set_tls },
        { "REGISTRY", registry_settings_set_address },
        { "REGISTRY_REPOSITORY", set_repository },
        { "REGISTRY_AUTH", set_auth },
        { "REGISTRY_CA", set_ca },
        { "REGISTRY_TOKEN_HOSTS", set_token_hosts },
        { "REGISTRY_SIZE_MAX", set_size_max },
        { "REGISTRY_STALL_TIME", set_stall },
        { "REGISTRY_TIME_MAX", set_time_max },
};

/* What the unit handed over. */
static int find_credential(RegistrySettings *settings, char *(*lookup)(const char *name))
{
        const char *folder = lookup("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;

        if (!folder || settings->auth_file)
                return 0;
        path = string_format("%s/" REGISTRY_CREDENTIAL, folder);
        if (!path)
                return -ENOMEM;
        if (access(path, R_OK) == 0)
                settings->auth_file = TAKE_PTR(path);
        return 0;
}

int registry_settings_from_environment(RegistrySettings *settings, char *(*lookup)(const char *name),
                                       char **ret_error)
{
        for (size_t i = 0; i < ARRAY_SIZE(VARIABLES); i++) {
                _cleanup_free_ char *error = NULL;
                const char *text = lookup(VARIABLES[i].name);
                int r;

                if (!text || *text == '\0')
                        continue;
                r = VARIABLES[i].set(settings, text, &error);
                if (r != 0)
                        return r < 0 ? r
                                     : error_set(ret_error, REGISTRY_BAD, "%s=: %s", VARIABLES[i].name,
                                                 error);
        }
        return find_credential(settings, lookup);
}

/* Adds NAME=VALUE, where there is a value. */
static int add(char ***environment, const char *name, const char *value)
{
        _cleanup_free_ char *text = value ? string_format("%s=%s", name, value) : NULL;

        return !value ? 0 : text ? strv_extend(environment, text) : -ENOMEM;
}

int registry_settings_to_environment(const RegistrySettings *settings, char ***ret)
{
        _cleanup_(strv_freep) char **environment = NULL;
        _cleanup_free_ char *hosts = strdup(""), *size = string_format("%" PRIu64, settings->size_max),
                            *stall = string_format("%" PRIu64 "ms", settings->stall_usec / USEC_PER_MSEC),
                            *time = string_format("%" PRIu64 "ms", settings->time_usec / USEC_PER_MSEC);
        int r;

        for (char **host = settings->token_hosts; hosts && host && *host; host++) {
                char *longer = string_format("%s %s", hosts, *host);

                free(hosts);
                hosts = longer;
        }
        if (!hosts || !size || !stall || !time)
                return -ENOMEM;
        r = add(&environment, "REGISTRY", settings->address);
        if (r == 0)
                r = add(&environment, "REGISTRY_REPOSITORY", settings->is_repository ? "yes" : "no");
        if (r == 0)
                r = add(&environment, "REGISTRY_AUTH", settings->auth_file);
        if (r == 0)
                r = add(&environment, "REGISTRY_CA", settings->ca_file);
        if (r == 0)
                r = add(&environment, "REGISTRY_TLS", settings->is_plain ? "no" : "yes");
        if (r == 0)
                r = add(&environment, "REGISTRY_TOKEN_HOSTS", hosts);
        if (r == 0)
                r = add(&environment, "REGISTRY_SIZE_MAX", size);
        if (r == 0)
                r = add(&environment, "REGISTRY_STALL_TIME", stall);
        if (r == 0)
                r = add(&environment, "REGISTRY_TIME_MAX", time);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}
