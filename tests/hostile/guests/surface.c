/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every number of a call, from each of the machine's entries: each in a child of its own, with arguments
 * that no call can do anything with. The child leaves what came in shared memory; one that died left
 * nothing, and one that waits is killed, for it was let in.
 *
 * The result is one text a table: "NUMBER:WHAT " where WHAT is an errno, `ok`, `kill` or `wait`; or `fork`,
 * where there was no child. */

#include "guest.h"

#define N_CALLS   1024
#define X32_BIT   0x40000000UL
#define ERRNO_MAX 4095

typedef struct Slot {
        volatile bool is_back;
        volatile long result;
} Slot;

static Slot *slot;

/* Both are part of who calls them: after a vfork two processes are on one stack, and the first to return
 * would change where the other returns to. */
static inline __attribute__((always_inline)) long by_syscall(unsigned long number)
{
        long result;

#ifdef __x86_64__
        register long r10 __asm__("r10") = -1, r8 __asm__("r8") = -1, r9 __asm__("r9") = -1;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(-1L), "S"(-1L), "d"(-1L), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
#else
        result = syscall((long) number, -1L, -1L, -1L, -1L, -1L, -1L);
        result = result < 0 ? -errno : result;
#endif
        return result;
}

static inline __attribute__((always_inline)) long by_interrupt(unsigned long number)
{
        long result = -ENOSYS;

#ifdef __x86_64__
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(number), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L), "D"(-1L)
                         : "r8", "r9", "r10", "r11", "memory");
        result = (int) result;
#endif
        return result;
}

/* Ends after a while (a machine may be busy): a call that blocks was let in. */
static const char *wait_for(pid_t child)
{
        for (int i = 0; i < 1000; i++) {
                if (waitpid(child, NULL, WNOHANG) == child)
                        return slot->is_back ? NULL : "kill";
                sleep_milliseconds(slot->is_back ? 0 : 1);
        }
        (void) kill(child, SIGKILL);
        (void) waitpid(child, NULL, 0);
        return "wait";
}

typedef enum Entry {
        BY_SYSCALL,
        BY_INTERRUPT,
} Entry;

_Noreturn static void call_and_leave(Entry entry, unsigned long number)
{
        slot->result = entry == BY_SYSCALL ? by_syscall(number) : by_interrupt(number);
        slot->is_back = true;
        _exit(0);
}

static void try_one(FILE *f, unsigned long shown, unsigned long number, Entry entry)
{
        const char *ended;
        pid_t child;

        slot->is_back = false;
        child = fork();
        if (child == 0)
                call_and_leave(entry, number);
        ended = child < 0 ? "fork" : wait_for(child);
        if (ended)
                (void) fprintf(f, "%lu:%s ", shown, ended);
        else if (slot->result < 0 && slot->result >= -ERRNO_MAX)
                (void) fprintf(f, "%lu:%ld ", shown, -slot->result);
        else
                (void) fprintf(f, "%lu:ok ", shown);
}

static int walk(unsigned long first, Entry entry)
{
        FILE *f = out_open("results.json");

        slot = mmap(NULL, sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        (void) fputs("{\"version\": 2, \"status\": \"pass\", \"tests\": [], \"calls\": \"", f);
        (void) fflush(f);
        for (unsigned long i = 0; i < N_CALLS; i++)
                try_one(f, i, first + i, entry);
        (void) fputs("\"}\n", f);
        return fclose(f);
}

static int native(void)
{
        return walk(0, BY_SYSCALL);
}

static int interrupt(void)
{
        return walk(0, BY_INTERRUPT);
}

static int x32(void)
{
        return walk(X32_BIT, BY_SYSCALL);
}

const Case cases_surface[] = {
        { "E0-native", native },
        { "E0-i386", interrupt },
        { "E0-x32", x32 },
        {},
};
