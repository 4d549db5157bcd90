/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest of the tests: the exercise's name says what it does. Each function tries one thing and writes
 * what it found as `results.json`, so that the test reads what a guest saw; those that try to go over a
 * limit never come to write it.
 *
 *   run.sh CASE IN/ OUT/
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_SIZE (1U << 20)

static const char *out_folder;

/* Opens OUT/name for writing. */
static FILE *out_open(const char *name)
{
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s%s", out_folder, name);
        f = fopen(path, "w");
        if (!f)
                exit(101);
        return f;
}

/* The result of a passing run; `found` is more members, beginning with a comma, or empty. */
static int result(const char *found)
{
        /* Of each channel. */
        static const char *const names[] = { "results.json", "analysis.json", "representation.txt",
                                             "mapping.json" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                FILE *f = out_open(names[i]);

                fprintf(f, "{\"version\": 2, \"status\": \"pass\", \"tests\": []%s}\n", found);
                if (fclose(f) != 0)
                        return 102;
        }
        return 0;
}

static int case_hello(void)
{
        return result("");
}

static int case_slow(void)
{
        sleep(2);
        return result("");
}

static int case_pause(void)
{
        pause();
        return result("");
}

/* A: exhaustion. */

__attribute__((noreturn)) static int case_memory(void)
{
        for (;;) {
                char *p = malloc(CHUNK_SIZE);

                if (p)
                        memset(p, 1, CHUNK_SIZE);
        }
}

__attribute__((noreturn)) static int case_processes(void)
{
        for (;;)
                if (fork() == 0)
                        pause();
}

__attribute__((noreturn)) static int case_loop(void)
{
        for (volatile unsigned i = 0;; i++)
                ;
}

__attribute__((noreturn)) static int case_output(void)
{
        static char chunk[4096];

        memset(chunk, 'x', sizeof(chunk));
        for (;;)
                if (write(STDOUT_FILENO, chunk, sizeof(chunk)) < 0 && errno != EINTR)
                        pause();
}

static int case_disk(void)
{
        static char chunk[65536];
        int fd = open("/tmp/filler", O_WRONLY | O_CREAT, 0600);

        while (write(fd, chunk, sizeof(chunk)) > 0)
                ;
        pause();
        return 103;
}

/* B: evading the end. A daemon of its own session holds the output open and goes on writing the result. */
static int case_daemon(void)
{
        if (fork() == 0) {
                setsid();
                if (fork() == 0)
                        for (;;) {
                                signal(SIGTERM, SIG_IGN);
                                usleep(1000);
                        }
                _exit(0);
        }
        return result("");
}

/* C: results. */

static int case_link(void)
{
        char path[4096];

        snprintf(path, sizeof(path), "%sresults.json", out_folder);
        return symlink("/etc/passwd", path) == 0 ? 0 : 104;
}

static int case_missing(void)
{
        return 0;
}

static int case_nonzero(void)
{
        return 7;
}

/* D: paths. What of the host can be seen or written? */
static int case_paths(void)
{
        char found[512];

        snprintf(found, sizeof(found),
                 ", \"init_root\": %s, \"rootfs\": %s, \"sysrq\": %s, \"host\": %s, \"sockets\": %s",
                 open("/proc/1/root/etc", O_RDONLY) >= 0 ? "true" : "false",
                 open("/opt/written", O_WRONLY | O_CREAT, 0600) >= 0 ? "true" : "false",
                 open("/proc/sysrq-trigger", O_WRONLY) >= 0 ? "true" : "false",
                 access("/var/lib/pipeline-sandbox", F_OK) == 0 ? "true" : "false",
                 access("/run/dbus", F_OK) == 0 || access("/run/systemd", F_OK) == 0 ? "true" : "false");
        return result(found);
}

/* E: the kernel's surface; each entry is the errno, 0 where the call succeeded. */
static int case_kernel(void)
{
        char found[512];
        int fd = open("/dev/null", O_RDWR);
        char c = 'x';

#define TRY(call) ((call) < 0 ? errno : 0)
        snprintf(found, sizeof(found),
                 ", \"unshare\": %d, \"mount\": %d, \"ptrace\": %d, \"bpf\": %d, \"keyctl\": %d, "
                 "\"io_uring\": %d,"
                 " \"clone3\": %d, \"unknown\": %d, \"netlink\": %d, \"raw\": %d, \"tiocsti\": %d,"
                 " \"tiocsti_high\": %d",
                 TRY(unshare(CLONE_NEWUSER)), TRY(mount("none", "/tmp", "tmpfs", 0, NULL)),
                 TRY(ptrace(PTRACE_TRACEME, 0, NULL, NULL)), TRY(syscall(SYS_bpf, 0, NULL, 0)),
                 TRY(syscall(SYS_keyctl, 0, 0, 0)), TRY(syscall(SYS_io_uring_setup, 1, NULL)),
                 TRY(syscall(SYS_clone3, NULL, 0)), TRY(syscall(1000)), TRY(socket(AF_NETLINK, SOCK_RAW, 0)),
                 TRY(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), TRY(syscall(SYS_ioctl, fd, TIOCSTI, &c)),
                 TRY(syscall(SYS_ioctl, fd, TIOCSTI | 0x100000000UL, &c)));
        return result(found);
}

/* F: identity. The lines of /proc/self/status, and what was inherited. */
static int case_identity(void)
{
        char line[256], found[4096] = "";
        FILE *status = fopen("/proc/self/status", "r");
        int n_descriptors = 0;

        while (fgets(line, sizeof(line), status)) {
                char *value = strchr(line, ':');
                size_t used = strlen(found);

                if (strncmp(line, "Cap", 3) != 0 && strncmp(line, "NoNewPrivs", 10) != 0 &&
                    strncmp(line, "Seccomp:", 8) != 0 && strncmp(line, "Groups", 6) != 0)
                        continue;
                *value = '\0';
                value += 1 + strspn(value + 1, " \t");
                value[strcspn(value, "\n")] = '\0';
                snprintf(found + used, sizeof(found) - used, ", \"%s\": \"%s\"", line, value);
        }
        fclose(status);
        for (int fd = 3; fd < 1024; fd++)
                n_descriptors += fcntl(fd, F_GETFD) >= 0;
        snprintf(found + strlen(found), sizeof(found) - strlen(found),
                 ", \"uid\": %d, \"descriptors\": %d, \"session\": %s, \"environment\": %s", (int) getuid(),
                 n_descriptors, getsid(0) == getpid() ? "true" : "false",
                 getenv("NOTIFY_SOCKET") || getenv("LISTEN_FDS") || getenv("JOURNAL_STREAM") ? "true"
                                                                                             : "false");
        return result(found);
}

/* G: network. */
static int case_network(void)
{
        struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(80) };
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(here);
        char found[256];
        int s = socket(AF_INET, SOCK_STREAM, 0), own = socket(AF_INET, SOCK_STREAM, 0);
        int to_metadata, to_router, to_own;

        inet_pton(AF_INET, "169.254.169.254", &there.sin_addr);
        to_metadata = TRY(connect(s, (struct sockaddr *) &there, sizeof(there)));
        there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        there.sin_port = htons(5555);
        to_router = TRY(connect(s, (struct sockaddr *) &there, sizeof(there)));
        bind(own, (struct sockaddr *) &here, sizeof(here));
        listen(own, 1);
        getsockname(own, (struct sockaddr *) &here, &size);
        s = socket(AF_INET, SOCK_STREAM, 0);
        to_own = TRY(connect(s, (struct sockaddr *) &here, sizeof(here)));
        snprintf(found, sizeof(found), ", \"metadata\": %d, \"router\": %d, \"own\": %d", to_metadata,
                 to_router, to_own);
        return result(found);
}

/* H: leaks between runs. Is what the last run left still there? Then leave it again. */
static int case_residue(void)
{
        static const char *const places[] = { "/tmp/left", "/dev/shm/left", "/mnt/exercism-iteration/left" };
        bool found = false;

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                found |= access(places[i], F_OK) == 0;
                if (open(places[i], O_WRONLY | O_CREAT, 0600) < 0)
                        return 105;
        }
        return result(found ? ", \"residue\": true" : ", \"residue\": false");
}

/* M: figures. What a guest knows of its own use, in the units of its own clocks. */

#define N_SHARES       3
#define SHARE_CPU_USEC 300000
#define SHARE_MEMORY   (12U << 20)

static long long usec_of(struct timeval t)
{
        return t.tv_sec * 1000000LL + t.tv_usec;
}

static long long cpu_usec(int who)
{
        struct rusage usage;

        getrusage(who, &usage);
        return usec_of(usage.ru_utime) + usec_of(usage.ru_stime);
}

static int result_at_least(long long least)
{
        char found[64];

        snprintf(found, sizeof(found), ", \"least\": %lld", least);
        return result(found);
}

/* Uses so much of the processor, by the clock of this thread. */
static void *burn(void *unused)
{
        struct timespec now;

        do {
                for (volatile int i = 0; i < 10000; i++)
                        ;
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        } while (now.tv_sec == 0 && now.tv_nsec < SHARE_CPU_USEC * 1000L);
        return unused;
}

static int case_threads(void)
{
        pthread_t threads[N_SHARES];

        for (int i = 0; i < N_SHARES; i++)
                if (pthread_create(&threads[i], NULL, burn, NULL) != 0)
                        return 106;
        for (int i = 0; i < N_SHARES; i++)
                pthread_join(threads[i], NULL);
        return result_at_least(cpu_usec(RUSAGE_SELF));
}

/* Each has a child of its own, and is reaped before the next begins. */
static int case_reaped(void)
{
        for (int i = 0; i < N_SHARES; i++)
                if (fork() == 0) {
                        if (fork() == 0)
                                _exit(burn(NULL) != NULL);
                        _exit(wait(NULL) < 0);
                } else if (wait(NULL) < 0)
                        return 107;
        return result_at_least(cpu_usec(RUSAGE_CHILDREN));
}

/* All have theirs at the same time, and then let go. */
static int case_shares(void)
{
        int has[2], let_go[2];
        char c = 'x';

        if (pipe(has) < 0 || pipe(let_go) < 0)
                return 108;
        for (int i = 0; i < N_SHARES; i++)
                if (fork() == 0) {
                        char *p = malloc(SHARE_MEMORY);

                        memset(p, 1, SHARE_MEMORY);
                        close(let_go[1]);
                        _exit(write(has[1], &c, 1) != 1 || read(let_go[0], &c, 1) != 0 ||
                              p[SHARE_MEMORY / 2] != 1);
                }
        for (int i = 0; i < N_SHARES; i++)
                if (read(has[0], &c, 1) != 1)
                        return 109;
        close(let_go[1]);
        while (wait(NULL) > 0)
                ;
        return result_at_least((long long) N_SHARES * SHARE_MEMORY);
}

static int write_zeros(const char *path, size_t size)
{
        static char zeros[CHUNK_SIZE];
        int fd = open(path, O_WRONLY | O_CREAT, 0600);

        while (size > 0) {
                ssize_t n = write(fd, zeros, size < sizeof(zeros) ? size : sizeof(zeros));

                if (n <= 0)
                        return -1;
                size -= (size_t) n;
        }
        return close(fd);
}

/* In whole pages; what is removed again does not lie there at the end. */
static int case_files(void)
{
        const long page = sysconf(_SC_PAGESIZE);

        mkdir("/tmp/folder", 0700);
        if (write_zeros("/tmp/large", 2 * CHUNK_SIZE) < 0 || write_zeros("/tmp/folder/odd", page + 1) < 0 ||
            write_zeros("/tmp/small", 1) < 0 || write_zeros("/tmp/gone", 4 * CHUNK_SIZE) < 0 ||
            unlink("/tmp/gone") < 0)
                return 110;
        return result_at_least(2LL * CHUNK_SIZE + 3 * page);
}

/* M: a forged death. */
static int case_suicide(void)
{
        raise(SIGKILL);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(void);
} cases[] = {
        { "hello", case_hello },         { "slow", case_slow },         { "memory", case_memory },
        { "processes", case_processes }, { "loop", case_loop },         { "output", case_output },
        { "disk", case_disk },           { "daemon", case_daemon },     { "link", case_link },
        { "missing", case_missing },     { "nonzero", case_nonzero },   { "paths", case_paths },
        { "kernel", case_kernel },       { "identity", case_identity }, { "network", case_network },
        { "residue", case_residue },     { "suicide", case_suicide },   { "pause", case_pause },
        { "threads", case_threads },     { "reaped", case_reaped },     { "shares", case_shares },
        { "files", case_files },
};

int main(int argc, char **argv)
{
        if (argc != 4)
                return 100;
        out_folder = argv[3];
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (strcmp(argv[1], cases[i].name) == 0)
                        return cases[i].run();
        return 100;
}
