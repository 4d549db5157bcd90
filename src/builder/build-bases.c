/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base images come from where the Dockerfile says, by skopeo, which has the network; the build service is
 * handed them as files. `localhost/CHANNEL/TRACK:VERSION` is an image of the embedded registry. */

#include "build-work.h"

#include "basic/string-util.h"
#include "shared/process-util.h"

#include <errno.h>

#define FETCH_USEC (900 * USEC_PER_SEC)
#define OUTPUT_MAX (64U * 1024U)
#define OWN_PREFIX "localhost/"

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

/* A digest says more than the tag before it, and skopeo takes one of them. */
static char *other_source(const char *name)
{
        const char *at = strchr(name, '@'), *colon = at ? memrchr(name, ':', (size_t) (at - name)) : NULL;

        if (colon && !memchr(colon, '/', (size_t) (at - colon)))
                return string_format("docker://%.*s%s", (int) (colon - name), name, at);
        return string_format("docker://%s", name);
}

static int find_source(Work *work, const char *name, char **ret)
{
        const char *own = string_after(name, OWN_PREFIX);

        if (own)
                return own_source(work, own, ret);
        *ret = other_source(name);
        return *ret ? 0 : -ENOMEM;
}

static int fetch_base(Work *work, size_t i)
{
        const char *name = work->bases[i];
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *source = NULL, *target = NULL, *error = NULL, *temporary = NULL,
                            *runtime = NULL;
        const char *argv[12] = { "skopeo", "--insecure-policy", "copy", "--quiet" };
        size_t n = 4;
        int r = find_source(work, name, &source);

        target = string_format("oci-archive:%s/base-%zu.tar:localhost/base:%zu", work->folder, i, i);
        temporary = string_format("TMPDIR=%s", work->folder);
        runtime = string_format("XDG_RUNTIME_DIR=%s", work->folder);
        if (r != 0 || !target || !temporary || !runtime)
                return r != 0 ? r : -ENOMEM;
        if (work->settings->base_auth) {
                argv[n++] = "--src-authfile";
                argv[n++] = work->settings->base_auth;
        }
        if (!work->settings->base_tls)
                argv[n++] = "--src-tls-verify=false";
        argv[n++] = source;
        argv[n++] = target;
        r = process_run(
                &(ProcessOptions){
                        .argv = argv,
                        .environment = (const char *const[]){ temporary, runtime, NULL },
                        .timeout_usec = FETCH_USEC,
                        .output_size_max = OUTPUT_MAX,
                },
                &result);
        if (r < 0 || result.status == 0)
                return r;
        error = process_error(&(ProcessOptions){ .argv = argv }, &result);
        return build_end(work, STATUS_SETUP_FAILED, NULL, "the base image %s cannot be fetched: %s", name,
                         error ?: "unknown");
}

int build_fetch_bases(Work *work)
{
        int r = 0;

        for (size_t i = 0; r == 0 && work->bases && work->bases[i]; i++) {
                r = build_say(work, "base", "fetching the base image %s", work->bases[i]);
                if (r == 0)
                        r = fetch_base(work, i);
        }
        return r;
}
