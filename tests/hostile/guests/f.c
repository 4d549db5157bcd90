/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F: identity and privilege. */

#include "guest.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;

/* The value of a line of a file of "KEY:\tVALUE" lines. */
static void note_field(const char *path, const char *key)
{
        FILE *f = fopen(path, "r");
        size_t n = strlen(key);

        for (char line[512]; f && fgets(line, sizeof(line), f);)
                if (strncmp(line, key, n) == 0 && line[n] == ':')
                        note_text(key, line + n + 1 + strspn(line + n + 1, " \t"));
        if (f)
                (void) fclose(f);
}

static void note_line(const char *name, const char *path)
{
        char line[512] = "";
        FILE *f = fopen(path, "r");

        if (f && !fgets(line, sizeof(line), f))
                line[0] = '\0';
        note_text(name, f ? line : "none");
        if (f)
                (void) fclose(f);
}

static int root_inside(void)
{
        note("uid", (long) getuid());
        note("euid", (long) geteuid());
        TRY("setuid", setuid(0));
        TRY("setresuid", setresuid(0, 0, 0));
        TRY("user_namespace", unshare(CLONE_NEWUSER));
        return finish();
}

static int groups(void)
{
        gid_t some[] = { 0 };

        note("groups", getgroups(0, NULL));
        TRY("setgroups", setgroups(1, some));
        TRY("setgid", setgid(0));
        (void) setfsuid(0);
        note("fsuid", setfsuid((uid_t) -1));
        return finish();
}

static int note_capabilities(void)
{
        static const char *const sets[] = { "CapInh", "CapPrm",     "CapEff", "CapBnd",
                                            "CapAmb", "NoNewPrivs", "Seccomp" };

        for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
                note_field("/proc/self/status", sets[i]);
        return finish();
}

/* Those of a program of root's, once more executed. */
static int capabilities(void)
{
        (void) execl(program, program, "F3-again", in_folder, out_folder, NULL);
        return 1;
}

static int keyring(void)
{
        note_line("loginuid", "/proc/self/loginuid");
        note_line("keys", "/proc/keys");
        TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
        return finish();
}

static int environment(void)
{
        char name[64];
        int n = 0;

        for (char **e = environ; *e; e++, n++) {
                (void) snprintf(name, sizeof(name), "%d", n);
                note_text(name, *e);
        }
        return finish();
}

static int descriptors(void)
{
        char path[64], target[256];
        int n = 0;

        for (int fd = 0; fd < 65536; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        note("open", n);
        for (int fd = 0; fd < 3; fd++) {
                ssize_t size;

                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                size = readlink(path, target, sizeof(target) - 1);
                target[size > 0 ? size : 0] = '\0';
                (void) snprintf(path, sizeof(path), "%d", fd);
                target[strcspn(target, ":")] = '\0';
                note_text(path, target);
        }
        return finish();
}

static int terminal(void)
{
        TRY("tty", open("/dev/tty", O_RDWR));
        TRY("console", open("/dev/console", O_RDWR));
        note("session", getsid(0) == getpid());
        return finish();
}

/* The limit is lowered as far as it goes: to nothing, which a pipe for core dumps would not heed. */
static int core_dump(void)
{
        struct rlimit none = {};

        (void) setrlimit(RLIMIT_CORE, &none);
        (void) prctl(PR_SET_DUMPABLE, 1);
        abort();
}

static int core_limit(void)
{
        struct rlimit none = {}, now = {};

        TRY("set", setrlimit(RLIMIT_CORE, &none));
        TRY("set_high", syscall(SYS_setrlimit, RLIMIT_CORE | 0x100000000UL, &none));
        TRY("prlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE | 0x100000000UL, &none, NULL));
        (void) getrlimit(RLIMIT_CORE, &now);
        note("soft", (long) now.rlim_cur);
        note("hard", (long) now.rlim_max);
        return finish();
}

const Case cases_f[] = {
        { "F1", root_inside },       { "F2", groups },
        { "F3", capabilities },      { "F3-again", note_capabilities },
        { "F4", note_capabilities }, { "F5", keyring },
        { "F6", environment },       { "F7", descriptors },
        { "F8", terminal },          { "F9", core_dump },
        { "F9-limit", core_limit },  {},
};
