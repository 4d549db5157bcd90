/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel objects that are counted per user are charged to the user namespace of the guest and to every one
 * above it, up to the service's own user: without a limit here, one guest could use up what all others need.
 * So the limits of this namespace are lowered, while pipeline-init still may; the guest, who owns nothing in
 * /proc/sys, cannot raise them again. */

#include "confine.h"

#include "basic/capability-util.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"

#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A kernel without one of these has nothing to limit there. */
static const struct {
        const char *path, *value;
} counts[] = {
        { "/proc/sys/user/max_user_namespaces", "0" },    { "/proc/sys/user/max_pid_namespaces", "0" },
        { "/proc/sys/user/max_net_namespaces", "0" },     { "/proc/sys/user/max_mnt_namespaces", "0" },
        { "/proc/sys/user/max_uts_namespaces", "0" },     { "/proc/sys/user/max_ipc_namespaces", "0" },
        { "/proc/sys/user/max_cgroup_namespaces", "0" },  { "/proc/sys/user/max_time_namespaces", "0" },
        { "/proc/sys/user/max_fanotify_groups", "0" },    { "/proc/sys/user/max_fanotify_marks", "0" },
        { "/proc/sys/user/max_inotify_instances", "16" }, { "/proc/sys/user/max_inotify_watches", "4096" },
};

static int write_setting(const char *path, const char *value)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        return write_all(fd, value, strlen(value));
}

static int bring_loopback_up(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = { .ifr_name = "lo" };

        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return -errno;
        if (request.ifr_flags & IFF_UP)
                return 0;
        request.ifr_flags |= IFF_UP;
        return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int confine_namespace(const char **ret_what)
{
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                *ret_what = counts[i].path;
                r = write_setting(counts[i].path, counts[i].value);
                if (r < 0)
                        return r;
        }
        *ret_what = "bring the loopback interface up";
        return bring_loopback_up();
}

int confine_resources(uint64_t open_files)
{
        /* Of RLIMIT_CORE 0 is not the least: it does not keep a core from a program that the host's
         * core_pattern names. 1 does, and is less than any core. */
        const struct {
                int resource;
                rlim_t limit;
        } limits[] = {
                { RLIMIT_NOFILE, open_files },  { RLIMIT_CORE, 1 },          { RLIMIT_MEMLOCK, 8U << 20 },
                { RLIMIT_MSGQUEUE, 64U << 10 }, { RLIMIT_SIGPENDING, 1024 }, { RLIMIT_NICE, 0 },
                { RLIMIT_RTPRIO, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
                struct rlimit limit;

                if (getrlimit((__rlimit_resource_t) limits[i].resource, &limit) < 0)
                        return -errno;
                limit.rlim_cur = limit.rlim_max = MIN(limit.rlim_max, limits[i].limit);
                if (setrlimit((__rlimit_resource_t) limits[i].resource, &limit) < 0)
                        return -errno;
        }
        return 0;
}

int confine_capabilities(uint64_t kept)
{
        int r = capability_bound(0);

        if (r < 0)
                return r;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        return capability_keep(kept);
}
