/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scope's group is found by what the kernel says of the process that was put in it, and its folder is
 * then held open: a group of the same name that comes later is never mistaken for it. A group that is gone
 * reads as empty. */

#include "cgroup.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define CGROUP_MOUNT    "/sys/fs/cgroup"
#define CGROUP_FILE_MAX 4096U
#define CPU_PERIOD_USEC UINT64_C(100000) /* that of the kernel, and of systemd */

static int open_file(int folder_fd, const char *name)
{
        return openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
}

/* The path below the mount, from the line "0::/…" of /proc/PID/cgroup. */
static int path_of(pid_t pid, char **ret)
{
        _cleanup_free_ char *text = NULL;
        char file[32], *state = NULL;
        int r;

        (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
        r = read_file_at(AT_FDCWD, file, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *path = string_after(line, "0::");

                if (!path)
                        continue;
                *ret = strdup(path);
                return *ret ? 0 : -ENOMEM;
        }
        return -ENODATA;
}

int cgroup_open(pid_t pid, const char *name, Cgroup *ret)
{
        _cleanup_free_ char *path = NULL, *full = NULL;
        Cgroup cgroup = CGROUP_INIT;
        int r;

        r = path_of(pid, &path);
        if (r < 0)
                return r;
        if (!string_ends_with(path, name))
                return -ESTALE;
        full = string_format("%s%s", CGROUP_MOUNT, path);
        if (!full)
                return -ENOMEM;
        cgroup.folder_fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (cgroup.folder_fd < 0)
                return -errno;
        cgroup.events_fd = open_file(cgroup.folder_fd, "cgroup.events");
        if (cgroup.events_fd < 0) {
                r = -errno;
                cgroup_done(&cgroup);
                return r;
        }
        cgroup.memory_events_fd = open_file(cgroup.folder_fd, "memory.events");
        cgroup.pids_events_fd = open_file(cgroup.folder_fd, "pids.events");
        *ret = cgroup;
        return 0;
}

void cgroup_done(Cgroup *cgroup)
{
        safe_close(cgroup->memory_events_fd);
        safe_close(cgroup->pids_events_fd);
        safe_close(cgroup->events_fd);
        safe_close(cgroup->folder_fd);
        *cgroup = CGROUP_INIT;
}

/* The whole file, from its start, as text. */
static int read_text(int fd, char *ret)
{
        ssize_t n = fd < 0 ? -1 : pread(fd, ret, CGROUP_FILE_MAX - 1, 0);

        if (n < 0)
                return fd < 0 ? -EBADF : -errno;
        ret[n] = '\0';
        return 0;
}

/* The number behind a key, in a file of "KEY NUMBER" lines; 0 where it is not there. */
static uint64_t read_keyed(int fd, const char *key)
{
        char text[CGROUP_FILE_MAX], *state = NULL;
        uint64_t value;

        if (read_text(fd, text) < 0)
                return 0;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *rest = string_after(line, key);

                if (rest && *rest == ' ' && parse_uint64(rest + 1, 0, UINT64_MAX, &value) >= 0)
                        return value;
        }
        return 0;
}

static int read_file_text(const Cgroup *cgroup, const char *name, char *ret)
{
        _cleanup_close_ int fd = open_file(cgroup->folder_fd, name);

        return fd < 0 ? -errno : read_text(fd, ret);
}

/* A file of one number; "max" has none. */
static int read_number(const Cgroup *cgroup, const char *name, uint64_t *ret)
{
        char text[CGROUP_FILE_MAX];
        int r = read_file_text(cgroup, name, text);

        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        return parse_uint64(text, 0, UINT64_MAX, ret);
}

static bool number_is_at_most(const Cgroup *cgroup, const char *name, uint64_t limit)
{
        uint64_t value;

        return read_number(cgroup, name, &value) >= 0 && value <= limit;
}

static bool cpu_is_at_most(const Cgroup *cgroup, uint64_t percent)
{
        char text[CGROUP_FILE_MAX];
        uint64_t quota, period;

        return read_file_text(cgroup, "cpu.max", text) >= 0 &&
               sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) == 2 && period > 0 &&
               quota / period <= percent / 100 && quota * 100 <= percent * period;
}

int cgroup_check_limits(const Cgroup *cgroup, const CgroupLimits *limits)
{
        if (number_is_at_most(cgroup, "memory.max", limits->memory_bytes) &&
            number_is_at_most(cgroup, "memory.swap.max", 0) &&
            number_is_at_most(cgroup, "pids.max", limits->processes) &&
            cpu_is_at_most(cgroup, limits->cpu_percent))
                return 0;
        return CGROUP_NOT_LIMITED;
}

uint64_t cgroup_oom_kills(const Cgroup *cgroup)
{
        return read_keyed(cgroup->memory_events_fd, "oom_kill");
}

uint64_t cgroup_refused_processes(const Cgroup *cgroup)
{
        return read_keyed(cgroup->pids_events_fd, "max");
}

uint64_t cgroup_memory_peak(const Cgroup *cgroup)
{
        uint64_t value;

        return read_number(cgroup, "memory.peak", &value) < 0 ? 0 : value;
}

uint64_t cgroup_processes_peak(const Cgroup *cgroup)
{
        uint64_t value;

        return read_number(cgroup, "pids.peak", &value) < 0 ? 0 : value;
}

usec_t cgroup_cpu_usec(const Cgroup *cgroup)
{
        _cleanup_close_ int fd = open_file(cgroup->folder_fd, "cpu.stat");

        return read_keyed(fd, "usage_usec");
}

int cgroup_kill(const Cgroup *cgroup)
{
        _cleanup_close_ int fd = openat(cgroup->folder_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return write_all(fd, "1", 1);
}

bool cgroup_is_populated(const Cgroup *cgroup)
{
        return read_keyed(cgroup->events_fd, "populated") > 0;
}

int cgroup_missing_controllers(const char *path, char **ret_missing)
{
        static const char *const wanted[] = { "memory", "pids", "cpu" };
        _cleanup_free_ char *file = string_format("%s%s/cgroup.controllers", CGROUP_MOUNT, path);
        _cleanup_free_ char *text = NULL, *missing = NULL;
        _cleanup_(strv_freep) char **controllers = NULL;
        char *state = NULL;
        int r;

        if (!file)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, file, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (char *word = strtok_r(text, " \n", &state); word; word = strtok_r(NULL, " \n", &state)) {
                r = strv_extend(&controllers, word);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                char *longer;

                if (controllers && strv_contains(controllers, wanted[i]))
                        continue;
                longer = string_format("%s%s%s", missing ?: "", missing ? " " : "", wanted[i]);
                if (!longer)
                        return -ENOMEM;
                free(missing);
                missing = longer;
        }
        *ret_missing = TAKE_PTR(missing);
        return 0;
}
