/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Three processes take part. The daemon starts a child and goes on with its loop. The child has the daemon's
 * rights over the store, reads nothing of the image, makes a folder in `incoming`, and starts the confined
 * one, which owns that folder and does all the work. When that one has said that the image is good, the
 * child takes the folder back, writes image.json, waits until all of it is on the disk, and moves it to its
 * place. */

#include "store-private.h"

#include "image-layout.h"
#include "image-record.h"
#include "image-unpack.h"
#include "rootless/confined.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "basic/time-util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTALLS_MAX   4U
#define TIME_MAX       (600U * USEC_PER_SEC)
#define TIME_ACCURACY  (100U * USEC_PER_MSEC)
#define MEMORY_MAX     (UINT64_C(2) << 30) /* umoci keeps the path of each entry, as links make it */
#define ERROR_SIZE_MAX 4096U               /* goes into a pipe at once */

/* Exit statuses, of the confined process and of the child. */
typedef enum InstallExit {
        INSTALL_OK,
        INSTALL_REFUSED, /* what is wrong with the image was written */
        INSTALL_FAILED,  /* what went wrong here was written */
} InstallExit;

struct StoreInstall {
        Store *store;
        char *digest;
        char *folder; /* relative to the store's */
        ImageSource sources[IMAGE_BLOBS_MAX];
        size_t n_sources;
        int error_fd, child_error_fd; /* a pipe */
        Child *child;
        bool is_started;
        sd_event_source *timer;
        StoreInstallHandler handler;
        void *userdata;
};

/* Collecting */

int store_install_new(Store *store, const char *digest, StoreInstall **ret)
{
        _cleanup_(store_install_freep) StoreInstall *install = NULL;
        _cleanup_free_ char *random = NULL;

        if (!digest_hex(digest))
                return STORE_BAD_DIGEST;
        install = calloc(1, sizeof(StoreInstall));
        if (!install)
                return -ENOMEM;
        install->error_fd = install->child_error_fd = -EBADF;
        install->store = store;
        random = random_hex(16);
        install->folder = random ? string_format(STORE_INCOMING "/%s", random) : NULL;
        install->digest = strdup(digest);
        if (!install->folder || !install->digest)
                return -ENOMEM;
        *ret = TAKE_PTR(install);
        return 0;
}

StoreInstall *store_install_free(StoreInstall *install)
{
        if (!install)
                return NULL;
        sd_event_source_disable_unref(install->timer);
        child_free(install->child);
        if (install->is_started) {
                install->store->n_installs--;
                (void) store_discard(install->store, install->folder); /* else at the next start */
                (void) store_sweep(install->store);
        }
        for (size_t i = 0; i < install->n_sources; i++) {
                free(install->sources[i].digest);
                safe_close(install->sources[i].fd);
        }
        safe_close(install->error_fd);
        safe_close(install->child_error_fd);
        free(install->folder);
        free(install->digest);
        free(install);
        return NULL;
}

int store_install_add_blob(StoreInstall *install, const char *digest, size_t digest_size, int fd)
{
        _cleanup_close_ int owned = fd;
        _cleanup_free_ char *copy = strndup(digest, digest_size);
        struct stat st;

        if (!copy)
                return -ENOMEM;
        if (strlen(copy) != digest_size || !digest_hex(copy))
                return STORE_BAD_DIGEST;
        if (install->n_sources == IMAGE_BLOBS_MAX || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return STORE_BAD_IMAGE;
        install->sources[install->n_sources++] = (ImageSource){ TAKE_PTR(copy), TAKE_FD(owned) };
        return 0;
}

/* In the confined process */

static int unpack(int result_fd, void *userdata)
{
        const StoreInstall *install = userdata;
        _cleanup_free_ char *record = NULL, *error = NULL;
        int r;

        r = image_unpack(install->digest, install->sources, install->n_sources, &record, &error);
        if (r == IMAGE_BAD) {
                (void) dprintf(result_fd, "%s", error);
                return INSTALL_REFUSED;
        }
        if (r < 0) {
                (void) dprintf(result_fd, "the image cannot be unpacked: %s", strerror(-r));
                return INSTALL_FAILED;
        }
        return write_all(result_fd, record, strlen(record)) < 0 ? INSTALL_FAILED : INSTALL_OK;
}

/* In the child */

/* A folder for root of the confined namespace to work in. */
static int make_folder(const StoreInstall *install)
{
        const Identity *identity = &install->store->identity;
        int folder_fd = install->store->folder_fd;

        if (mkdirat(folder_fd, install->folder, 0700) < 0 ||
            fchownat(folder_fd, install->folder, identity->uids.image[0].host, identity->gids.image[0].host,
                     AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int write_record(int folder_fd, const char *record)
{
        _cleanup_close_ int fd =
                openat(folder_fd, STORE_RECORD, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : write_all(fd, record, strlen(record));
}

/* Takes the folder back, completes it, and moves it to its place. Nobody else has it any more. */
static int complete(const StoreInstall *install, const char *record)
{
        _cleanup_free_ char *image = store_image_path(install->digest), *layout = NULL;
        _cleanup_close_ int fd = -EBADF;
        Store *store = install->store;
        int r;

        layout = string_format("%s/" IMAGE_LAYOUT, install->folder);
        if (!image || !layout)
                return -ENOMEM;
        fd = openat(store->folder_fd, install->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0711) < 0)
                return -errno;
        r = store_discard(store, layout);
        if (r < 0)
                return r;
        r = write_record(fd, record);
        if (r < 0)
                return r;
        if (syncfs(fd) < 0)
                return -errno;
        /* Where another install of it was quicker, the folder stays behind and is removed. */
        if (renameat(store->folder_fd, install->folder, store->folder_fd, image) < 0 && errno != EEXIST &&
            errno != ENOTEMPTY)
                return -errno;
        return fsync(store->folder_fd) < 0 ? -errno : 0;
}

_printf_(3, 4) static int fail(const StoreInstall *install, InstallExit status, const char *format, ...)
{
        char error[ERROR_SIZE_MAX];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(error, sizeof(error), format, arguments);
        va_end(arguments);
        (void) dprintf(install->child_error_fd, "%s", error);
        return (int) status;
}

/* What the confined process wrote is checked like anything an image says. */
static int take_record(const StoreInstall *install, const char *text, size_t size)
{
        _cleanup_(image_record_done) ImageRecord record = {};
        _cleanup_free_ char *clean = NULL, *error = NULL;
        int r;

        r = image_record_parse(text, size, &record);
        if (r == 0)
                r = image_record_format(&record, &clean, &error);
        if (r > 0)
                return fail(install, INSTALL_FAILED, "the unpacked image is not described as it should be");
        if (r == 0)
                r = complete(install, clean);
        return r < 0 ? fail(install, INSTALL_FAILED, "the image cannot be stored: %s", strerror(-r))
                     : INSTALL_OK;
}

static int install_main(void *userdata)
{
        StoreInstall *install = userdata;
        _cleanup_free_ char *folder = string_format("%s/%s", install->store->folder, install->folder),
                            *text = NULL;
        const ConfinedOptions options = {
                .identity = &install->store->identity,
                .hidden = install->store->folder,
                .folder = folder,
                .main = unpack,
                .userdata = install,
                .memory_max = MEMORY_MAX,
        };
        size_t size;
        int r;

        if (!folder)
                return fail(install, INSTALL_FAILED, "out of memory");
        r = make_folder(install);
        if (r == 0)
                r = confined_run(&options, IMAGE_RECORD_SIZE_MAX, &text, &size);
        if (r < 0)
                return fail(install, INSTALL_FAILED, "the image cannot be unpacked: %s", strerror(-r));
        if (r == INSTALL_OK)
                return take_record(install, text, size);
        if (r == INSTALL_REFUSED || r == INSTALL_FAILED)
                return fail(install, r, "%s", text);
        return fail(install, INSTALL_FAILED, "the process that unpacks images ended with %d: %s", r, text);
}

/* In the daemon again */

static void end(StoreInstall *install, int code, const char *error)
{
        install->timer = sd_event_source_disable_unref(install->timer);
        install->child = child_free(install->child);
        install->handler(install, code, error, install->userdata);
}

static void on_ended(Child *child, int status, void *userdata)
{
        StoreInstall *install = userdata;
        char error[ERROR_SIZE_MAX + 1] = "";
        ssize_t n = read(install->error_fd, error, ERROR_SIZE_MAX);

        if (n >= 0)
                error[n] = '\0';
        if (status == INSTALL_OK)
                end(install, 0, NULL);
        else if (status == INSTALL_REFUSED && n > 0)
                end(install, STORE_BAD_IMAGE, error);
        else
                end(install, 500, n > 0 ? error : "the process that installs images died");
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        StoreInstall *install = userdata;
        char error[128];

        (void) snprintf(error, sizeof(error), "unpacking the image took longer than %llu s",
                        (unsigned long long) (TIME_MAX / USEC_PER_SEC));
        end(install, STORE_BAD_IMAGE, error);
        return 0;
}

static int open_pipe(StoreInstall *install)
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        install->error_fd = fds[0];
        install->child_error_fd = fds[1];
        return 0;
}

static int start_child(StoreInstall *install)
{
        int fds[IMAGE_BLOBS_MAX + 2];
        size_t n = 0;

        fds[n++] = install->store->folder_fd;
        fds[n++] = install->child_error_fd;
        for (size_t i = 0; i < install->n_sources; i++)
                fds[n++] = install->sources[i].fd;
        return child_start(install->store->event, install_main, on_ended, install, fds, n, &install->child);
}

int store_install_start(StoreInstall *install, StoreInstallHandler handler, void *userdata)
{
        int r;

        assert(!install->is_started);
        if (install->store->n_installs >= INSTALLS_MAX)
                return STORE_FULL;
        install->handler = handler;
        install->userdata = userdata;
        r = open_pipe(install);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(install->store->event, &install->timer, CLOCK_MONOTONIC, TIME_MAX,
                                       TIME_ACCURACY, on_timeout, install);
        if (r < 0)
                return r;
        r = start_child(install);
        if (r < 0)
                return r;
        install->is_started = true;
        install->store->n_installs++;
        return 0;
}
