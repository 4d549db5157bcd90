/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A: exhaustion. Those that shall run into a limit never come to write a result. */

#include "guest.h"

#include <linux/ioprio.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <syslog.h>

static char chunk[64 * 1024];

__attribute__((noreturn)) static int fork_bomb(void)
{
        for (;;)
                if (fork() == 0)
                        wait_for_the_end();
}

__attribute__((noreturn)) static int session_storm(void)
{
        for (;;)
                if (fork() == 0)
                        (void) setsid();
}

static void *thread(void *unused)
{
        wait_for_the_end();
}

__attribute__((noreturn)) static int thread_bomb(void)
{
        pthread_attr_t small;

        (void) pthread_attr_init(&small);
        (void) pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
        for (;;) {
                pthread_t id;

                (void) pthread_create(&id, &small, thread, NULL);
        }
}

__attribute__((noreturn)) static int zombies(void)
{
        for (;;)
                if (vfork() == 0)
                        _exit(0);
}

/* Each in the place of who called it, who waits: one on the other, as deep as may be. */
static void vfork_deeper(void)
{
        if (vfork() == 0) {
                vfork_deeper();
                _exit(0);
        }
}

__attribute__((noreturn)) static int vfork_chains(void)
{
        for (;;)
                vfork_deeper();
}

static void use_memory(void)
{
        for (;;) {
                char *p = malloc(MIB);

                if (p)
                        memset(p, 1, MIB);
        }
}

static int heap(void)
{
        use_memory();
        return 0;
}

static int static_memory(void)
{
        static char bss[512U * MIB];

        for (size_t i = 0; i < sizeof(bss); i += 4096)
                *(volatile char *) &bss[i] = 1;
        wait_for_the_end();
}

static int forks_and_memory(void)
{
        for (int i = 0; i < 8; i++)
                if (fork() == 0)
                        use_memory();
        wait_for_the_end();
}

__attribute__((noinline)) static int recurse(volatile char *above)
{
        volatile char here[4096];

        here[0] = *above;
        return recurse(here) + here[0];
}

static int stack(void)
{
        char c = 0;

        return recurse(&c);
}

static int fill(int fd)
{
        while (write(fd, chunk, sizeof(chunk)) > 0)
                ;
        return errno;
}

/* The pages outlive who wrote them. */
static int shared_memory_folder(void)
{
        if (fork() == 0) {
                (void) fill(open_for_writing("/tmp/a"));
                (void) fill(open_for_writing("/dev/shm/b"));
                _exit(0);
        }
        (void) wait(NULL);
        return 0;
}

static int shared_memory_folder_alone(void)
{
        return fill(open_for_writing("/dev/shm/b")) == ENOSPC ? 0 : 1;
}

static int mapped_file(void)
{
        int fd = open("/tmp/mapped", O_RDWR | O_CREAT, 0600);
        char *p;

        if (ftruncate(fd, 1 << 30) < 0)
                return 1;
        p = mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        for (size_t i = 0; i < 1 << 30; i += 4096)
                *(volatile char *) (p + i) = 1;
        return 0;
}

static int unread_sockets(void)
{
        for (int i = 0; i < 20; i++)
                if (fork() == 0)
                        for (;;) {
                                int fds[2], size = 4 * (int) MIB;

                                if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) < 0)
                                        wait_for_the_end();
                                (void) setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
                                while (send(fds[0], chunk, sizeof(chunk), MSG_DONTWAIT) > 0)
                                        ;
                        }
        wait_for_the_end();
}

/* A user has so many pages of pipes, and this guest's user has no other process. */
static int unread_pipes(void)
{
        size_t size = 0;
        int fds[2];

        while (pipe2(fds, O_NONBLOCK) == 0) {
                (void) fcntl(fds[1], F_SETPIPE_SZ, MIB);
                for (ssize_t n; (n = write(fds[1], chunk, sizeof(chunk))) > 0;)
                        size += (size_t) n;
        }
        for (int fd = 3; fd < 64; fd++)
                (void) close(fd);
        note("mib", (long) (size / MIB));
        return finish();
}

/* A connection of one's own whose one end is never read. */
static int unread_streams(void)
{
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(here);
        int listener = socket(AF_INET, SOCK_STREAM, 0);

        (void) bind(listener, (struct sockaddr *) &here, size);
        (void) listen(listener, 1024);
        (void) getsockname(listener, (struct sockaddr *) &here, &size);
        for (int i = 0; i < 20; i++)
                if (fork() == 0)
                        for (;;) {
                                int s = socket(AF_INET, SOCK_STREAM, 0);

                                if (s < 0 || connect(s, (struct sockaddr *) &here, size) < 0)
                                        wait_for_the_end();
                                (void) fcntl(s, F_SETFL, O_NONBLOCK);
                                (void) fill(s);
                        }
        wait_for_the_end();
}

static int memory_files(void)
{
        int fd = memfd_create("memory", MFD_ALLOW_SEALING);

        (void) fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
        (void) fill(fd);
        wait_for_the_end();
}

static int shared_memory_segments(void)
{
        for (;;) {
                int id = shmget(IPC_PRIVATE, 8U * MIB, IPC_CREAT | 0600);
                char *p = shmat(id, NULL, 0);

                if (p == (char *) -1)
                        wait_for_the_end();
                memset(p, 1, 8U * MIB);
        }
}

static int queues_and_large_pages(void)
{
        struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
        int n = 0;

        for (char name[32]; n < 1000; n++) {
                (void) snprintf(name, sizeof(name), "/queue-%d", n);
                if (mq_open(name, O_RDWR | O_CREAT, 0600, &attributes) < 0)
                        break;
        }
        note("queues", n);
        TRY("large_pages",
            memfd_create("large", MFD_HUGETLB) >= 0 &&
                            mmap(NULL, 2U * MIB, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
                                 0) != MAP_FAILED
                    ? 0
                    : -1);
        return finish();
}

static int big_file(void)
{
        return fill(open_for_writing(out_path("big"))) == ENOSPC ? 0 : 1;
}

static int many_files(void)
{
        for (int i = 0;; i++) {
                char path[64];
                int fd;

                (void) snprintf(path, sizeof(path), "/tmp/%050d", i);
                fd = open_for_writing(path);
                if (fd < 0)
                        return 0;
                (void) close(fd);
        }
}

/* Names of 255 bytes, until there is no place; and of one, a hundred thousand levels. */
static int deepen(size_t name_size)
{
        char name[256];

        if (chdir("/tmp") < 0)
                return 1;
        memset(name, 'd', name_size);
        name[name_size] = '\0';
        for (int i = 0; i < 100000; i++)
                if (mkdir(name, 0700) < 0 || chdir(name) < 0)
                        return 1;
        return 0;
}

static int deep_folders(void)
{
        (void) deepen(255);
        return 0;
}

static int deepest_folders(void)
{
        return deepen(1);
}

static int sparse_file(void)
{
        int fd = open_for_writing("/tmp/sparse");
        struct stat s;

        TRY("truncate", ftruncate(fd, INT64_MAX));
        TRY("allocate", fallocate(fd, 0, 0, INT64_C(1) << 40));
        (void) fstat(fd, &s);
        note("blocks", (long) s.st_blocks);
        return finish();
}

static int count_until_refused(int (*make)(void))
{
        int n = 0;

        while (n < 100000 && make() >= 0)
                n++;
        return n;
}

static int open_null(void)
{
        return open("/dev/null", O_RDONLY);
}

static int descriptors(void)
{
        struct rlimit more = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };

        TRY("raise", setrlimit(RLIMIT_NOFILE, &more));
        note("kept", count_until_refused(open_null));
        for (int fd = 3; fd < 64; fd++)
                (void) close(fd);
        return finish();
}

static int make_inotify(void)
{
        return inotify_init();
}

static int make_timer(void)
{
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
        timer_t timer;

        return timer_create(CLOCK_MONOTONIC, &event, &timer);
}

static int make_epoll(void)
{
        return epoll_create1(0);
}

static int make_eventfd(void)
{
        return eventfd(0, 0);
}

static int objects(void)
{
        note("inotify", count_until_refused(make_inotify));
        note("timers", count_until_refused(make_timer));
        note("epolls", count_until_refused(make_epoll));
        for (int fd = 3; fd < 128; fd++)
                (void) close(fd);
        note("events", count_until_refused(make_eventfd));
        for (int fd = 3; fd < 128; fd++)
                (void) close(fd);
        return finish();
}

static int processors(void)
{
        struct sched_param realtime = { .sched_priority = 1 };
        clock_t end = 1500 * (CLOCKS_PER_SEC / 1000);
        cpu_set_t all;

        memset(&all, 0xff, sizeof(all));
        TRY("fifo", sched_setscheduler(0, SCHED_FIFO, &realtime));
        TRY("nice", setpriority(PRIO_PROCESS, 0, -10));
        TRY("ioprio", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0)));
        TRY("affinity", sched_setaffinity(0, sizeof(all), &all));
        for (int i = 0; i < 3; i++)
                if (fork() == 0) {
                        while (clock() < end)
                                ;
                        _exit(0);
                }
        while (wait(NULL) > 0)
                ;
        return finish();
}

static int flushes(void)
{
        int fd = open("/tmp/flushed", O_WRONLY | O_CREAT | O_DIRECT, 0600);

        note("direct", fd >= 0 ? 0 : errno);
        if (fd < 0)
                fd = open_for_writing("/tmp/flushed");
        for (int i = 0; i < 500; i++) {
                (void) !write(fd, chunk, 512);
                (void) fsync(fd);
                sync();
        }
        return finish();
}

static int names_that_are_not(void)
{
        for (int i = 0; i < 40000; i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "%s/none-%d", i % 2 ? "/tmp" : "/opt", i);
                if (access(path, F_OK) == 0)
                        return 1;
        }
        return finish();
}

static int control_groups(void)
{
        FILE *f = fopen("/proc/self/mounts", "r");
        int n = 0;

        for (char line[1024]; fgets(line, sizeof(line), f);)
                n += strstr(line, "cgroup") != NULL;
        note("mounted", n);
        TRY("make", mkdir("/sys/fs/cgroup/x", 0700));
        TRY("mount", mount("none", "/tmp", "cgroup2", 0, NULL));
        TRY("kill", open("/sys/fs/cgroup/cgroup.kill", O_WRONLY));
        return finish();
}

static int logs(void)
{
        for (int i = 0; i < 1000; i++)
                syslog(LOG_EMERG, "hostile-guest-was-here");
        TRY("kmsg", open("/dev/kmsg", O_WRONLY));
        TRY("log", open("/dev/log", O_WRONLY));
        TRY("journal", open("/run/systemd/journal/socket", O_WRONLY));
        return finish();
}

/* Each process up to its own limit; all keep what they have until the last has tried. */
static int terminals(void)
{
        unsigned *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        for (int i = 0; i < 20; i++)
                if (fork() == 0) {
                        while (open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0)
                                (void) __atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
                        wait_for_the_end();
                }
        sleep_milliseconds(2000);
        note("terminals", *n);
        note("at_all", *n > 0);
        return finish();
}

const Case cases_a[] = {
        { "A1", fork_bomb },
        { "A2", session_storm },
        { "A3", thread_bomb },
        { "A4", zombies },
        { "A4-chains", vfork_chains },
        { "A5", heap },
        { "A6", static_memory },
        { "A7", forks_and_memory },
        { "A8", stack },
        { "A9", shared_memory_folder },
        { "A9-shm", shared_memory_folder_alone },
        { "A10", mapped_file },
        { "A11", unread_sockets },
        { "A11-pipes", unread_pipes },
        { "A11-streams", unread_streams },
        { "A12", memory_files },
        { "A12-shm", shared_memory_segments },
        { "A12-mq", queues_and_large_pages },
        { "A13", big_file },
        { "A14", many_files },
        { "A14-deep", deep_folders },
        { "A14-levels", deepest_folders },
        { "A15", sparse_file },
        { "A16", descriptors },
        { "A17", objects },
        { "A18", processors },
        { "A19", flushes },
        { "A20", names_that_are_not },
        { "A21", control_groups },
        { "A22", logs },
        { "A23", terminals },
        {},
};
