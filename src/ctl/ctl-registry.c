/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry's folders belong to the group `pipeline`: who is in it may deploy code. So a right that is
 * missing is always the same one, and there is one sentence for it. */

#include "ctl-registry.h"

#include "basic/string-util.h"
#include "proto/image.h"
#include "proto/name.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#define GROUP "pipeline"

int ctl_registry_check(const CtlVerb *verb, const char **channel, const char *track, const char *version)
{
        const char *known = ctl_channel(*channel);

        if (!known)
                return ctl_fail(verb, CTL_USAGE, CTL_NO_CHANNEL, *channel);
        if (!slug_is_valid(track))
                return ctl_fail(verb, CTL_USAGE, "a track is letters, digits, '-' and '_': %s is none",
                                track);
        if (version && !version_is_valid(version))
                return ctl_fail(verb, CTL_USAGE,
                                "a version is letters, digits, '.', '-' and '_': %s is none", version);
        *channel = known;
        return 0;
}

/* Whether the user was added to the group since the session began. */
static bool is_member_since(const char *user)
{
        const struct group *group = getgrnam(GROUP);

        return group && user && strv_contains(group->gr_mem, user);
}

static int fail_right(const CtlVerb *verb, const char *registry)
{
        const struct passwd *passwd = getpwuid(geteuid());
        const char *user = passwd ? passwd->pw_name : NULL;

        if (is_member_since(user))
                return ctl_fail(
                        verb, CTL_NOT_ALLOWED,
                        "you may not write to %s yet: log in again, since you are in the group " GROUP,
                        registry);
        return ctl_fail(verb, CTL_NOT_ALLOWED,
                        "you may not write to %s: run `sudo adduser %s " GROUP "`, then log in again",
                        registry, user ?: "USER");
}

int ctl_registry_lock(const Ctl *ctl, const CtlVerb *verb, const char *channel, const char *track,
                      char **ret_path, int *ret_fd)
{
        int r = oci_layout_lock(ctl->registry, channel, track, ret_path, ret_fd);

        if (r == -EACCES || r == -EPERM || r == -EROFS)
                return fail_right(verb, ctl->registry);
        if (r == -ENOENT)
                return ctl_fail(verb, CTL_FAILED, CTL_NO_REGISTRY, ctl->registry);
        if (r < 0)
                return ctl_fail(verb, CTL_FAILED, "%s/%s/%s cannot be locked: %s", ctl->registry, channel,
                                track, strerror(-r));
        return 0;
}

static int read_blob(const OciLayout *layout, const char *digest, size_t size_max, char **ret,
                     size_t *ret_size, char **ret_error)
{
        int r = oci_layout_read_blob(layout, digest, size_max, ret, ret_size);

        if (r == OCI_LAYOUT_NO_BLOB)
                return error_set(ret_error, CTL_FAILED, "the blob %s is missing", digest);
        if (r < 0)
                return error_set(ret_error, CTL_FAILED, "the blob %s cannot be read: %s", digest,
                                 strerror(-r));
        return 0;
}

static int inspect_config(const OciLayout *layout, const char *digest, char **ret_error)
{
        _cleanup_(image_config_done) ImageConfig config = {};
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_blob(layout, digest, IMAGE_CONFIG_SIZE_MAX, &text, &size, ret_error);
        if (r != 0)
                return r;
        r = image_config_parse(text, size, &config, ret_error);
        return r == IMAGE_BAD ? CTL_FAILED : r;
}

int ctl_registry_inspect(const OciLayout *layout, const char *digest, CtlImage *ret, char **ret_error)
{
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        _cleanup_free_ char *text = NULL;
        size_t size;
        CtlImage image;
        int r;

        r = read_blob(layout, digest, IMAGE_MANIFEST_SIZE_MAX, &text, &size, ret_error);
        if (r != 0)
                return r;
        r = image_manifest_parse(text, size, &manifest, ret_error);
        if (r != 0)
                return r == IMAGE_BAD ? CTL_FAILED : r;
        r = inspect_config(layout, manifest.config.digest, ret_error);
        if (r != 0)
                return r;
        image = (CtlImage){ .n_layers = manifest.n_layers, .size = size + manifest.config.size };
        for (size_t i = 0; i < manifest.n_layers; i++)
                image.size += manifest.layers[i].size;
        *ret = image;
        return 0;
}

void ctl_format_size(uint64_t size, char *ret)
{
        static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
        double value = (double) size;
        size_t unit = 0;

        for (; value >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++)
                value /= 1000;
        (void) snprintf(ret, CTL_SIZE_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}
