/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each question reads the layout anew: it may have been pushed to since. */

#include "registry-query.h"

#include "basic/string-util.h"
#include "shared/oci-layout.h"

#include <errno.h>

/* Takes `error`. */
static int decline(Answer *answer, StatusCode code, char *error)
{
        answer->code = code;
        answer->error = error;
        return error ? 0 : -ENOMEM;
}

/* Opens the layout; where *ret stays NULL the answer says why. */
static int open_layout(const char *registry, const Query *query, OciLayout **ret, Answer *answer)
{
        const char *channel = channel_to_string(query->channel);
        char *error = NULL;
        int r = oci_layout_open(registry, channel, query->track, ret, &error);

        switch (r) {
        case 0:
        case -ENOMEM:
                return r;
        case OCI_LAYOUT_MISSING:
                return decline(answer, STATUS_BAD_INPUT,
                               string_format("nothing was pushed for %s %s", channel, query->track));
        case OCI_LAYOUT_BAD:
                return decline(answer, STATUS_NO_WORKER, error);
        default:
                return decline(answer, STATUS_NO_WORKER,
                               string_format("the registry cannot be read: %s", strerror(-r)));
        }
}

static int images_to_json(const OciLayout *layout, json_object **ret)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        size_t n;
        const OciImage *images = oci_layout_images(layout, &n);

        for (size_t i = 0; object && i < n; i++) {
                json_object *tags = json_object_new_array();

                if (!tags || json_add(object, images[i].digest, tags) < 0)
                        return -ENOMEM;
                for (char **tag = images[i].tags; tag && *tag; tag++)
                        if (json_object_array_add(tags, json_object_new_string(*tag)) < 0)
                                return -ENOMEM;
        }
        *ret = TAKE_PTR(object);
        return *ret ? 0 : -ENOMEM;
}

static int answer_new(const Query *query, Answer *ret)
{
        *ret = (Answer){ .query = strdup(query->query) };
        return ret->query ? 0 : -ENOMEM;
}

static int find_digest(const OciLayout *layout, const Query *query, Answer *answer)
{
        const char *digest;

        if (!query->version || oci_layout_resolve(layout, query->version, &digest) != 0)
                return decline(answer, STATUS_BAD_INPUT,
                               string_format("the registry has no %s %s %s",
                                             channel_to_string(query->channel), query->track,
                                             query->version ?: ""));
        answer->digest = strdup(digest);
        return answer->digest ? 0 : -ENOMEM;
}

int registry_resolve(const char *registry, const Query *query, Answer *ret)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        int r = answer_new(query, ret);

        if (r == 0)
                r = open_layout(registry, query, &layout, ret);
        if (r == 0 && layout)
                r = find_digest(layout, query, ret);
        if (r < 0)
                answer_done(ret);
        return r;
}

int registry_list(const char *registry, const Query *query, Answer *ret)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        int r = answer_new(query, ret);

        if (r == 0)
                r = open_layout(registry, query, &layout, ret);
        if (r == 0 && layout)
                r = images_to_json(layout, &ret->images);
        if (r < 0)
                answer_done(ret);
        return r;
}
