/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* E: the kernel's surface, call by call; surface.c walks over all numbers. */

#include "guest.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define HIGH 0x100000000UL

static int other_processes(void)
{
        struct iovec v = { .iov_base = &v, .iov_len = 1 };

        TRY("ptrace", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
        TRY("readv", process_vm_readv(1, &v, 1, &v, 1, 0));
        TRY("writev", process_vm_writev(1, &v, 1, &v, 1, 0));
        TRY("getfd", syscall(SYS_pidfd_getfd, 0, 0, 0));
        TRY("kcmp", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
        TRY("madvise", syscall(SYS_process_madvise, 0, NULL, 0, 0, 0));
        return finish();
}

static int namespaces(void)
{
        static const struct {
                const char *name;
                unsigned long flag;
        } flags[] = { { "mount", CLONE_NEWNS },  { "cgroup", 0x02000000 },
                      { "uts", CLONE_NEWUTS },   { "ipc", CLONE_NEWIPC },
                      { "user", CLONE_NEWUSER }, { "pid", CLONE_NEWPID },
                      { "net", CLONE_NEWNET },   { "nested", CLONE_NEWUSER | CLONE_NEWNS } };

        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "unshare_%s", flags[i].name);
                TRY(name, unshare((int) flags[i].flag));
                (void) snprintf(name, sizeof(name), "clone_%s", flags[i].name);
                TRY(name, syscall(SYS_clone, flags[i].flag | SIGCHLD, NULL, NULL, NULL, NULL));
                (void) snprintf(name, sizeof(name), "high_%s", flags[i].name);
                TRY(name, syscall(SYS_clone, flags[i].flag | SIGCHLD | HIGH, NULL, NULL, NULL, NULL));
        }
        TRY("unshare_time", unshare(0x80));
        TRY("clone3", syscall(SYS_clone3, NULL, 0));
        TRY("setns", syscall(SYS_setns, open("/proc/1/ns/net", O_RDONLY), 0));
        return finish();
}

static int mounts(void)
{
        TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
        TRY("umount", umount2("/proc", MNT_DETACH));
        TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
        TRY("fsconfig", syscall(SYS_fsconfig, 0, 0, NULL, NULL, 0));
        TRY("fsmount", syscall(SYS_fsmount, 0, 0, 0));
        TRY("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
        TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
        TRY("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/tmp", 0));
        TRY("setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, NULL, 0));
        TRY("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
        TRY("chroot", chroot("/tmp"));
        return finish();
}

static void packet_filters(void)
{
        struct sock_filter allow = { .code = BPF_RET | BPF_K, .k = UINT32_MAX };
        struct sock_fprog filter = { .len = 1, .filter = &allow };
        int fd = socket(AF_INET, SOCK_DGRAM, 0), none = -1;

        TRY("filter", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
        TRY("filter_high", syscall(SYS_setsockopt, fd, SOL_SOCKET | HIGH, SO_ATTACH_FILTER | HIGH, &filter,
                                   sizeof(filter)));
        TRY("filter_bpf", setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &none, sizeof(none)));
        TRY("reuseport", setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)));
        TRY("reuseport_bpf", setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &none, sizeof(none)));
}

static int machinery(void)
{
        TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
        TRY("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
        TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
        TRY("userfaultfd_user", syscall(SYS_userfaultfd, 1));
        TRY("uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
        TRY("uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL));
        TRY("uring_register", syscall(SYS_io_uring_register, 0, 0, NULL, 0));
        TRY("aio", syscall(SYS_io_setup, 1, (void *[]){ NULL }));
        packet_filters();
        return finish();
}

static int keys(void)
{
        TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
        TRY("add", syscall(SYS_add_key, "user", "a", "b", 1, -3));
        TRY("request", syscall(SYS_request_key, "user", "a", NULL, -3));
        return finish();
}

static int the_machine(void)
{
        TRY("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
        TRY("kexec_file", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0));
        TRY("init_module", syscall(SYS_init_module, NULL, 0, ""));
        TRY("finit_module", syscall(SYS_finit_module, -1, "", 0));
        TRY("delete_module", syscall(SYS_delete_module, "x", 0));
        TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
        TRY("swapon", syscall(SYS_swapon, "/tmp/x", 0));
        TRY("swapoff", syscall(SYS_swapoff, "/tmp/x"));
        TRY("acct", syscall(SYS_acct, NULL));
        TRY("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
        TRY("syslog", syscall(SYS_syslog, 3, NULL, 0));
        TRY("sethostname", sethostname("x", 1));
#ifdef __x86_64__
        TRY("iopl", syscall(SYS_iopl, 3));
        TRY("ioperm", syscall(SYS_ioperm, 0, 1, 1));
        TRY("modify_ldt", syscall(SYS_modify_ldt, 0, NULL, 0));
#endif
        return finish();
}

static int handles(void)
{
        TRY("name", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0));
        TRY("open", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY));
        TRY("cookie", syscall(SYS_lookup_dcookie, 0, NULL, 0));
        return finish();
}

static int families(void)
{
        char name[32];

        for (int family = 0; family < 64; family++) {
                (void) snprintf(name, sizeof(name), "family_%d", family);
                TRY(name, socket(family, SOCK_DGRAM, 0));
        }
        TRY("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        TRY("raw6", socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
        TRY("packet", socket(AF_INET, SOCK_PACKET, 0));
        TRY("sctp", socket(AF_INET, SOCK_STREAM, 132));
        TRY("mptcp", socket(AF_INET, SOCK_STREAM, 262));
        TRY("high_family", syscall(SYS_socket, (unsigned long) AF_NETLINK | HIGH, SOCK_RAW, 0));
        TRY("high_unix", syscall(SYS_socket, (unsigned long) AF_UNIX | HIGH, SOCK_STREAM, 0));
        TRY("pair_netlink", socketpair(AF_NETLINK, SOCK_RAW, 0, (int[2]){}));
        return finish();
}

static int personalities(void)
{
        TRY("ask", personality(0xffffffff));
        TRY("linux", personality(0));
        TRY("no_randomize", personality(ADDR_NO_RANDOMIZE));
        TRY("read_implies_exec", personality(READ_IMPLIES_EXEC));
        TRY("mmap_page_zero", personality(MMAP_PAGE_ZERO));
        TRY("high", syscall(SYS_personality, ADDR_NO_RANDOMIZE | HIGH));
        return finish();
}

static int terminals(void)
{
        int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
        char c = 'x';

        note("terminal", fd >= 0 ? 0 : errno);
        TRY("tiocsti", syscall(SYS_ioctl, fd, 0x5412UL, &c));
        TRY("tiocsti_high", syscall(SYS_ioctl, fd, 0x5412UL | HIGH, &c));
        TRY("tiocsti_top", syscall(SYS_ioctl, fd, 0x5412UL | 0x8000000000000000UL, &c));
        TRY("tioclinux", syscall(SYS_ioctl, fd, 0x541cUL, &c));
        TRY("tioclinux_high", syscall(SYS_ioctl, fd, 0x541cUL | HIGH, &c));
        return finish();
}

static int own_process(void)
{
        struct sock_filter allow = { .code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW };
        struct sock_fprog filter = { .len = 1, .filter = &allow };

        TRY("layer", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
        TRY("still", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        TRY("mm", prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0));
        TRY("dumpable", prctl(PR_SET_DUMPABLE, 2));
        TRY("keepcaps", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0));
        TRY("securebits", prctl(PR_SET_SECUREBITS, 1));
        TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
        TRY("cycles", prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
        return finish();
}

/* A filter for mount alone. */
static int add_filter(unsigned flags, uint32_t action)
{
        struct sock_filter filter[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
                                        { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_mount },
                                        { BPF_RET | BPF_K, 0, 0, action },
                                        { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
        struct sock_fprog program_of_filter = { 4, filter };

        return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program_of_filter);
}

/* Lets every call through that the kernel asks about. */
static void *wave_through(void *listener)
{
        for (;;) {
                struct seccomp_notif asked = {};
                struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

                if (ioctl(*(int *) listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
                        return NULL;
                answer.id = asked.id;
                (void) ioctl(*(int *) listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        }
}

/* A supervisor of one's own that says yes, and a tracer that is none: what is denied stays so. */
static int own_supervisor(void)
{
        static int listener;
        pthread_t supervisor;

        listener = add_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);
        note("listener", listener >= 0 ? 0 : errno);
        if (listener >= 0)
                (void) pthread_create(&supervisor, NULL, wave_through, &listener);
        TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
        TRY("trace", add_filter(0, SECCOMP_RET_TRACE));
        TRY("mount_traced", mount("none", "/tmp", "tmpfs", 0, NULL));
        return finish();
}

static int unknown_calls(void)
{
        TRY("600", syscall(600));
        TRY("1000", syscall(1000));
        TRY("huge", syscall(0x3fffffff));
        TRY("clone3", syscall(SYS_clone3, NULL, 0));
        return finish();
}

/* To the kernel that is a number of x32. */
static int negative_call(void)
{
        (void) syscall(-2);
        return 0;
}

#ifdef __x86_64__
#define VSYSCALL_TIME 0xffffffffff600400UL

/* The page at an address that all processes know: 0 where its time() is answered or ends who calls it, as
 * the kernel is set; what it says must be the time. */
static int call_vsyscall(void)
{
        int status = 0;

        if (fork() == 0) {
                time_t said = ((time_t(*)(time_t *)) VSYSCALL_TIME)(NULL);

                _exit(said - time(NULL) > -5 && said - time(NULL) < 5 ? 0 : 1);
        }
        (void) wait(&status);
        return status == 0 || (WIFSIGNALED(status) &&
                               (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGSYS))
                       ? 0
                       : -1;
}
#endif

static int oddities(void)
{
#ifdef __x86_64__
        TRY("arch_prctl", syscall(SYS_arch_prctl, 0x1003, (unsigned long[1]){}));
        TRY("map_x32", syscall(SYS_arch_prctl, 0x2001, 0));
        TRY("base_of_kernel", syscall(SYS_arch_prctl, 0x1002, 0xffff888000000000UL));
        TRY("shadow_stack", syscall(453, 0, 4096, 0));
        TRY("vsyscall", call_vsyscall());
#endif
        TRY("clock", clock_gettime(CLOCK_MONOTONIC, &(struct timespec){}));
        return finish();
}

static int watches(void)
{
        int fd = inotify_init1(IN_NONBLOCK);

        TRY("fanotify", fanotify_init(0, O_RDONLY));
        TRY("fanotify_fid", fanotify_init(0x200, O_RDONLY));
        note("image", inotify_add_watch(fd, "/opt/test-runner/bin", IN_ALL_EVENTS) >= 0 ? 0 : errno);
        return finish();
}

const Case cases_e[] = {
        { "E1", other_processes },
        { "E2", namespaces },
        { "E3", mounts },
        { "E4", machinery },
        { "E5", keys },
        { "E6", the_machine },
        { "E7", handles },
        { "E8", families },
        { "E9", personalities },
        { "E10", terminals },
        { "E11", own_process },
        { "E12", own_supervisor },
        { "E13", unknown_calls },
        { "E13-negative", negative_call },
        { "E14", oddities },
        { "E15", watches },
        {},
};
