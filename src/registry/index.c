/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A version is pinned by the digest of one image. Where the registry has a list of images under its name, it
 * is the one for this machine. */

#include "ask.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "proto/image.h"
#include "proto/json-fields.h"

#include <errno.h>
#include <sys/utsname.h>

static const struct {
        const char *machine, *architecture;
} ARCHITECTURES[] = {
        { "x86_64", "amd64" },    { "aarch64", "arm64" }, { "riscv64", "riscv64" },
        { "ppc64le", "ppc64le" }, { "s390x", "s390x" },
};

static const char *own_architecture(void)
{
        struct utsname name;

        if (uname(&name) == 0)
                for (size_t i = 0; i < ARRAY_SIZE(ARCHITECTURES); i++)
                        if (streq(name.machine, ARCHITECTURES[i].machine))
                                return ARCHITECTURES[i].architecture;
        return "unknown";
}

static bool is_for_us(json_object *item)
{
        json_object *platform = json_object_is_type(item, json_type_object)
                                        ? json_object_object_get(item, "platform")
                                        : NULL;
        const char *os, *architecture;

        if (!json_object_is_type(platform, json_type_object))
                return false;
        os = json_text(platform, "os");
        architecture = json_text(platform, "architecture");
        return os && architecture && streq(os, "linux") && streq(architecture, own_architecture());
}

static int choose(json_object *list, char *ret, char **ret_error)
{
        for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
             i++) {
                json_object *item = json_object_array_get_idx(list, i);
                const char *digest = is_for_us(item) ? json_text(item, "digest") : NULL;

                if (digest && digest_hex(digest)) {
                        (void) strcpy(ret, digest);
                        return 0;
                }
        }
        return error_set(ret_error, ASK_BAD_IMAGE,
                         "it is a list of images, and none of them is for linux on %s", own_architecture());
}

int index_choose(const Manifest *manifest, char *ret, char **ret_error)
{
        _cleanup_(image_manifest_done) ImageManifest image = {};
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        json_object *list;
        int r;

        r = json_object_from_bytes(manifest->text, manifest->size, &object, &error);
        if (r < 0)
                return r;
        if (r == 0 && json_object_object_get_ex(object, "manifests", &list))
                return choose(list, ret, ret_error);
        r = image_manifest_parse(manifest->text, manifest->size, &image, ret_error);
        if (r > 0)
                return ASK_BAD_IMAGE;
        if (r == 0)
                (void) strcpy(ret, manifest->digest);
        return r;
}
