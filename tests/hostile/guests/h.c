/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* H: leaks between runs. */

#include "guest.h"

#include <mqueue.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/un.h>

#define KEY 0x7070

static int keyrings(void)
{
        TRY("session", syscall(SYS_keyctl, 0, -3, 0));
        TRY("user", syscall(SYS_keyctl, 0, -4, 0));
        TRY("persistent", syscall(SYS_keyctl, 22, -1, -3));
        return finish();
}

static int vsock(void)
{
        TRY("socket", socket(40, SOCK_STREAM, 0));
        return finish();
}

/* Locks on files that all sandboxes of an image share. */
static int locks(void)
{
        int fd = open(program, O_RDONLY), space = open("/proc/self/ns/net", O_RDONLY);
        struct flock whole = { .l_type = F_WRLCK };

        TRY("flock", flock(fd, LOCK_EX | LOCK_NB));
        TRY("write_lock", fcntl(fd, F_SETLK, &whole));
        TRY("lease", fcntl(fd, F_SETLEASE, F_RDLCK));
        TRY("namespace", flock(space, LOCK_EX | LOCK_NB));
        whole.l_type = F_RDLCK;
        TRY("read_lock", fcntl(fd, F_SETLK, &whole));
        TRY("notify", fcntl(open("/opt/test-runner/bin", O_RDONLY | O_DIRECTORY), F_NOTIFY, DN_ACCESS));
        sleep_milliseconds(1200);
        return finish();
}

static int uring(void)
{
        TRY("setup", syscall(SYS_io_uring_setup, 1, NULL));
        return finish();
}

/* What is left behind by name, and whether it was there. */
static int by_name(void)
{
        struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 16 };

        note("found_shm", open("/dev/shm/left", O_RDONLY) >= 0);
        note("found_queue", mq_open("/left", O_RDONLY) >= 0);
        TRY("shm", open_for_writing("/dev/shm/left"));
        TRY("queue", mq_open("/left", O_RDWR | O_CREAT, 0600, &attributes));
        return finish();
}

static int temporary(void)
{
        note("found", access("/tmp/left", F_OK) == 0);
        TRY("leave", open_for_writing("/tmp/left"));
        return finish();
}

/* Two runs at the same time can both have it. */
static int abstract_name(void)
{
        struct sockaddr_un here = { .sun_family = AF_UNIX, .sun_path = "\0left" };
        int s = socket(AF_UNIX, SOCK_STREAM, 0);

        TRY("bind",
            bind(s, (struct sockaddr *) &here, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 5)));
        sleep_milliseconds(1000);
        return finish();
}

/* Of a file that is not its own the kernel says that all of it is in memory. */
static int page_cache(void)
{
        int fd = open(program, O_RDONLY), n_absent = 0;
        struct stat s;
        unsigned char *in_memory;
        size_t n;
        void *p;

        (void) fstat(fd, &s);
        n = ((size_t) s.st_size + 4095) / 4096;
        in_memory = calloc(n, 1);
        p = mmap(NULL, (size_t) s.st_size, PROT_READ, MAP_SHARED, fd, 0);
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        TRY("mincore", mincore(p, (size_t) s.st_size, in_memory));
        for (size_t i = 0; i < n; i++)
                n_absent += (in_memory[i] & 1) == 0;
        note("absent", n_absent);
        return finish();
}

static int figures_of_the_host(void)
{
        TRY("loadavg", open("/proc/loadavg", O_RDONLY));
        TRY("stat", open("/proc/stat", O_RDONLY));
        TRY("cgroup", open("/sys/fs/cgroup/memory.pressure", O_RDONLY));
        TRY("interrupts", read_byte("/proc/interrupts"));
        TRY("timers", read_byte("/proc/timer_list"));
        TRY("sched", read_byte("/proc/sched_debug"));
        TRY("pressure_cpu", read_byte("/proc/pressure/cpu"));
        TRY("pressure_memory", read_byte("/proc/pressure/memory"));
        return finish();
}

static int system_v(void)
{
        note("found_memory", shmget(KEY, 4096, 0600) >= 0);
        note("found_semaphores", semget(KEY, 1, 0600) >= 0);
        note("found_queue", msgget(KEY, 0600) >= 0);
        TRY("memory", shmget(KEY, 4096, IPC_CREAT | 0600));
        TRY("semaphores", semget(KEY, 1, IPC_CREAT | 0600));
        TRY("queue", msgget(KEY, IPC_CREAT | 0600));
        return finish();
}

static int residue(void)
{
        static const char *const places[] = { "/tmp/residue", "/dev/shm/residue",
                                              "/mnt/exercism-iteration/residue" };
        int n_found = 0;

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                n_found += access(places[i], F_OK) == 0;
                (void) open_for_writing(places[i]);
        }
        note("found", n_found);
        note("processes", kill(-1, 0) == 0);
        return finish();
}

const Case cases_h[] = {
        { "H1", keyrings },
        { "H2", vsock },
        { "H3", locks },
        { "H4", uring },
        { "H5", by_name },
        { "H6", temporary },
        { "H7", abstract_name },
        { "H8", page_cache },
        { "H10", figures_of_the_host },
        { "H11", system_v },
        { "H11-both", system_v },
        { "H12", residue },
        {},
};
