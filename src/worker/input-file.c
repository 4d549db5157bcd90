/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* file:///FOLDER/: a folder below one of those that the operator allows, with all that is in it. Whoever
 * writes there may change it while it is read, so every step is taken from the descriptor of the one before,
 * without symlinks, and what is not a regular file is refused. Its memory is one frame, its depth, count and
 * bytes have bounds. */

#include "file-uri.h"
#include "input.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATA_SIZE (32U * 1024U)

typedef struct Level {
        DIR *folder;
        size_t path_length; /* of the path up to and with its slash */
} Level;

typedef struct FileInput {
        Input input;
        Level levels[INPUT_DEPTH_MAX];
        unsigned n_levels;
        char path[INPUT_PATH_MAX + 1]; /* of the entry at hand, relative to the input's folder */
        int file_fd;                   /* the file under way, or none */
        uint64_t file_left;
        uint64_t size_max, size_left;
        uint64_t n_files, n_files_max;
} FileInput;

static void file_input_free(Input *input)
{
        FileInput *in = CONTAINER_OF(input, FileInput, input);

        while (in->n_levels > 0)
                (void) closedir(in->levels[--in->n_levels].folder);
        safe_close(in->file_fd);
        free(in);
}

static void file_input_freep(FileInput **in)
{
        if (*in)
                file_input_free(&(*in)->input);
}

/* Opens a folder beneath an allowed one. */
static int open_beneath(const char *folder, const char *path)
{
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        _cleanup_close_ int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        long fd;

        if (root < 0)
                return -errno;
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        return fd < 0 ? -errno : (int) fd;
}

/* The first allowed folder that it is in; -ENOENT where there is none, -EXDEV where it is below
 * none at all. */
static int open_allowed(const char *path, char *const *folders)
{
        int fd = -EXDEV;

        for (; folders && *folders && fd < 0; folders++) {
                const char *below = file_path_below(path, *folders);

                if (below)
                        fd = open_beneath(*folders, below);
        }
        return fd;
}

static const char *open_error(int error)
{
        switch (error) {
        case -EXDEV:
        case -ELOOP:
                return "the input is not below a folder that this worker may read";
        case -ENOENT:
                return "the input is not there";
        case -ENOTDIR:
                return "the input is not a folder";
        case -EACCES:
        case -EPERM:
                return "the worker may not read the input";
        default:
                return "the input cannot be opened";
        }
}

/* Goes down into the folder; takes over the descriptor. */
static int enter(FileInput *in, int fd, size_t path_length)
{
        DIR *folder = fdopendir(fd);

        if (!folder) {
                safe_close(fd);
                return -errno;
        }
        in->levels[in->n_levels++] = (Level){ folder, path_length };
        return 0;
}

static int file_input_open(const char *rest, const InputContext *context, Input **ret, char **ret_error)
{
        _cleanup_(file_input_freep) FileInput *in = calloc(1, sizeof(FileInput));
        _cleanup_free_ char *path = NULL;
        int fd, r;

        if (!in)
                return -ENOMEM;
        in->file_fd = -EBADF;
        in->size_max = in->size_left = context->size_max;
        in->n_files_max = MIN(context->n_files_max, INPUT_FILES_MAX);
        r = file_uri_parse(rest, &path);
        if (r < 0)
                return r;
        if (r == FILE_URI_BAD)
                return error_set(ret_error, INPUT_BAD, "an input's URI looks like file:///FOLDER/");
        fd = open_allowed(path, context->folders);
        if (fd < 0)
                return error_set(ret_error, INPUT_BAD, "%s", open_error(fd));
        r = enter(in, fd, 0);
        if (r < 0)
                return r;
        *ret = &TAKE_PTR(in)->input;
        return 0;
}

/* What is wrong with the entry at hand; its name is the submitter's, so it is shown with care. */
static int bad_entry(const FileInput *in, const char *what, char **ret_error)
{
        _cleanup_free_ char *path = string_escape(in->path, strlen(in->path), INPUT_PATH_MAX);

        return path ? error_set(ret_error, INPUT_BAD, "%s in the input %s", path, what) : -ENOMEM;
}

static int start_file(FileInput *in, int fd, const struct stat *st, Buffer *out, char **ret_error)
{
        in->file_fd = fd;
        if (++in->n_files > in->n_files_max)
                return error_set(ret_error, INPUT_BAD, "the input has more than %" PRIu64 " files",
                                 in->n_files_max);
        if ((uint64_t) st->st_size > in->size_left)
                return error_set(ret_error, INPUT_BAD, "the input is larger than %" PRIu64 " bytes",
                                 in->size_max);
        in->file_left = (uint64_t) st->st_size;
        in->size_left -= in->file_left;
        return frame_append_file(out, st->st_mode & S_IXUSR ? FRAME_FLAG_EXECUTABLE : 0, in->file_left,
                                 in->path, SIZE_MAX);
}

static int start_folder(FileInput *in, int fd, char **ret_error)
{
        size_t length = strlen(in->path);

        if (in->n_levels == INPUT_DEPTH_MAX || length + 1 > INPUT_PATH_MAX) {
                safe_close(fd);
                return bad_entry(in, "lies too deep", ret_error);
        }
        in->path[length] = '/';
        in->path[length + 1] = '\0';
        return enter(in, fd, length + 1);
}

static int start_entry(FileInput *in, const char *name, Buffer *out, char **ret_error)
{
        Level *level = &in->levels[in->n_levels - 1];
        struct stat st;
        int fd;

        if (level->path_length + strlen(name) > INPUT_PATH_MAX)
                return error_set(ret_error, INPUT_BAD, "the input has a path that is too long");
        strcpy(in->path + level->path_length, name);
        /* Without blocking: it may be a FIFO. */
        fd = openat(dirfd(level->folder), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return bad_entry(in, errno == ELOOP ? "is a symbolic link" : "cannot be read", ret_error);
        if (fstat(fd, &st) < 0) {
                safe_close(fd);
                return bad_entry(in, "cannot be looked at", ret_error);
        }
        if (S_ISDIR(st.st_mode))
                return start_folder(in, fd, ret_error);
        if (S_ISREG(st.st_mode))
                return start_file(in, fd, &st, out, ret_error);
        safe_close(fd);
        return bad_entry(in, "is neither a file nor a folder", ret_error);
}

static int next_entry(FileInput *in, Buffer *out, char **ret_error)
{
        Level *level = &in->levels[in->n_levels - 1];
        struct dirent *entry;
        int r = folder_next(level->folder, &entry);

        if (r > 0)
                return start_entry(in, entry->d_name, out, ret_error);
        if (r < 0)
                return error_set(ret_error, INPUT_BAD, "the input cannot be read");
        (void) closedir(level->folder);
        in->n_levels--;
        return 0;
}

static int next_data(FileInput *in, Buffer *out, char **ret_error)
{
        uint8_t data[DATA_SIZE];
        ssize_t n = read_full(in->file_fd, data, MIN(in->file_left, sizeof(data)));

        if (n < 0 || (n == 0 && in->file_left > 0))
                return bad_entry(in, n < 0 ? "cannot be read" : "changed while it was read", ret_error);
        in->file_left -= (uint64_t) n;
        if (in->file_left == 0)
                in->file_fd = safe_close(in->file_fd);
        return n > 0 ? frame_append(out, FRAME_DATA, 0, data, (size_t) n, SIZE_MAX) : 0;
}

static int file_input_fill(Input *input, Buffer *out, size_t size_max, char **ret_error)
{
        FileInput *in = CONTAINER_OF(input, FileInput, input);
        size_t margin = FRAME_HEADER_SIZE + DATA_SIZE;
        int r = 0;

        while (r == 0 && (in->file_fd >= 0 || in->n_levels > 0)) {
                if (out->size + margin > size_max)
                        return 0;
                r = in->file_fd >= 0 ? next_data(in, out, ret_error) : next_entry(in, out, ret_error);
        }
        if (r != 0)
                return r;
        if (in->n_files == 0)
                return error_set(ret_error, INPUT_BAD, "the input has no files");
        r = frame_append(out, FRAME_INPUT_END, 0, NULL, 0, SIZE_MAX);
        return r < 0 ? r : INPUT_COMPLETE;
}

const InputScheme input_file = {
        .prefix = "file://",
        .open = file_input_open,
        .fill = file_input_fill,
        .free = file_input_free,
};
