/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CAP_SETUID and CAP_SETGID in the initial user namespace are root by another name, and yet they are needed
 * to give containers their ids. So they are used once: the daemon enters a user namespace of its own; a
 * child that stayed outside writes its maps and is gone. In that namespace exist the daemon's own ids and
 * its subordinate ones, and nothing else: setuid(0) has no 0 to go to. Capabilities held there reach no
 * further.
 *
 * Started by hand the daemon has no capability at all; then newuidmap and newgidmap write the same maps. */

#include "identity.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUESTS_MAX       4096U
#define GUESTS_WANTED    16U /* fewer left beside a whole image range: split instead */
#define SPLIT_LOW_IDS    60001U
#define SPLIT_HIGH_FIRST 65533U /* nobody and nogroup live here */
#define SPLIT_HIGH_IDS   2U
#define SUBID_FILE_MAX   (1U << 20)
#define MAP_SIZE         128U

/* What the daemon's children need inside: to write maps for containers, and to unpack images. */
#define CAPABILITIES_INHERITED (CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID))
#define CAPABILITIES_KEPT                                                                \
        (CAPABILITIES_INHERITED | CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE) | \
         CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_FSETID))

int id_layout_init(uint32_t start, uint32_t count, IdLayout *ret)
{
        IdLayout layout = { .start = start, .count = count };
        uint32_t used;

        if (count >= IDENTITY_IMAGE_IDS + GUESTS_WANTED) {
                layout.image[layout.n_image++] = (IdExtent){ 0, start, IDENTITY_IMAGE_IDS };
                used = IDENTITY_IMAGE_IDS;
        } else {
                layout.image[layout.n_image++] = (IdExtent){ 0, start, SPLIT_LOW_IDS };
                layout.image[layout.n_image++] =
                        (IdExtent){ SPLIT_HIGH_FIRST, start + SPLIT_LOW_IDS, SPLIT_HIGH_IDS };
                used = SPLIT_LOW_IDS + SPLIT_HIGH_IDS;
        }
        if (count <= used || start > UINT32_MAX - count)
                return IDENTITY_TOO_FEW;
        layout.first_guest = start + used;
        layout.n_guests = MIN(count - used, GUESTS_MAX);
        *ret = layout;
        return 0;
}

/* NAME:START:COUNT, where NAME may be a number: three fields, as those read it who hold others to it. What
 * goes over the end of all ids is none. */
static bool parse_range(char *line, const char *name, const char *number, uint32_t *ret_start,
                        uint32_t *ret_count)
{
        char *rest = line, *who = strsep(&rest, ":"), *start_text = strsep(&rest, ":"), *count_text = rest;
        uint64_t start, count;

        if (!start_text || !count_text || (!streq(who, name) && !streq(who, number)) ||
            parse_uint64(start_text, 1, UINT32_MAX, &start) < 0 ||
            parse_uint64(count_text, 1, UINT32_MAX - start, &count) < 0)
                return false;
        *ret_start = (uint32_t) start;
        *ret_count = (uint32_t) count;
        return true;
}

int id_range_find(char *text, const char *name, uid_t uid, uint32_t *ret_start, uint32_t *ret_count)
{
        uint32_t start, count, best_start = 0, best_count = 0;
        char number[16], *state = NULL;

        (void) snprintf(number, sizeof(number), "%u", uid);
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                if (!parse_range(line, name, number, &start, &count) || count <= best_count)
                        continue;
                best_start = start;
                best_count = count;
        }
        if (best_count == 0)
                return IDENTITY_NO_RANGE;
        *ret_start = best_start;
        *ret_count = best_count;
        return 0;
}

static int read_layout(const char *path, const char *name, IdLayout *ret, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        uint32_t start, count;
        int r;

        r = read_file_at(AT_FDCWD, path, SUBID_FILE_MAX, &text, NULL);
        if (r < 0 && r != -ENOENT)
                return r;
        r = text ? id_range_find(text, name, getuid(), &start, &count) : IDENTITY_NO_RANGE;
        if (r == 0)
                r = id_layout_init(start, count, ret);
        if (r > 0) {
                *ret_error =
                        string_format("%s grants the user %s %s: add a line such as `%s:200000:69632`, "
                                      "with ids that nobody else has",
                                      path, name, r == IDENTITY_NO_RANGE ? "nothing" : "too few ids", name);
                return *ret_error ? r : -ENOMEM;
        }
        return r;
}

int identity_read(Identity *ret, char **ret_error)
{
        struct passwd *user = getpwuid(getuid());
        Identity identity;
        char number[16];
        const char *name;
        int r;

        (void) snprintf(number, sizeof(number), "%u", getuid());
        name = user ? user->pw_name : number;
        r = read_layout("/etc/subuid", name, &identity.uids, ret_error);
        if (r != 0)
                return r;
        r = read_layout("/etc/subgid", name, &identity.gids, ret_error);
        if (r != 0)
                return r;
        *ret = identity;
        return 0;
}

/* One of the two maps: the file below /proc, and the program that may write it where we may not. */
typedef struct Map {
        const char *file, *program;
        uint32_t own;
        const IdLayout *layout;
} Map;

static int write_map(pid_t pid, const Map *map)
{
        char path[64], text[MAP_SIZE];
        _cleanup_close_ int fd = -EBADF;
        int size;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, map->file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* A map must come in one write. */
        size = snprintf(text, sizeof(text), "%u %u 1\n%u %u %u\n", map->own, map->own, map->layout->start,
                        map->layout->start, map->layout->count);
        return write(fd, text, (size_t) size) == size ? 0 : -errno;
}

static int run_map_program(pid_t pid, const Map *map)
{
        char words[7][16];
        const uint32_t numbers[] = { (uint32_t) pid,     map->own,           map->own,          1,
                                     map->layout->start, map->layout->start, map->layout->count };
        char *argv[ARRAY_SIZE(numbers) + 2] = { (char *) map->program };
        pid_t child;
        int status;

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                (void) snprintf(words[i], sizeof(words[i]), "%u", numbers[i]);
                argv[i + 1] = words[i];
        }
        child = fork();
        if (child < 0)
                return -errno;
        if (child == 0) {
                (void) execvp(argv[0], argv);
                _exit(EXIT_FAILURE);
        }
        if (waitpid(child, &status, 0) < 0)
                return -errno;
        return status == 0 ? 0 : -EPERM;
}

static int write_maps(pid_t pid, const Identity *identity)
{
        const Map maps[] = {
                { "uid_map", "newuidmap", getuid(), &identity->uids },
                { "gid_map", "newgidmap", getgid(), &identity->gids },
        };

        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                int r = write_map(pid, &maps[i]);

                if (r == -EPERM)
                        r = run_map_program(pid, &maps[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Of the child that stays outside: waits until the daemon is inside, and ends with an errno
 * as its status. */
static void map_from_outside(int entered_fd, const Identity *identity)
{
        char entered;
        int r;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || read(entered_fd, &entered, 1) != 1)
                _exit(EIO);
        r = write_maps(getppid(), identity);
        _exit(r < 0 ? -r : 0);
}

/* Inside, all capabilities are there; keeps those of use, and hands on what an executed program needs. */
static int keep_capabilities(void)
{
        int r = capability_bound(CAPABILITIES_KEPT);

        if (r == 0)
                r = capability_keep(CAPABILITIES_KEPT);
        return r < 0 ? r : capability_hand_on(CAPABILITIES_INHERITED);
}

int identity_enter(const Identity *identity)
{
        int status, pipe_fds[2];
        pid_t child;
        int r = 0;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        child = fork();
        if (child == 0) {
                safe_close(pipe_fds[1]);
                map_from_outside(pipe_fds[0], identity);
        }
        safe_close(pipe_fds[0]);
        if (child < 0 || unshare(CLONE_NEWUSER) < 0 || write(pipe_fds[1], "", 1) != 1)
                r = -errno;
        safe_close(pipe_fds[1]);
        if (child >= 0 && waitpid(child, &status, 0) < 0)
                return -errno;
        if (r < 0)
                return r;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
        return keep_capabilities();
}

/* Maps for containers */

/* `nested`: below a namespace that has such a map already, in whose ids it is said. */
static int write_container_map(pid_t child, const char *file, const IdLayout *layout, int64_t guest,
                               bool nested)
{
        char path[64], text[MAP_SIZE];
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", child, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (size_t i = 0; i < layout->n_image; i++) {
                const IdExtent *extent = &layout->image[i];

                size += (size_t) snprintf(text + size, sizeof(text) - size, "%u %u %u\n", extent->container,
                                          nested ? extent->container : extent->host, extent->count);
        }
        if (guest >= 0)
                size += (size_t) snprintf(text + size, sizeof(text) - size, "%u %u 1\n", IDENTITY_GUEST_ID,
                                          layout->first_guest + (uint32_t) guest);
        /* A map must come in one write. */
        return write(fd, text, size) == (ssize_t) size ? 0 : -errno;
}

int identity_write_maps(const Identity *identity, pid_t child, int64_t guest)
{
        int r = write_container_map(child, "gid_map", &identity->gids, guest, false);

        return r < 0 ? r : write_container_map(child, "uid_map", &identity->uids, guest, false);
}

int identity_write_nested_maps(const Identity *identity, pid_t process)
{
        int r = write_container_map(process, "gid_map", &identity->gids, -1, true);

        return r < 0 ? r : write_container_map(process, "uid_map", &identity->uids, -1, true);
}
