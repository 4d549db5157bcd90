/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* C: output and results. */

#include "guest.h"

#include <sys/un.h>
#include <sys/xattr.h>

#define GOOD "{\"version\": 2, \"status\": \"pass\", \"tests\": []}"

static void flood(int first, int second)
{
        char text[4096];

        memset(text, 'x', sizeof(text));
        for (;;)
                if (write(first, text, sizeof(text)) < 0 || write(second, text, sizeof(text)) < 0)
                        wait_for_the_end();
}

static int flood_stdout(void)
{
        flood(STDOUT_FILENO, STDOUT_FILENO);
        return 0;
}

static int flood_stderr(void)
{
        flood(STDERR_FILENO, STDERR_FILENO);
        return 0;
}

static int flood_both(void)
{
        flood(STDOUT_FILENO, STDERR_FILENO);
        return 0;
}

static int drip(void)
{
        for (int i = 0; i < 10; i++) {
                (void) !write(STDOUT_FILENO, "drip", 4);
                sleep_milliseconds(30);
        }
        return finish();
}

static int nonsense(void)
{
        static const char bytes[] =
                "\0\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\x1b]0;owned\x07\x1b[2J\r\n\x7f\xe2\x80\xae";

        (void) !write(STDOUT_FILENO, bytes, sizeof(bytes));
        (void) !write(STDERR_FILENO, bytes, sizeof(bytes));
        return finish();
}

static int huge(void)
{
        FILE *f = out_open("results.json");

        (void) fputs("{\"text\": \"", f);
        for (int i = 0; i < 1 << 21; i++)
                (void) fputc('x', f);
        (void) fputs("\"}", f);
        return fclose(f);
}

static int deep(void)
{
        FILE *f = out_open("results.json");

        (void) fputs("{\"a\": ", f);
        for (int i = 0; i < 100000; i++)
                (void) fputc('[', f);
        for (int i = 0; i < 100000; i++)
                (void) fputc(']', f);
        (void) fputc('}', f);
        return fclose(f);
}

static int digits(void)
{
        FILE *f = out_open("results.json");

        (void) fputs("{\"status\": \"pass\", \"n\": 1", f);
        for (int i = 0; i < 1000000; i++)
                (void) fputc('7', f);
        (void) fputc('}', f);
        return fclose(f);
}

static int twice(void)
{
        return out_text("{\"status\": \"fail\", \"status\": \"pass\", \"big\": 12345678901234567890123, "
                        "\"x\": 1.10}");
}

static int not_a_number(void)
{
        return out_text("{\"status\": \"pass\", \"n\": NaN}");
}

static int surrogate(void)
{
        return out_text("{\"status\": \"pass\", \"s\": \"\xed\xa0\x80\"}");
}

static int missing(void)
{
        return 0;
}

static int empty(void)
{
        return out_text("");
}

static int truncated(void)
{
        return out_text("{\"status\": \"pass\", \"tests\": [");
}

static int no_json(void)
{
        return out_text("all tests passed");
}

static int no_object(void)
{
        return out_text("[1, 2]");
}

static int link_to(const char *target)
{
        return symlink(target, out_path("results.json")) == 0 ? 0 : 1;
}

static int link_file(void)
{
        return link_to("/etc/passwd");
}

static int link_device(void)
{
        return link_to("/dev/urandom");
}

static int link_nothing(void)
{
        return link_to("/nothing");
}

static int link_magic(void)
{
        return link_to("/proc/self/fd/0");
}

static int link_root(void)
{
        return link_to("/proc/1/root/etc/passwd");
}

static int link_loop(void)
{
        return link_to("results.json");
}

static int fifo(void)
{
        return mkfifo(out_path("results.json"), 0600);
}

static int folder(void)
{
        return mkdir(out_path("results.json"), 0700);
}

static int socket_file(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int s = socket(AF_UNIX, SOCK_STREAM, 0);

        (void) strcpy(address.sun_path, out_path("results.json"));
        return bind(s, (struct sockaddr *) &address, sizeof(address));
}

static int device(void)
{
        return mknod(out_path("results.json"), S_IFCHR | 0666, (dev_t) 0x103) < 0 ? 0 : 1;
}

static int hard_link(void)
{
        FILE *f = out_open("other");

        (void) fputs(GOOD, f);
        (void) fclose(f);
        return link("/mnt/exercism-iteration/other", "/mnt/exercism-iteration/results.json");
}

/* Something is put in the place of the folder that the result lies in. */
static int parent_link(void)
{
        int r = out_text(GOOD);

        TRY("rename", rename("/mnt/exercism-iteration", "/mnt/other"));
        TRY("remove", rmdir("/mnt/exercism-iteration"));
        return r;
}

/* A result and a link take turns, until the end. */
static int swapped(void)
{
        FILE *f = out_open("good");

        (void) fputs(GOOD, f);
        (void) fclose(f);
        (void) symlink("/etc/passwd", "/mnt/exercism-iteration/bad");
        (void) link("/mnt/exercism-iteration/good", "/mnt/exercism-iteration/results.json");
        if (fork() != 0)
                return 0;
        for (;;) {
                (void) renameat2(AT_FDCWD, "/mnt/exercism-iteration/bad", AT_FDCWD,
                                 "/mnt/exercism-iteration/results.json", RENAME_EXCHANGE);
                sched_yield();
        }
}

static int growing(void)
{
        int fd = open_for_writing(out_path("results.json"));

        (void) !write(fd, "{", 1);
        if (fork() != 0)
                return 0;
        for (;;)
                (void) !write(fd, " ", 1);
}

static int sparse(void)
{
        return truncate(out_path("results.json"), 0) < 0 &&
                               ftruncate(open_for_writing(out_path("results.json")), INT64_C(1) << 40) == 0
                       ? 0
                       : 1;
}

static int closed(void)
{
        int r;

        TRY("owner", chown(out_path("results.json"), 0, 0));
        r = finish();
        (void) chmod(out_path("results.json"), 0);
        (void) setxattr(out_path("results.json"), "user.x", "y", 1, 0);
        return r;
}

static int names(void)
{
        static const char *const odd[] = { "a\nb",      "-rf", "..x",     "\xff\xfe",
                                           "$(reboot)", "a;b", "\x1b[2J", " " };
        char longest[256];

        for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
                (void) fclose(out_open(odd[i]));
        memset(longest, 'n', 255);
        longest[255] = '\0';
        (void) fclose(out_open(longest));
        return finish();
}

static int closed_output(void)
{
        if (fork() == 0)
                wait_for_the_end();
        for (int fd = 0; fd < 3; fd++)
                (void) close(fd);
        return finish();
}

static int exit_137(void)
{
        return 137;
}

static int signal_kill(void)
{
        return raise(SIGKILL);
}

static int signal_time(void)
{
        return raise(SIGXCPU);
}

static int descriptors(void)
{
        int n = 0;

        for (int fd = 3; fd < 4096; fd++)
                n += write(fd, GOOD, 1) >= 0 || errno != EBADF;
        note("open", n);
        return finish();
}

const Case cases_c[] = {
        { "C1", flood_stdout },
        { "C1-stderr", flood_stderr },
        { "C1-both", flood_both },
        { "C2", drip },
        { "C3", flood_stdout },
        { "C4", nonsense },
        { "C5", huge },
        { "C6-deep", deep },
        { "C6-digits", digits },
        { "C6-twice", twice },
        { "C6-nan", not_a_number },
        { "C6-surrogate", surrogate },
        { "C7-missing", missing },
        { "C7-empty", empty },
        { "C7-truncated", truncated },
        { "C7-text", no_json },
        { "C7-array", no_object },
        { "C8-passwd", link_file },
        { "C8-urandom", link_device },
        { "C8-nothing", link_nothing },
        { "C8-magic", link_magic },
        { "C8-root", link_root },
        { "C8-loop", link_loop },
        { "C8-fifo", fifo },
        { "C8-folder", folder },
        { "C8-socket", socket_file },
        { "C8-device", device },
        { "C8-hardlink", hard_link },
        { "C8-parent", parent_link },
        { "C8-swapped", swapped },
        { "C9-growing", growing },
        { "C9-sparse", sparse },
        { "C10", closed },
        { "C11", names },
        { "C12", closed_output },
        { "C13-exit", exit_137 },
        { "C13-kill", signal_kill },
        { "C13-xcpu", signal_time },
        { "C14", descriptors },
        {},
};
