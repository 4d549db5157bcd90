/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* push: an image becomes a version. It is put together in a folder of its own beside the track's layout, by
 * skopeo from another image or by umoci from a root file system; only when it has proved to be one that can
 * be run is it taken over, and the tag with it. */

#include "ctl-registry.h"
#include "ctl-verbs.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "proto/json-fields.h"
#include "shared/process-util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#define OUTPUT_SIZE_MAX (64U * 1024U)
#define COPY_SIZE       (256U * 1024U)
#define TAR_BLOCK_SIZE  512
#define TAR_MAGIC_AT    257
#define TAR_MAGIC       "ustar"

typedef struct Push {
        const CtlVerb *verb;
        const char *channel, *track, *version, *source;
        char **entrypoint, **environment;
        const char *folder, *user;

        char *layout; /* the track's, locked */
        int lock_fd;
        char *stage; /* a folder in it, gone when all is done */
} Push;

static void push_done(Push *push)
{
        if (push->stage && tree_remove(AT_FDCWD, push->stage) < 0)
                (void) ctl_fail(push->verb, CTL_FAILED, "%s could not be removed", push->stage);
        safe_close(push->lock_fd);
        strv_free(push->entrypoint);
        strv_free(push->environment);
        free(push->layout);
        free(push->stage);
}

static int run(const Push *push, const char *const *argv)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const ProcessOptions options = { .argv = argv, .output_size_max = OUTPUT_SIZE_MAX };
        _cleanup_free_ char *error = NULL;
        int r;

        r = process_run(&options, &result);
        if (r == -ENOENT)
                return ctl_fail(push->verb, CTL_FAILED, "%s is not installed: run `sudo apt install %s`",
                                argv[0], argv[0]);
        if (r < 0 || result.status == 0)
                return r;
        error = process_error(&options, &result);
        return ctl_fail(push->verb, CTL_FAILED, "%s", error ?: "out of memory");
}

/* From another image */

static int stage_image(const Push *push)
{
        _cleanup_free_ char *target = string_format("oci:%s/image:%s", push->stage, push->version);
        const char *const argv[] = { "skopeo", "--insecure-policy", "copy", "--quiet", push->source, target,
                                     NULL };

        return target ? run(push, argv) : -ENOMEM;
}

/* From a root file system */

static bool is_tar(const uint8_t *block, int size)
{
        return size >= TAR_BLOCK_SIZE && memcmp(block + TAR_MAGIC_AT, TAR_MAGIC, strlen(TAR_MAGIC)) == 0;
}

/* Copies the source without its gzip, if it has any: umoci does not take it off. */
static int copy_chunks(const Push *push, gzFile from, int fd, uint8_t *chunk)
{
        bool is_first = true;
        int n, r;

        while ((n = gzread(from, chunk, COPY_SIZE)) > 0) {
                if (is_first && !is_tar(chunk, n))
                        return ctl_fail(push->verb, CTL_FAILED, "%s is no tar, plain or with gzip",
                                        push->source);
                is_first = false;
                r = write_all(fd, chunk, (size_t) n);
                if (r < 0)
                        return r;
        }
        return n < 0 ? ctl_fail(push->verb, CTL_FAILED, "%s is corrupt: it cannot be decompressed",
                                push->source)
                     : 0;
}

static int copy_plain(const Push *push, const char *to)
{
        _cleanup_close_ int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        _cleanup_free_ uint8_t *chunk = malloc(COPY_SIZE);
        gzFile from;
        int r;

        if (fd < 0 || !chunk)
                return fd < 0 ? -errno : -ENOMEM;
        from = gzopen(push->source, "rbe");
        if (!from)
                return ctl_fail(push->verb, CTL_FAILED, "%s cannot be read: %s", push->source,
                                strerror(errno));
        r = copy_chunks(push, from, fd, chunk);
        if (gzclose(from) == Z_BUF_ERROR && r == 0)
                r = ctl_fail(push->verb, CTL_FAILED, "%s is corrupt: it ends too early", push->source);
        return r;
}

static int stage_tar(const Push *push)
{
        _cleanup_free_ char *layout = string_format("%s/image", push->stage),
                            *image = string_format("%s/image:%s", push->stage, push->version),
                            *tar = string_format("%s/layer.tar", push->stage);
        const char *const steps[][7] = {
                { "umoci", "init", "--layout", layout, NULL },
                { "umoci", "new", "--image", image, NULL },
                { "umoci", "raw", "add-layer", "--image", image, tar, NULL },
        };
        int r;

        if (!layout || !image || !tar)
                return -ENOMEM;
        r = copy_plain(push, tar);
        for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
                r = run(push, steps[i]);
        return r;
}

/* Sources */

static const struct Source {
        const char *prefix;
        int (*stage)(const Push *push);
} SOURCES[] = {
        { "oci:", stage_image },
        { "oci-archive:", stage_image },
        { "docker-archive:", stage_image },
};

static int stage(const Push *push)
{
        for (size_t i = 0; i < ARRAY_SIZE(SOURCES); i++)
                if (string_after(push->source, SOURCES[i].prefix))
                        return SOURCES[i].stage(push);
        if (access(push->source, F_OK) < 0)
                return ctl_fail(
                        push->verb, CTL_FAILED,
                        "%s: %s (a source is the tar of a root file system, or oci:, oci-archive: or "
                        "docker-archive: and a path)",
                        push->source, strerror(errno));
        return stage_tar(push);
}

/* What the image shall say, where the command line says it. */
static int configure(const Push *push)
{
        const struct {
                const char *option, *value;
                char **values;
        } settings[] = {
                { "--config.entrypoint", NULL, push->entrypoint },
                { "--config.env", NULL, push->environment },
                { "--config.workingdir", push->folder, NULL },
                { "--config.user", push->user, NULL },
        };
        _cleanup_free_ char *image = string_format("%s/image:%s", push->stage, push->version);
        _cleanup_(strv_freep) char **argv = NULL;
        const char *const fixed[] = { "umoci", "config", "--image", image, "--no-history" };
        int r = image ? 0 : -ENOMEM;

        for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
                r = strv_extend(&argv, fixed[i]);
        for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++) {
                char *const one[] = { (char *) settings[i].value, NULL };

                for (char *const *value = settings[i].values ?: one; *value && r == 0; value++) {
                        r = strv_extend(&argv, settings[i].option);
                        if (r == 0)
                                r = strv_extend(&argv, *value);
                }
        }
        if (r < 0 || strv_length(argv) == ARRAY_SIZE(fixed))
                return r;
        return run(push, (const char *const *) argv);
}

/* Taking over */

static int report(const Ctl *ctl, const Push *push, const char *digest, const CtlImage *image)
{
        _cleanup_json_ json_object *object = NULL;
        char size[CTL_SIZE_SIZE];

        ctl_format_size(image->size, size);
        if (!ctl->json) {
                printf("%s%s/%s %s%s %s (%s, %zu %s)\n", ctl_style(ctl, CTL_BOLD), push->channel,
                       push->track, push->version, ctl_style(ctl, CTL_NORMAL), digest, size, image->n_layers,
                       image->n_layers == 1 ? "layer" : "layers");
                return CTL_OK;
        }
        object = json_object_new_object();
        if (!object || json_add_text(object, "channel", push->channel) < 0 ||
            json_add_text(object, "track", push->track) < 0 ||
            json_add_text(object, "version", push->version) < 0 ||
            json_add_text(object, "digest", digest) < 0 || json_add_uint(object, "size", image->size) < 0 ||
            json_add_uint(object, "layers", image->n_layers) < 0)
                return -ENOMEM;
        puts(json_object_text(object));
        return CTL_OK;
}

static int take_over(const Ctl *ctl, const Push *push)
{
        _cleanup_free_ char *from = string_format("%s/image", push->stage), *error = NULL;
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        const char *digest;
        CtlImage image;
        int r;

        if (!from)
                return -ENOMEM;
        r = oci_layout_open_path(from, &layout, &error);
        if (r == 0)
                r = oci_layout_resolve(layout, push->version, &digest);
        if (r > 0)
                return ctl_fail(push->verb, CTL_FAILED, "%s", error ?: "the source holds no image");
        if (r < 0)
                return r;
        r = ctl_registry_inspect(layout, digest, &image, &error);
        if (r != 0)
                return r > 0 ? ctl_fail(push->verb, r, "%s", error) : r;
        r = oci_layout_add(push->layout, from, digest, push->version);
        return r < 0 ? r : report(ctl, push, digest, &image);
}

static int make_stage(Push *push)
{
        push->stage = string_format("%s/.push-XXXXXX", push->layout);
        if (!push->stage)
                return -ENOMEM;
        if (mkdtemp(push->stage))
                return 0;
        free(TAKE_PTR(push->stage));
        return -errno;
}

static int push_run(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(push_done) Push push = { .verb = verb, .lock_fd = -EBADF };
        const CtlOption options[] = {
                { "entrypoint", CTL_LIST, &push.entrypoint, "WORD",
                  "the program and its first arguments, one option each" },
                { "env", CTL_LIST, &push.environment, "NAME=VALUE", "a variable of its environment" },
                { "folder", CTL_TEXT, &push.folder, "PATH", "the folder it starts in" },
                { "user", CTL_TEXT, &push.user, "NAME", "what the user is called" },
        };
        int r;

        r = ctl_parse(ctl, verb, argc, argv, options, ARRAY_SIZE(options), &argc);
        if (r != 0)
                return r;
        push.channel = argv[1];
        push.track = argv[2];
        push.version = argv[3];
        push.source = argv[4];
        r = ctl_registry_check(verb, &push.channel, push.track, push.version);
        if (r != 0)
                return r;
        r = ctl_registry_lock(ctl, verb, push.channel, push.track, &push.layout, &push.lock_fd);
        if (r != 0)
                return r;
        r = make_stage(&push);
        if (r == 0)
                r = stage(&push);
        if (r == 0)
                r = configure(&push);
        return r != 0 ? r : take_over(ctl, &push);
}

const CtlVerb ctl_verb_push = {
        .name = "push",
        .arguments = "CHANNEL TRACK VERSION SOURCE",
        .summary = "Make an image a version of a track",
        .run = push_run,
};
