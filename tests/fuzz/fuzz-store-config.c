/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router's file, as text and as a file that is changed. Whatever stands in it is read, or refused with a
 * place; a change to one track is there when the file is read again, and no other track has changed. */

#include "fuzz.h"

#include "router/store.h"

#include "basic/io-util.h"
#include "basic/string-util.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static bool versions_are(const VersionList *a, const VersionList *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (!streq(a->items[i].version, b->items[i].version))
                        return false;
        return true;
}

static void check_unchanged(const StoreConfig *before, const StoreConfig *after)
{
        for (size_t i = 0; i < before->n_tracks; i++) {
                const StoreTrack *track = before->tracks[i];
                const StoreTrack *now = store_config_track(after, track->channel, track->settings.track);

                if (!now || now->settings.limits.wall_usec != track->settings.limits.wall_usec)
                        abort();
                if (!streq(track->settings.track, "ruby") && !versions_are(&track->versions, &now->versions))
                        abort();
        }
}

static void change(Store *store, const StoreConfig *before)
{
        VersionItem items[] = { { (char *) "ruby", (char *) "v9", (char *) DIGEST, NULL, NULL },
                                { (char *) "ruby", (char *) "v1", NULL, NULL, NULL } };
        const VersionList versions = { items, ARRAY_SIZE(items) };
        _cleanup_free_ char *error = NULL;
        const StoreTrack *track;
        int r = store_set_versions(store, CHANNEL_TEST_RUNNERS, "ruby", &versions, &error);

        if (r == -EFBIG)
                return;
        if (r != 0 && r != STORE_BAD)
                abort();
        if (r == 0 && store_reload(store, &error) != 0)
                abort();
        check_unchanged(before, store_config(store));
        track = store_config_track(store_config(store), CHANNEL_TEST_RUNNERS, "ruby");
        if (r == 0 && (!track || !versions_are(&track->versions, &versions)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(store_config_freep) StoreConfig *before = NULL;
        _cleanup_(store_freep) Store *store = NULL;
        _cleanup_(conf_error_done) ConfError conf_error = {};
        _cleanup_free_ char *error = NULL, *path = NULL;
        int r = store_config_parse((const char *) data, size, &before, &conf_error), fd;

        if (r < 0 ||
            (r == CONF_BAD && (!conf_error.message || conf_error.line == 0 || conf_error.column == 0)))
                abort();
        if (r != 0 || size > 65536)
                return 0;
        path = string_format("/dev/shm/fuzz-store-%d.yml", (int) getpid());
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write_all(fd, data, size) < 0 || close(fd) < 0)
                abort();
        if (store_open(path, NULL, &store, &error) != 0)
                abort();
        change(store, before);
        (void) unlink(path);
        return 0;
}
