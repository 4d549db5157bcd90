/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PID 1 of a build: its folder holds the layers of its track (storage) and what goes away with it (work):
 *
 *   context and base images come by descriptor -> work -> buildah, which has each RUN carried out by the OCI
 *   runtime in namespaces of its own -> an OCI layout in work -> frames
 *
 * Whoever breaks out of a RUN step, or of buildah, is here: root of a user namespace with a network that
 * leads nowhere, and the host's files as anybody may read them.
 *
 * Where steps may reach the network they share this one, in which a socket listens that pipeline-egress
 * accepts at: what leads out is that proxy. */

#include "build-inside.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/frame.h"

#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK_SIZE     (32U * 1024U)
#define COPY_SIZE      (1U << 30)
#define WORDS_MAX      40U
#define PATHS          "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
#define PLACE          "/run/build"
#define STORAGE_ROOT   BUILD_STORAGE
#define STORAGE_RUN    "/run/storage"
#define CONTEXT        BUILD_WORK "/context"
#define DOCKERFILE     BUILD_WORK "/Dockerfile"
#define OUT            BUILD_WORK "/image"
#define TEMPORARY      BUILD_WORK "/tmp"
#define TRIAL          BUILD_WORK "/trial"
#define FOLDERS_DEPTH  3U /* of an OCI layout */
#define PROXY_PORT     3128
#define PROXY_BACKLOG  256
#define EGRESS_SECONDS 10
#define PROXY_URL      "http://127.0.0.1:3128"

/* Says it to the service, and fails. */
_printf_(2, 3) static int failed(const BuildInside *in, const char *format, ...)
{
        _cleanup_(buffer_done) Buffer out = {};
        char text[1024];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        /* Where nobody hears it there is nobody to tell. */
        if (frame_append(&out, FRAME_FAILED, 0, text, strlen(text), SIZE_MAX) < 0 ||
            write_all(in->socket_fd, out.data, out.size) < 0)
                return -EPIPE;
        return -EIO;
}

static int send_frame(const BuildInside *in, FrameType type, const void *payload, size_t size)
{
        _cleanup_(buffer_done) Buffer out = {};
        int r = frame_append(&out, type, 0, payload, size, SIZE_MAX);

        return r < 0 ? r : write_all(in->socket_fd, out.data, out.size);
}

/* The place */

static int keep_descriptors(const BuildInside *in, int result_fd)
{
        int fds[BUILD_BASES_MAX + 5] = { in->socket_fd, in->dockerfile_fd, in->context_fd, result_fd };
        size_t n = 4;

        for (size_t i = 0; i < in->plan->n_bases; i++)
                fds[n++] = in->base_fds[i];
        if (in->egress_fd >= 0)
                fds[n++] = in->egress_fd;
        return fd_close_others(fds, n);
}

static int raise_loopback(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

        return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* The socket is of this network, and served from the other side. */
static int open_egress(const BuildInside *in)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(PROXY_PORT),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        const struct timeval patience = { .tv_sec = EGRESS_SECONDS };
        char answer;
        ssize_t r;

        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(fd, PROXY_BACKLOG) < 0)
                return -errno;
        r = fd_send(in->egress_fd, in->plan->job, strlen(in->plan->job), fd);
        if (r < 0)
                return (int) r;
        if (setsockopt(in->egress_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
                return -errno;
        r = read_full(in->egress_fd, &answer, 1);
        return r < 0 ? (int) r : r == 0 ? -ECONNREFUSED : 0;
}

/* The folder under a name that is the same for everybody: messages of programs tell of no path
 * of the host. */
static int move_in(void)
{
        if (mkdir(PLACE, 0700) < 0 || mount(".", PLACE, NULL, MS_BIND, NULL) < 0 || chdir(PLACE) < 0)
                return -errno;
        return 0;
}

static int make_folders(void)
{
        static const char *const folders[] = { STORAGE_ROOT, BUILD_WORK, CONTEXT, TEMPORARY };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (mkdir(folders[i], 0755) < 0 && errno != EEXIST)
                        return -errno;
        return mkdir(STORAGE_RUN, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whether the file system takes an overlay of this user namespace; else layers are copied whole. */
static const char *find_driver(void)
{
        static const char *const folders[] = { TRIAL, TRIAL "/l", TRIAL "/u", TRIAL "/w", TRIAL "/m" };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (mkdir(folders[i], 0755) < 0 && errno != EEXIST)
                        return "vfs";
        if (mount("overlay", TRIAL "/m", "overlay", 0,
                  "lowerdir=" TRIAL "/l,upperdir=" TRIAL "/u,workdir=" TRIAL "/w,userxattr") < 0)
                return "vfs";
        (void) umount(TRIAL "/m");
        return "overlay";
}

static int copy_to(int fd, const char *path)
{
        _cleanup_close_ int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        off_t offset = 0;
        ssize_t n;

        if (out < 0)
                return -errno;
        while ((n = sendfile(out, fd, &offset, COPY_SIZE)) > 0)
                ;
        return n < 0 ? -errno : 0;
}

/* Programs */

#define ENVIRONMENT                                                                             \
        (char *) PATHS, (char *) "LANG=C.UTF-8", (char *) "HOME=/tmp", (char *) "TMPDIR=/tmp",  \
                (char *) "XDG_RUNTIME_DIR=/run", (char *) "_CONTAINERS_USERNS_CONFIGURED=done", \
                (char *) "_CONTAINERS_ROOTLESS_UID=0"
/* buildah gives these on to RUN steps, and leaves them out of the image. */
#define PROXY_ENVIRONMENT                                                            \
        (char *) "http_proxy=" PROXY_URL, (char *) "https_proxy=" PROXY_URL,         \
                (char *) "HTTP_PROXY=" PROXY_URL, (char *) "HTTPS_PROXY=" PROXY_URL, \
                (char *) "no_proxy=localhost,127.0.0.1", (char *) "NO_PROXY=localhost,127.0.0.1"

_Noreturn static void execute(const BuildInside *in, char *const *argv, int input_fd, int output_fd,
                              const char *folder)
{
        static char *const environment[] = { ENVIRONMENT, NULL };
        static char *const with_proxy[] = { ENVIRONMENT, PROXY_ENVIRONMENT, NULL };
        sigset_t none;

        (void) sigemptyset(&none);
        if (chdir(folder) < 0 || dup2(input_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
            dup2(output_fd, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ||
            signal(SIGPIPE, SIG_DFL) == SIG_ERR || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(EXIT_FAILURE);
        (void) execve(argv[0], argv, in->egress_fd < 0 ? environment : with_proxy);
        (void) dprintf(STDERR_FILENO, "cannot execute %s: %s\n", argv[0], strerror(errno));
        _exit(EXIT_FAILURE);
}

/* Passes on what it says, to its end. */
static int pass_output(const BuildInside *in, int fd)
{
        uint8_t chunk[CHUNK_SIZE];
        ssize_t n;

        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                int r = n > 0 ? send_frame(in, FRAME_STDOUT, chunk, (size_t) n) : 0;

                if ((n < 0 && errno != EINTR) || r < 0)
                        return n < 0 ? -errno : r;
        }
        return 0;
}

/* Waits for it, and for whatever else has come to be a child of PID 1. */
static int reap(pid_t pid)
{
        for (;;) {
                int status;
                pid_t ended = waitpid(-1, &status, 0);

                if (ended < 0 && errno != EINTR)
                        return -errno;
                if (ended == pid)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
}

/* Runs it; returns its exit status, or -errno. */
static int run(const BuildInside *in, char *const *argv, int input_fd, const char *folder)
{
        _cleanup_close_ int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
        int output[2], r;
        pid_t pid;

        if (nothing < 0 || pipe2(output, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                execute(in, argv, input_fd < 0 ? nothing : input_fd, output[1], folder);
        safe_close(output[1]);
        r = pid < 0 ? -errno : pass_output(in, output[0]);
        safe_close(output[0]);
        return r < 0 ? r : reap(pid);
}

/* The steps */

/* Whoever takes a path below it comes to no link: buildah reads files of it, and a step may mount it. */
static int bar_links(const char *folder)
{
        struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOSYMFOLLOW };

        if (mount(folder, folder, NULL, MS_BIND, NULL) < 0 ||
            mount_setattr(AT_FDCWD, folder, 0, &attributes, sizeof(attributes)) < 0)
                return -errno;
        return 0;
}

static int unpack_context(const BuildInside *in)
{
        char *const argv[] = { (char *) "/bin/tar", (char *) "--extract", (char *) "--no-same-owner",
                               (char *) "--no-same-permissions", NULL };
        int r = run(in, argv, in->context_fd, CONTEXT);

        if (r != 0)
                return failed(in, "the files of the repository cannot be unpacked");
        r = bar_links(CONTEXT);
        return r == 0 ? 0 : failed(in, "links of the repository cannot be barred: %s", strerror(-r));
}

/* Words before the verb. */
static size_t add_globals(char **argv, const char *driver)
{
        const char *const words[] = { "/usr/bin/buildah", "--root",           STORAGE_ROOT, "--runroot",
                                      STORAGE_RUN,        "--storage-driver", driver };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                argv[i] = (char *) words[i];
        return ARRAY_SIZE(words);
}

static int run_buildah(const BuildInside *in, const char *driver, const char *const *words, size_t n)
{
        char *argv[WORDS_MAX] = {};
        size_t n_globals = add_globals(argv, driver);

        assert(n_globals + n < WORDS_MAX);
        for (size_t i = 0; i < n; i++)
                argv[n_globals + i] = (char *) words[i];
        return run(in, argv, -EBADF, ".");
}

/* An archive whose image has the name that the Dockerfile calls it by. */
static int load_base(const BuildInside *in, const char *driver, size_t i)
{
        char path[64], source[80];
        const char *const words[] = { "pull", "--quiet", source };
        int r;

        (void) snprintf(path, sizeof(path), BUILD_WORK "/base-%zu.tar", i);
        (void) snprintf(source, sizeof(source), "oci-archive:%s", path);
        r = copy_to(in->base_fds[i], path);
        if (r == 0)
                r = run_buildah(in, driver, words, ARRAY_SIZE(words));
        (void) unlink(path);
        return r == 0 ? 0 : failed(in, "base image %zu cannot be loaded", i);
}

static int build(const BuildInside *in, const char *driver)
{
        char timestamp[32];
        const char *const words[] = {
                "build",
                "--isolation",
                "oci",
                "--runtime",
                "/usr/bin/crun",
                "--runtime-flag",
                "cgroup-manager=disabled",
                "--network",
                in->egress_fd < 0 ? "none" : "host",
                "--pull-never",
                "--layers",
                "--format",
                "oci",
                "--timestamp",
                timestamp,
                "--file",
                DOCKERFILE,
                "--tag",
                "oci:" OUT ":image",
                CONTEXT,
        };

        (void) snprintf(timestamp, sizeof(timestamp), "%" PRIu64, in->plan->timestamp);
        return run_buildah(in, driver, words, ARRAY_SIZE(words));
}

/* The image */

static int send_file(const BuildInside *in, int fd, const char *path, uint64_t size)
{
        _cleanup_(buffer_done) Buffer out = {};
        uint8_t chunk[CHUNK_SIZE];
        int r = frame_append_file(&out, 0, size, path, SIZE_MAX);

        if (r == 0)
                r = write_all(in->socket_fd, out.data, out.size);
        while (r == 0 && size > 0) {
                ssize_t n = read_full(fd, chunk, MIN(size, sizeof(chunk)));

                if (n <= 0)
                        return n < 0 ? (int) n : -EIO;
                size -= (uint64_t) n;
                r = send_frame(in, FRAME_DATA, chunk, (size_t) n);
        }
        return r;
}

static int send_files(const BuildInside *in, int parent_fd, const char *name, const char *path,
                      unsigned depth);

static int send_entry(const BuildInside *in, int folder_fd, const char *name, const char *parent,
                      unsigned depth)
{
        _cleanup_free_ char *path = string_format("%s%s%s", parent, *parent ? "/" : "", name);
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (!path)
                return -ENOMEM;
        fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return depth == 0 ? -ELOOP : send_files(in, folder_fd, name, path, depth - 1);
        return S_ISREG(st.st_mode) ? send_file(in, fd, path, (uint64_t) st.st_size) : -EINVAL;
}

/* Recurses into the folders of the layout. */
static int send_files(const BuildInside *in, int parent_fd, const char *name, const char *path,
                      unsigned depth)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(parent_fd, name, &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = send_entry(in, dirfd(folder), entry->d_name, path, depth);
        return r;
}

static int send_image(const BuildInside *in)
{
        int r = send_files(in, AT_FDCWD, OUT, "", FOLDERS_DEPTH);

        return r < 0 ? r : send_frame(in, FRAME_INPUT_END, NULL, 0);
}

/* The whole */

static int prepare(const BuildInside *in)
{
        int r = move_in();

        if (r >= 0)
                r = make_folders();
        if (r >= 0)
                r = copy_to(in->dockerfile_fd, DOCKERFILE);
        if (r >= 0 && mount(TEMPORARY, "/tmp", NULL, MS_BIND, NULL) < 0)
                r = -errno;
        if (r >= 0 && mount(TEMPORARY, "/var/tmp", NULL, MS_BIND, NULL) < 0)
                r = -errno;
        if (r >= 0)
                r = raise_loopback();
        if (r < 0)
                return failed(in, "the place of the build cannot be made: %s", strerror(-r));
        r = in->egress_fd < 0 ? 0 : open_egress(in);
        return r < 0 ? failed(in, "steps have no network: pipeline-egress does not answer: %s", strerror(-r))
                     : 0;
}

/* Returns the exit status of buildah, or -errno where it did not come to that. */
static int carry_out(const BuildInside *in)
{
        const char *driver;
        int r = prepare(in);

        if (r == 0)
                r = unpack_context(in);
        if (r < 0)
                return r;
        driver = find_driver();
        for (size_t i = 0; r == 0 && i < in->plan->n_bases; i++)
                r = load_base(in, driver, i);
        if (r == 0)
                r = build(in, driver);
        if (r == 0 && send_image(in) < 0)
                r = failed(in, "the image cannot be read");
        return r;
}

int build_inside(int result_fd, void *userdata)
{
        const BuildInside *in = userdata;
        _cleanup_(buffer_done) Buffer out = {};
        InitExit end = { .cause = EXIT_CAUSE_EXITED };
        char nothing;
        int r;

        if (keep_descriptors(in, result_fd) < 0)
                return EXIT_FAILURE;
        r = carry_out(in);
        if (r >= 0) {
                end.status = (uint64_t) r;
                if (frame_append_exit(&out, &end, SIZE_MAX) < 0 ||
                    write_all(in->socket_fd, out.data, out.size) < 0)
                        return EXIT_FAILURE;
        }
        /* Its end is the service's: then the accounting has been read. */
        (void) read(in->socket_fd, &nothing, 1);
        return EXIT_SUCCESS;
}
