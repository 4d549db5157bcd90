/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* images: what the registry holds, a line a version. */

#include "ctl-registry.h"
#include "ctl-table.h"
#include "ctl-verbs.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/name.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SHORT_DIGEST 19U /* sha256: and twelve digits */

typedef struct Listing {
        const CtlVerb *verb;
        const Ctl *ctl;
        const char *only_channel, *only_track; /* NULL: all */
        const char *channel, *track;           /* that are being listed */
        CtlTable table;
        json_object *array;
        bool is_short; /* something could not be listed, and that was said */
} Listing;

static void listing_done(Listing *listing)
{
        ctl_table_done(&listing->table);
        json_object_put(listing->array);
}

static int add_json(Listing *listing, const char *version, const char *digest, uint64_t size)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        if (!object || json_add_text(object, "channel", listing->channel) < 0 ||
            json_add_text(object, "track", listing->track) < 0 ||
            json_add_text(object, "version", version) < 0 || json_add_text(object, "digest", digest) < 0 ||
            json_add_uint(object, "size", size) < 0 || json_object_array_add(listing->array, object) < 0)
                return -ENOMEM;
        object = NULL;
        return 0;
}

static int add_version(Listing *listing, const char *version, const char *digest, uint64_t size)
{
        char short_digest[SHORT_DIGEST + 1], size_text[CTL_SIZE_SIZE];

        if (listing->ctl->json)
                return add_json(listing, version, digest, size);
        (void) snprintf(short_digest, sizeof(short_digest), "%s", digest);
        ctl_format_size(size, size_text);
        return ctl_table_add(&listing->table, (const char *const[]){ listing->channel, listing->track,
                                                                     version, short_digest, size_text });
}

static int add_image(Listing *listing, const OciLayout *layout, const OciImage *image)
{
        _cleanup_free_ char *error = NULL;
        CtlImage found;
        int r = ctl_registry_inspect(layout, image->digest, &found, &error);

        listing->is_short |= r > 0;
        for (char **tag = image->tags; r >= 0 && *tag; tag++) {
                if (error)
                        (void) ctl_fail(listing->verb, CTL_FAILED, "%s/%s %s: %s", listing->channel,
                                        listing->track, *tag, error);
                else
                        r = add_version(listing, *tag, image->digest, found.size);
        }
        return MIN(r, 0);
}

static int add_layout(Listing *listing, const OciLayout *layout)
{
        size_t n;
        const OciImage *images = oci_layout_images(layout, &n);
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                if (images[i].tags)
                        r = add_image(listing, layout, &images[i]);
        return r;
}

static int add_track(Listing *listing, const char *track)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        if (listing->only_track && !streq(listing->only_track, track))
                return 0;
        listing->track = track;
        r = oci_layout_open(listing->ctl->registry, listing->channel, track, &layout, &error);
        if (r == 0)
                return add_layout(listing, layout);
        if (r == OCI_LAYOUT_MISSING || r == -ENOMEM)
                return MIN(r, 0);
        (void) ctl_fail(listing->verb, CTL_FAILED, "%s/%s: %s", listing->channel, track,
                        error ?: strerror(-r));
        listing->is_short = true;
        return 0;
}

/* Each track's folder of a channel, in the order of their names. */
static int add_channel(Listing *listing, const char *channel)
{
        _cleanup_free_ char *path = string_format("%s/%s", listing->ctl->registry, channel);
        struct dirent **entries;
        int n, r = 0;

        if (!path)
                return -ENOMEM;
        if (listing->only_channel && !streq(listing->only_channel, channel))
                return 0;
        listing->channel = channel;
        n = scandir(path, &entries, NULL, alphasort);
        if (n < 0)
                return errno == ENOENT ? 0 : -errno;
        for (int i = 0; i < n; i++) {
                if (r == 0 && slug_is_valid(entries[i]->d_name))
                        r = add_track(listing, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int list(Listing *listing)
{
        static const char *const head[] = { "CHANNEL", "TRACK", "VERSION", "DIGEST", "SIZE" };
        int r;

        listing->table.n_columns = ARRAY_SIZE(head);
        listing->array = json_object_new_array();
        if (!listing->array)
                return -ENOMEM;
        if (access(listing->ctl->registry, F_OK) < 0)
                return errno == ENOENT
                               ? ctl_fail(listing->verb, CTL_FAILED, CTL_NO_REGISTRY, listing->ctl->registry)
                               : ctl_fail(listing->verb, CTL_FAILED, "%s: %m", listing->ctl->registry);
        r = ctl_table_add(&listing->table, head);
        for (Channel channel = 0; channel < _CHANNEL_MAX && r == 0; channel++)
                r = add_channel(listing, channel_to_string(channel));
        if (r < 0)
                return r;
        if (listing->ctl->json)
                puts(json_object_text(listing->array));
        else
                ctl_table_print(listing->ctl, &listing->table);
        return listing->is_short ? CTL_FAILED : CTL_OK;
}

static int images_run(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(listing_done) Listing listing = { .verb = verb, .ctl = ctl };
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r != 0)
                return r;
        listing.only_channel = argc > 1 ? argv[1] : NULL;
        listing.only_track = argc > 2 ? argv[2] : NULL;
        if (listing.only_channel) {
                r = ctl_registry_check(verb, &listing.only_channel, listing.only_track ?: "any", NULL);
                if (r != 0)
                        return r;
        }
        return list(&listing);
}

const CtlVerb ctl_verb_images = {
        .name = "images",
        .arguments = "[CHANNEL] [TRACK]",
        .summary = "What the registry holds",
        .run = images_run,
};
