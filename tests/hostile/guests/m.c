/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* M: what is said of a run is true. The border of each limit is in the exercise's name: "M1-exit-NUMBER". */

#include "guest.h"

#include <sys/resource.h>
#include <sys/time.h>

/* The number at the end of solution, the one file of the input. */
static long given(void)
{
        FILE *f = fopen("/mnt/exercism-iteration/solution", "r");
        long n = 0;

        if (!f || fscanf(f, "%ld", &n) != 1)
                exit(113);
        (void) fclose(f);
        return n;
}

static int64_t microseconds(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Ends by itself after so many microseconds. */
static int at_time(void)
{
        int64_t end = microseconds() + given();
        int r = finish();

        while (microseconds() < end)
                ;
        return r;
}

static void put(int fd, long n)
{
        static char text[65536];

        memset(text, 'x', sizeof(text));
        for (; n > 0; n -= (long) sizeof(text))
                (void) !write(fd, text, (size_t) (n < (long) sizeof(text) ? n : (long) sizeof(text)));
}

static int at_output(void)
{
        int r = finish();

        put(STDOUT_FILENO, given());
        return r;
}

static int at_written(void)
{
        int r = finish();
        int fd = open_for_writing("/tmp/x");

        put(fd, given());
        return r;
}

/* A result of exactly so many bytes. */
static int at_result(void)
{
        FILE *f = out_open("results.json");
        long n = given() - fprintf(f, "{\"text\": \"\"}");

        rewind(f);
        (void) fputs("{\"text\": \"", f);
        for (; n > 0; n--)
                (void) fputc('x', f);
        (void) fputs("\"}", f);
        return fclose(f);
}

static int at_processes(void)
{
        int r = finish();

        for (long n = given(); n > 0; n--)
                if (fork() == 0)
                        wait_for_the_end();
        return r;
}

static int at_memory(void)
{
        long n = given();
        char *p = mmap(NULL, (size_t) n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        memset(p, 1, (size_t) n);
        return finish();
}

/* Dies of a signal while its output goes over the limit. */
static int dies_while_flooding(void)
{
        put(STDOUT_FILENO, given());
        return raise(SIGKILL);
}

/* How a run ends: by the number, each end one that the answer names by another code. */
static int ends_somehow(void)
{
        switch (given() % 7) {
        case 0:
                return finish();
        case 1:
                return finish() + 3;
        case 2:
                (void) finish();
                return raise(SIGKILL);
        case 3:
                return 0;
        case 4:
                return out_text("{\"status\": ");
        case 5:
                (void) finish();
                put(STDOUT_FILENO, 1 << 20);
                return 0;
        default:
                (void) finish();
                put(open_for_writing("/tmp/x"), 32L * MIB);
                return 0;
        }
}

/* Of two limits at once one is named: after so many microseconds it also writes without end. */
__attribute__((noreturn)) static int time_and_output(void)
{
        int64_t end = microseconds() + given();

        (void) finish();
        while (microseconds() < end)
                ;
        for (;;)
                put(STDOUT_FILENO, 4096);
}

/* Kills itself, or is killed for its memory: both are signal 9. */
static int killed_or_too_large(void)
{
        long n = given();
        char *p = n > 0 ? mmap(NULL, (size_t) n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                        : NULL;

        (void) finish();
        if (p)
                memset(p, 1, (size_t) n);
        return raise(SIGKILL);
}

static int waits(void)
{
        sleep_milliseconds(3000);
        return finish();
}

/* Uses what it was told, and says what it thinks it used. */
static int figures(void)
{
        const size_t size = 24U * MIB;
        int64_t began = microseconds(), used = 0;
        struct rusage usage;
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        memset(p, 1, size);
        while (used < given()) {
                (void) getrusage(RUSAGE_SELF, &usage);
                used = (int64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
        }
        sleep_milliseconds(300);
        note("cpu_usec", (long) used);
        note("memory_bytes", (long) size);
        note("wall_usec", (long) (microseconds() - began));
        return finish();
}

const Case cases_m[] = {
        { "M1-time", at_time },
        { "M1-output", at_output },
        { "M1-written", at_written },
        { "M1-result", at_result },
        { "M1-processes", at_processes },
        { "M1-memory", at_memory },
        { "M1-signal", dies_while_flooding },
        { "M1-codes", ends_somehow },
        { "M1-time-output", time_and_output },
        { "M1-killed", killed_or_too_large },
        { "M2", waits },
        { "M3", figures },
        {},
};
