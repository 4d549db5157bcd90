/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base images come from where the Dockerfile says, by pipeline-registry, which holds whoever answers there
 * to its rules (docs/ARCHITECTURE.md); skopeo only makes an archive of what is here, for the build service.
 * `localhost/CHANNEL/TRACK:VERSION` is an image of the embedded registry. What was fetched is looked at
 * before anybody gets it. */

#include "base-config.h"
#include "base-name.h"
#include "build-work.h"

#include "basic/string-util.h"
#include "proto/image.h"
#include "shared/process-util.h"

#include <errno.h>
#include <sys/stat.h>

#define ARCHIVE_USEC (900 * USEC_PER_SEC)
#define OUTPUT_MAX   (64U * 1024U)
#define OWN_PREFIX   "localhost/"
#define FOLDER_NAME  "bases" /* in the build's folder, where what was fetched is kept */

/* The embedded registry's own: its source for skopeo, or BUILD_ENDS. */
static int own_source(Work *work, const char *name, char **ret)
{
        _cleanup_free_ char *copy = strdup(name);
        char *rest = copy, *channel = copy ? strsep(&rest, "/") : NULL;
        char *track = rest ? strsep(&rest, ":") : NULL;

        if (!copy)
                return -ENOMEM;
        if (!track || !rest || channel_from_string(channel) == _CHANNEL_INVALID || !slug_is_valid(track) ||
            !version_is_valid(rest))
                return build_end(work, STATUS_BAD_INPUT, NULL,
                                 "the base image %s%s is not " OWN_PREFIX "CHANNEL/TRACK:VERSION",
                                 OWN_PREFIX, name);
        if (!work->worker->registry.folder)
                return build_end(work, STATUS_BAD_INPUT, NULL,
                                 "this builder has no embedded registry that " OWN_PREFIX "%s could be in",
                                 name);
        *ret = string_format("oci:%s/%s/%s:%s", work->worker->registry.folder,
                             channel_to_string(channel_from_string(channel)), track, rest);
        return *ret ? 0 : -ENOMEM;
}

/* Another registry: by whom it may be answered, how much, and how long is said by the builder's own. */
static int base_registry(Work *work, const BaseName *name, RegistrySettings *ret, char **ret_error)
{
        const RegistrySettings *own = &work->worker->registry;
        _cleanup_free_ char *address = string_format("docker://%s/%s", name->host, name->repository);
        int r = address ? registry_settings_init(ret) : -ENOMEM;

        if (r < 0)
                return r;
        ret->is_repository = true;
        ret->has_tls_setting = true;
        ret->is_plain = !work->settings->base_tls;
        ret->size_max = own->size_max;
        ret->stall_usec = own->stall_usec;
        ret->time_usec = own->time_usec;
        r = registry_settings_set_address(ret, address, ret_error);
        for (char **host = own->token_hosts; r == 0 && host && *host; host++)
                r = strv_extend(&ret->token_hosts, *host);
        if (r == 0 && streq(name->host, BASE_HUB))
                r = strv_extend(&ret->token_hosts, BASE_HUB_TOKEN);
        if (r == 0 && work->settings->base_auth) {
                ret->auth_file = strdup(work->settings->base_auth);
                r = ret->auth_file ? 0 : -ENOMEM;
        }
        return r;
}

static int ask(Work *work, const RegistrySettings *registry, RegistryVerb verb, const BaseName *name,
               const char *digest, Asked *asked)
{
        _cleanup_free_ char *folder = build_path(work, FOLDER_NAME);
        const RegistryQuestion question = {
                .verb = verb,
                .channel = channel_to_string(work->job->target),
                .track = work->job->track,
                .version = digest ? NULL : name->tag,
                .digest = digest,
                .folder = digest ? folder : NULL,
        };

        if (!folder)
                return -ENOMEM;
        return mkdir(folder, 0700) < 0 && errno != EEXIST ? -errno : build_ask(registry, &question, asked);
}

/* Fetches it; its layout. */
static int fetch_from(Work *work, const RegistrySettings *registry, const BaseName *name, char **ret_layout,
                      char **ret_error)
{
        _cleanup_(asked_done) Asked found = {}, fetched = {};
        const char *digest = name->digest;
        int r = digest ? 0 : ask(work, registry, REGISTRY_RESOLVE, name, NULL, &found);

        if (r < 0)
                return r;
        if (!digest && (found.code != 0 || !found.digest))
                return error_set(ret_error, REGISTRY_BAD, "%s", found.error);
        r = ask(work, registry, REGISTRY_FETCH, name, digest ?: found.digest, &fetched);
        if (r < 0)
                return r;
        if (fetched.code != 0 || !fetched.layout)
                return error_set(ret_error, REGISTRY_BAD, "%s", fetched.error);
        *ret_layout = TAKE_PTR(fetched.layout);
        return 0;
}

static int cannot_fetch(Work *work, const char *name, const char *error)
{
        return build_end(work, STATUS_SETUP_FAILED, NULL, "the base image %s cannot be fetched: %s", name,
                         error ?: "unknown");
}

/* Who writes a Dockerfile must not have this machine's own services asked. */
static bool may_come_from(const BuilderSettings *settings, const char *host)
{
        if (!settings->base_hosts)
                return !registry_host_is_loopback(host);
        return strv_contains(settings->base_hosts, host) ||
               (streq(host, BASE_HUB) && strv_contains(settings->base_hosts, "docker.io"));
}

static int fetch_other(Work *work, const char *text, char **ret)
{
        _cleanup_(registry_settings_done) RegistrySettings registry = {};
        _cleanup_(base_name_done) BaseName name = {};
        _cleanup_free_ char *layout = NULL, *error = NULL;
        int r = base_name_parse(text, &name);

        if (r == BASE_NAME_BAD)
                return build_end(work, STATUS_BAD_INPUT, NULL, "%s is not the name of an image", text);
        if (r == 0 && !may_come_from(work->settings, name.host))
                return cannot_fetch(work, text, "BASE_HOSTS= of the builder does not allow its registry");
        if (r == 0)
                r = base_registry(work, &name, &registry, &error);
        if (r == 0)
                r = fetch_from(work, &registry, &name, &layout, &error);
        if (r > 0)
                return cannot_fetch(work, text, error);
        if (r < 0)
                return r;
        *ret = string_format("oci:%s", layout);
        return *ret ? 0 : -ENOMEM;
}

static int find_source(Work *work, const char *name, char **ret)
{
        const char *own = string_after(name, OWN_PREFIX);

        return own ? own_source(work, own, ret) : fetch_other(work, name, ret);
}

static int run_skopeo(const Work *work, const char *const *argv, size_t output_size_max, ProcessResult *ret)
{
        _cleanup_free_ char *runtime = string_format("XDG_RUNTIME_DIR=%s", work->folder);

        if (!runtime)
                return -ENOMEM;
        return process_run(
                &(ProcessOptions){
                        .argv = argv,
                        .environment = (const char *const[]){ runtime, NULL },
                        .timeout_usec = ARCHIVE_USEC,
                        .output_size_max = output_size_max,
                },
                ret);
}

static int end_by_skopeo(Work *work, const char *name, const char *const *argv, const ProcessResult *result)
{
        _cleanup_free_ char *error = process_error(&(ProcessOptions){ .argv = argv }, result);

        return cannot_fetch(work, name, error);
}

static int fetch_base(Work *work, const char *name, const char *target)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *source = NULL;
        int r = find_source(work, name, &source);
        const char *const argv[] = { "skopeo", "--insecure-policy", "--tmpdir", work->folder,
                                     "copy",   "--quiet",           source,     target,
                                     NULL };

        if (r == 0)
                r = run_skopeo(work, argv, OUTPUT_MAX, &result);
        return r != 0 || result.status == 0 ? r : end_by_skopeo(work, name, argv, &result);
}

/* Its configuration, byte for byte as buildah will have it. */
static int check_base(Work *work, const char *name, const char *fetched)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const char *const argv[] = { "skopeo",  "--insecure-policy", "--tmpdir", work->folder,
                                     "inspect", "--config",          "--raw",    fetched,
                                     NULL };
        const char *reason;
        int r = run_skopeo(work, argv, IMAGE_CONFIG_SIZE_MAX + 1, &result);

        if (r < 0)
                return r;
        if (result.status != 0)
                return end_by_skopeo(work, name, argv, &result);
        r = base_config_check((const char *) result.output.data, result.output.size, &reason);
        return r == BASE_CONFIG_BAD ? build_end(work, STATUS_BAD_INPUT, NULL,
                                                "the base image %s cannot be taken: %s", name, reason)
                                    : r;
}

int build_fetch_bases(Work *work)
{
        int r = 0;

        for (size_t i = 0; r == 0 && work->bases && work->bases[i]; i++) {
                _cleanup_free_ char *target =
                        string_format("oci-archive:%s/base-%zu.tar:localhost/base:%zu", work->folder, i, i);

                r = target ? build_say(work, "base", "fetching the base image %s", work->bases[i]) : -ENOMEM;
                if (r == 0)
                        r = fetch_base(work, work->bases[i], target);
                if (r == 0)
                        r = check_base(work, work->bases[i], target);
        }
        return r;
}
