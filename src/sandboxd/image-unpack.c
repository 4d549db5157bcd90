/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manifest is what was asked for by its digest; it names the configuration and the layers; all were sent
 * beforehand. Each is checked against its name before anything that it says is believed. umoci then applies
 * the layers, because order, whiteouts, owners and links are what it knows. */

#include "image-unpack.h"

#include "image-layer.h"
#include "image-layout.h"
#include "image-record.h"
#include "image-root.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "shared/process-util.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#define OUTPUT_SIZE_MAX (64U * 1024U)

typedef struct Unpack {
        const ImageSource *sources; /* borrowed */
        size_t n_sources;
        ImageManifest manifest;
        ImageRecord record;
        char *error;
} Unpack;

static void unpack_done(Unpack *unpack)
{
        image_manifest_done(&unpack->manifest);
        image_record_done(&unpack->record);
        free(unpack->error);
}

static int find(Unpack *unpack, const char *digest, const char *what, int *ret_fd)
{
        for (size_t i = 0; i < unpack->n_sources; i++)
                if (streq(unpack->sources[i].digest, digest)) {
                        *ret_fd = unpack->sources[i].fd;
                        return 0;
                }
        return error_set(&unpack->error, IMAGE_BAD, "%s %s was not sent", what, digest);
}

static int read_text(Unpack *unpack, const char *digest, const char *what, size_t size_max, char **ret,
                     size_t *ret_size)
{
        int fd, r;

        r = find(unpack, digest, what, &fd);
        return r != 0 ? r : image_read_blob(fd, digest, size_max, what, ret, ret_size, &unpack->error);
}

static int read_manifest(Unpack *unpack, const char *digest)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_text(unpack, digest, "the manifest", IMAGE_MANIFEST_SIZE_MAX, &text, &size);
        return r != 0 ? r : image_manifest_parse(text, size, &unpack->manifest, &unpack->error);
}

/* The machine's name as Go has it; NULL where it is not known here. */
static const char *own_architecture(void)
{
        static const struct {
                const char *machine, *name;
        } names[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "riscv64", "riscv64" } };
        struct utsname own;

        for (size_t i = 0; i < ARRAY_SIZE(names) && uname(&own) == 0; i++)
                if (streq(own.machine, names[i].machine))
                        return names[i].name;
        return NULL;
}

static int check_config(Unpack *unpack)
{
        const char *wanted = own_architecture(), *said = unpack->record.config.architecture;
        size_t n_diff_ids = strv_length(unpack->record.config.diff_ids);

        if (n_diff_ids != unpack->manifest.n_layers)
                return error_set(&unpack->error, IMAGE_BAD,
                                 "the manifest has %zu layers, the configuration %zu diff ids",
                                 unpack->manifest.n_layers, n_diff_ids);
        if (wanted && said && said[0] != '\0' && !streq(said, wanted))
                return error_set(&unpack->error, IMAGE_BAD, "the image is for another architecture than %s",
                                 wanted);
        return 0;
}

static int read_config(Unpack *unpack)
{
        const ImageBlob *blob = &unpack->manifest.config;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_text(unpack, blob->digest, "the configuration", IMAGE_CONFIG_SIZE_MAX, &text, &size);
        if (r != 0)
                return r;
        r = image_config_parse(text, size, &unpack->record.config, &unpack->error);
        return r != 0 ? r : check_config(unpack);
}

/* Where the plain tar of a layer goes. One that comes again is there already, and still has to be read: its
 * blob may be another, and umoci unpacks it again, so it counts again. */
static int open_layer(const char *diff_id, int *ret_fd)
{
        int r = image_layout_make_layer(diff_id, ret_fd);

        if (r != IMAGE_LAYOUT_EXISTS)
                return r;
        *ret_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

static int take_layer(Unpack *unpack, size_t i, ImageBudget *budget)
{
        const ImageBlob *layer = &unpack->manifest.layers[i];
        const char *diff_id = unpack->record.config.diff_ids[i];
        _cleanup_close_ int tar_fd = -EBADF;
        int fd, r;

        r = find(unpack, layer->digest, "the layer", &fd);
        if (r != 0)
                return r;
        r = open_layer(diff_id, &tar_fd);
        return r < 0 ? r : image_read_layer(fd, layer, diff_id, i + 1, tar_fd, budget, &unpack->error);
}

static int make_layout(Unpack *unpack)
{
        ImageBudget budget = IMAGE_BUDGET_INIT;
        int r;

        r = image_layout_init();
        for (size_t i = 0; i < unpack->manifest.n_layers && r == 0; i++)
                r = take_layer(unpack, i, &budget);
        return r != 0 ? r : image_layout_finish(unpack->record.config.diff_ids);
}

static int run_umoci(Unpack *unpack)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const ProcessOptions options = {
                .argv = (const char *const[]){ "umoci", "raw", "unpack", "--image", IMAGE_LAYOUT_SOURCE,
                                               IMAGE_ROOTFS, NULL },
                .output_size_max = OUTPUT_SIZE_MAX,
        };
        int r;

        r = process_run(&options, &result);
        if (r == -ENOENT)
                return error_set(&unpack->error, IMAGE_BAD, "umoci is not installed");
        if (r < 0)
                return r;
        if (result.status == 0)
                return 0;
        unpack->error = process_error(&options, &result);
        return unpack->error ? IMAGE_BAD : -ENOMEM;
}

static int prepare_root(Unpack *unpack)
{
        _cleanup_close_ int fd = open(IMAGE_ROOTFS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return error_set(&unpack->error, IMAGE_BAD, "a layer takes the root folder away");
        if (fd < 0)
                return -errno;
        return image_root_prepare(fd, unpack->record.config.user, IMAGE_ENTRIES_MAX, &unpack->record.size,
                                  &unpack->error);
}

static int unpack_all(Unpack *unpack, const char *digest, char **ret_record)
{
        int r;

        r = read_manifest(unpack, digest);
        if (r != 0)
                return r;
        r = read_config(unpack);
        if (r != 0)
                return r;
        r = make_layout(unpack);
        if (r != 0)
                return r;
        r = run_umoci(unpack);
        if (r != 0)
                return r;
        r = prepare_root(unpack);
        return r != 0 ? r : image_record_format(&unpack->record, ret_record, &unpack->error);
}

int image_unpack(const char *digest, const ImageSource *sources, size_t n_sources, char **ret_record,
                 char **ret_error)
{
        _cleanup_(unpack_done) Unpack unpack = { .sources = sources, .n_sources = n_sources };
        int r;

        r = unpack_all(&unpack, digest, ret_record);
        if (r == IMAGE_BAD)
                *ret_error = TAKE_PTR(unpack.error);
        return r;
}
