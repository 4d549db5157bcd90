/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a registry has: a version's digest, and all versions with theirs. */

#include "ask.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "shared/ecr.h"

#include <errno.h>

#define TIME_USEC  (20 * USEC_PER_SEC) /* the router waits for 30 s */
#define LISTED_MAX 1000U               /* tags whose digest is asked for, one by one */

static int open_repository(const Ask *ask, Distribution **ret, char **ret_error)
{
        const DistributionOptions options = { .settings = ask->settings,
                                              .channel = ask->channel,
                                              .track = ask->track,
                                              .time_usec = TIME_USEC };

        return distribution_new(&options, ret, ret_error);
}

static int resolve(Distribution *d, const char *tag, char *ret_digest, char **ret_error)
{
        _cleanup_(manifest_done) Manifest manifest = {};
        int r = distribution_manifest(d, tag, &manifest, ret_error);

        return r != 0 ? r : index_choose(&manifest, ret_digest, ret_error);
}

int remote_resolve(const Ask *ask, char **ret_error)
{
        _cleanup_(distribution_freep) Distribution *d = NULL;
        char digest[80];
        int r;

        r = open_repository(ask, &d, ret_error);
        if (r == 0)
                r = resolve(d, ask->arguments[0], digest, ret_error);
        return r != 0 ? r : json_add_text(ask->answer, "digest", digest);
}

static int add_tag(json_object *images, const char *digest, const char *tag)
{
        json_object *tags, *text = json_object_new_string(tag);

        if (!json_object_object_get_ex(images, digest, &tags)) {
                tags = json_object_new_array();
                if (!tags || json_add(images, digest, tags) < 0) {
                        json_object_put(text);
                        return -ENOMEM;
                }
        }
        return text && json_object_array_add(tags, text) == 0 ? 0 : -ENOMEM;
}

/* Amazon's registry lists digests and tags in one call of its own. */
static int list_ecr(const Ask *ask, const EcrRegistry *registry, char **ret_error)
{
        _cleanup_free_ char *repository = NULL;
        json_object *images = NULL;
        int r;

        r = registry_repository(ask->settings, ask->channel, ask->track, &repository, ret_error);
        if (r != 0)
                return r < 0 ? r : ASK_MISSING;
        r = ecr_list(registry, repository, TIME_USEC, &images, ret_error);
        if (r == 0)
                return json_add(ask->answer, "images", images);
        return r < 0 ? r : r == ECR_MISSING ? ASK_MISSING : ASK_UNAVAILABLE;
}

static int list_tags(const Ask *ask, char **ret_error)
{
        _cleanup_(distribution_freep) Distribution *d = NULL;
        _cleanup_(strv_freep) char **tags = NULL;
        json_object *images = json_object_new_object();
        int r = images ? json_add(ask->answer, "images", images) : -ENOMEM;

        if (r == 0)
                r = open_repository(ask, &d, ret_error);
        if (r == 0)
                r = distribution_tags(d, &tags, ret_error);
        if (r == 0 && strv_length(tags) > LISTED_MAX)
                r = error_set(ret_error, ASK_UNAVAILABLE,
                              "the registry has %zu tags for %s, more than can be listed (%u)",
                              strv_length(tags), ask->track, LISTED_MAX);
        for (char **tag = tags; r == 0 && tag && *tag; tag++) {
                _cleanup_free_ char *error = NULL;
                char digest[80];

                r = resolve(d, *tag, digest, &error);
                if (r == ASK_MISSING || r == ASK_BAD_IMAGE) { /* removed meanwhile, or no image of ours */
                        r = 0;
                        continue;
                }
                if (r > 0)
                        *ret_error = TAKE_PTR(error);
                if (r == 0)
                        r = add_tag(images, digest, *tag);
        }
        return r;
}

int remote_list(const Ask *ask, char **ret_error)
{
        _cleanup_(ecr_registry_done) EcrRegistry registry = {};
        int r = ecr_registry_from_host(ask->settings->host, &registry);

        return r < 0 ? r : r > 0 ? list_ecr(ask, &registry, ret_error) : list_tags(ask, ret_error);
}
