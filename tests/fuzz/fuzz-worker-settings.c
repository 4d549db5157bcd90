/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The environment of a worker and of a builder, lines of NAME=VALUE; a line without `=` is an address of the
 * command line. What was taken is fit for a path, an address or a command line, and what is handed to
 * another process is understood there as it was meant. */

#include "fuzz.h"

#include "builder/builder-settings.h"
#include "worker/settings.h"

#include "basic/string-util.h"
#include "shared/aws-sign.h"

#define VARIABLES_MAX 64U

/* The one that is looked at; as with getenv(), the first of a name counts. */
static char **environment;

static char *lookup(const char *name)
{
        for (char **variable = environment; variable && *variable; variable++) {
                const char *rest = string_after(*variable, name);

                if (rest && *rest == '=')
                        return *variable + (rest + 1 - *variable);
        }
        return NULL;
}

static void check_result(int r, int bad, const char *error)
{
        expect(r == 0 || r == bad);
        expect((r == bad) == (error != NULL));
}

/* Registries */

static void check_registry_values(const RegistrySettings *settings)
{
        static const char *const tracks[] = { "ruby", "x86-64-assembly", "A" };

        expect(settings->address && (settings->folder != NULL) != (settings->host != NULL));
        expect(!settings->folder || settings->folder[0] == '/');
        expect(!settings->host || (settings->path && !strpbrk(settings->host, "/@?# \t\r\n%")));
        expect(!settings->auth_file || settings->auth_file[0] == '/');
        expect(!settings->ca_file || settings->ca_file[0] == '/');
        expect(settings->stall_usec >= USEC_PER_SEC && settings->time_usec >= USEC_PER_SEC);
        for (char **host = settings->token_hosts; host && *host; host++)
                expect(!strpbrk(*host, "/@?# \t\r\n%") && **host != '\0');
        for (size_t i = 0; settings->host && i < ARRAY_SIZE(tracks); i++) {
                _cleanup_free_ char *repository = NULL, *error = NULL;
                int r = registry_repository(settings, "test_runners", tracks[i], &repository, &error);

                check_result(r, REGISTRY_BAD, error);
                expect(r != 0 || (!strpbrk(repository, "?#% \\{}") && !strstr(repository, "..") &&
                                  repository[0] != '/' && !string_ends_with(repository, "/")));
        }
}

/* What pipeline-registry is told is what the worker holds. */
static void check_registry(const RegistrySettings *settings)
{
        _cleanup_(registry_settings_done) RegistrySettings back = {};
        _cleanup_(strv_freep) char **told = NULL, **again = NULL;
        _cleanup_free_ char *error = NULL;
        size_t n;

        check_registry_values(settings);
        expect(registry_settings_to_environment(settings, &told) == 0);
        environment = told;
        expect(registry_settings_init(&back) == 0);
        expect(registry_settings_from_environment(&back, lookup, &error) == 0);
        expect(registry_settings_to_environment(&back, &again) == 0);
        environment = NULL;
        n = strv_length(told);
        expect(n == strv_length(again));
        for (size_t i = 0; i < n; i++)
                expect(streq(told[i], again[i]));
}

/* Workers */

static void check_worker(const WorkerSettings *settings, bool is_builder)
{
        const S3Settings *s3 = &settings->s3;

        expect((settings->channel == CHANNEL_BUILDERS) == is_builder && settings->channel < _CHANNEL_MAX);
        for (char **topic = settings->topics; topic && *topic; topic++)
                expect(slug_is_valid(*topic) && !strv_contains(topic + 1, *topic));
        expect(settings->slots > 0 && settings->slots <= WORKER_SLOTS_MAX);
        expect(string_after(settings->router, "tcp://") || string_after(settings->router, "ipc:///"));
        expect(!settings->key_file || settings->key_file[0] == '/');
        expect(!settings->folder || settings->folder[0] == '/');
        expect(!settings->images || settings->images[0] == '/');
        expect(settings->sandbox[0] == '/');
        for (char **folder = settings->input_folders; folder && *folder; folder++)
                expect(**folder == '/');
        expect(!s3->region || aws_region_is_valid(s3->region));
        expect(!s3->endpoint || s3_endpoint_is_valid(s3->endpoint));
        expect(!s3->path_style || !s3->virtual_style);
        for (char **item = s3->allowed; item && *item; item++)
                expect(s3_allowed_is_valid(*item));
}

static void read_worker(char **variables, const char *address, bool is_builder)
{
        _cleanup_(settings_done) WorkerSettings settings = {};
        _cleanup_free_ char *error = NULL;
        const char *name;
        int r;

        environment = variables;
        name = lookup("NAME") ?: "ruby-1";
        r = is_builder ? settings_init_builder(&settings, name, &error)
                       : settings_init(&settings, name, &error);
        check_result(r, SETTINGS_BAD, error);
        if (r == 0) {
                expect(slug_is_valid(settings.name));
                check_worker(&settings, is_builder);
                r = settings_from_environment(&settings, lookup, &error);
                check_result(r, SETTINGS_BAD, error);
        }
        environment = NULL;
        if (r == 0 && address) {
                r = settings_from_address(&settings, address, &error);
                check_result(r, SETTINGS_BAD, error);
        }
        if (r != 0)
                return;
        check_worker(&settings, is_builder);
        check_registry(&settings.registry);
}

/* Builders */

/* git's shell takes paths for what they are. */
static bool is_one_word(const char *path)
{
        return path[0] == '/' && !strpbrk(path, " \t\r\n'\"\\$`;&|<>()");
}

static void check_source(const BuilderSettings *settings, Channel channel)
{
        _cleanup_free_ char *address = NULL, *error = NULL;
        int r = builder_source(settings, channel,
                               "a-track-whose-name-is-as-long-as-those-of-tracks-may-be-at-most1", &address,
                               &error);

        check_result(r, SETTINGS_BAD, error);
        if (r != 0)
                return;
        expect(strlen(address) <= 2048 && address[0] != '-' && !strstr(address, "{track}"));
        for (const char *c = address; *c; c++)
                expect(*c > ' ' && *c <= '~');
}

static void read_builder(char **variables)
{
        static const Channel channels[] = { CHANNEL_TEST_RUNNERS, CHANNEL_STATIC_ANALYZERS,
                                            CHANNEL_REPRESENTERS };
        BuilderSettings settings;
        _cleanup_free_ char *error = NULL;
        int r;

        environment = variables;
        r = builder_settings_init(&settings, lookup, &error);
        environment = NULL;
        check_result(r, SETTINGS_BAD, error);
        if (r != 0)
                return;
        expect(settings.dockerfile[0] != '/' && settings.dockerfile[0] != '-');
        expect(!strstr(settings.dockerfile, ".."));
        expect(is_one_word(settings.socket) && (!settings.ssh_key || is_one_word(settings.ssh_key)) &&
               (!settings.ssh_known_hosts || is_one_word(settings.ssh_known_hosts)) &&
               (!settings.base_auth || is_one_word(settings.base_auth)));
        expect(settings.limits.processes > 0 && settings.limits.processes <= UINT32_MAX);
        expect(settings.limits.cpu_percent > 0 && settings.limits.cpu_percent <= UINT32_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(channels); i++)
                check_source(&settings, channels[i]);
        builder_settings_done(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size);
        _cleanup_(strv_freep) char **variables = NULL;
        const char *address = NULL;
        char *rest = text;

        expect(text);
        for (char *line; (line = strsep(&rest, "\n")) && strv_length(variables) < VARIABLES_MAX;) {
                if (!strchr(line, '=') || string_after(line, "tcp://") || string_after(line, "ipc://"))
                        address = *line ? line : address;
                else if (!string_after(line, "CREDENTIALS_DIRECTORY="))
                        expect(strv_extend(&variables, line) == 0);
        }
        read_worker(variables, address, false);
        read_worker(variables, NULL, true);
        read_builder(variables);
        return 0;
}
