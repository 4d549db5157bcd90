/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The embedded registry: each question reads the layout anew, for it may have been pushed to since. */

#include "ask.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "shared/oci-layout.h"

#include <errno.h>

static int open_layout(const Ask *ask, OciLayout **ret, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r = oci_layout_open(ask->settings->folder, ask->channel, ask->track, ret, &error);

        switch (r) {
        case 0:
        case -ENOMEM:
                return r;
        case OCI_LAYOUT_MISSING:
                return error_set(ret_error, ASK_MISSING, "nothing was pushed for %s %s", ask->channel,
                                 ask->track);
        case OCI_LAYOUT_BAD:
                return error_set(ret_error, ASK_UNAVAILABLE, "the registry's %s/%s cannot be used: %s",
                                 ask->channel, ask->track, error ?: "unknown");
        default:
                return error_set(ret_error, ASK_UNAVAILABLE, "the registry cannot be read: %s",
                                 strerror(-r));
        }
}

int embedded_resolve(const Ask *ask, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        const char *digest, *version = ask->arguments[0];
        int r = open_layout(ask, &layout, ret_error);

        if (r != 0)
                return r;
        if (oci_layout_resolve(layout, version, &digest) != 0)
                return error_set(ret_error, ASK_MISSING, "the registry has no %s %s %s", ask->channel,
                                 ask->track, version);
        return json_add_text(ask->answer, "digest", digest);
}

int embedded_list(const Ask *ask, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        json_object *object = json_object_new_object();
        const OciImage *images;
        size_t n = 0;
        int r = object ? json_add(ask->answer, "images", object) : -ENOMEM;

        if (r == 0)
                r = open_layout(ask, &layout, ret_error);
        if (r != 0)
                return r;
        images = oci_layout_images(layout, &n);
        for (size_t i = 0; i < n; i++) {
                json_object *tags = json_object_new_array();

                if (!tags || json_add(object, images[i].digest, tags) < 0)
                        return -ENOMEM;
                for (char **tag = images[i].tags; tag && *tag; tag++)
                        if (json_object_array_add(tags, json_object_new_string(*tag)) < 0)
                                return -ENOMEM;
        }
        return 0;
}

int embedded_fetch(const Ask *ask, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_free_ char *path =
                string_format("%s/%s/%s", ask->settings->folder, ask->channel, ask->track);
        int r = path ? open_layout(ask, &layout, ret_error) : -ENOMEM;

        return r != 0 ? r : json_add_text(ask->answer, "layout", path);
}
