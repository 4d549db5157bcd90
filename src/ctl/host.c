/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each check is a function and a row of one table. They read below one folder, so that a test can show them
 * any host; what cannot be read by this user is said to be so. */

#include "host.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "shared/process-util.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* 65536 of images, and some guests. */
#define SUBORDINATE_IDS_MIN (UINT64_C(65536) + 16)
/* Each sandbox has one of every kind, and some are parked. */
#define NAMESPACES_MIN 512U
#define FILE_MAX       (1U << 20)
#define PROGRAMS       "usr/lib/pipeline/"
#define BUILD_PROGRAM  PROGRAMS "pipeline-buildd"
#define VERSION_USEC   (5 * USEC_PER_SEC)

/* Who runs what is not trusted. Each is named as its package, and has a user manager that
 * scopes come from. */
typedef struct HostUser {
        const char *name;
        const char *drop_in; /* what confines its manager, in PROGRAMS */
        uid_t uid;
        bool exists;
} HostUser;

typedef struct Host {
        int root_fd;
        bool is_this;
        const HostUser *user; /* the one that is looked at */
} Host;

const char *host_verdict_name(HostVerdict verdict)
{
        static const char *const names[_HOST_VERDICT_MAX] = {
                [HOST_OK] = "ok", [HOST_DOUBTFUL] = "doubtful", [HOST_BAD] = "bad"
        };

        return names[verdict];
}

/* Both texts are taken over; NULL is "no memory", but for `mend` of what is well. */
static int finding(HostFinding *f, HostVerdict verdict, char *text, char *mend)
{
        f->verdict = verdict;
        f->text = text;
        f->mend = mend;
        return text && (mend || verdict == HOST_OK) ? 0 : -ENOMEM;
}

static int well(HostFinding *f, char *text)
{
        return finding(f, HOST_OK, text, NULL);
}

/* `path` is relative to the root. NULL where it cannot be read; without its last newline. */
static char *read_text(const Host *host, const char *path)
{
        char *text = NULL;

        if (read_file_at(host->root_fd, path, FILE_MAX, &text, NULL) < 0)
                return NULL;
        if (string_ends_with(text, "\n"))
                text[strlen(text) - 1] = '\0';
        return text;
}

static bool exists(const Host *host, const char *path)
{
        return faccessat(host->root_fd, path, F_OK, 0) == 0;
}

static bool has_word(const char *text, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = text; (p = strstr(p, word)); p += n)
                if ((p == text || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' ' || p[n] == '\n'))
                        return true;
        return false;
}

/* A file of one number; false where it is not there. */
static bool read_number(const Host *host, const char *path, uint64_t *ret)
{
        _cleanup_free_ char *text = read_text(host, path);

        return text && parse_uint64(text, 0, UINT64_MAX, ret) >= 0;
}

/* The checks */

static int check_user(const Host *host, HostFinding *f)
{
        const HostUser *user = host->user;

        if (user->exists)
                return well(f, string_format("the user %s is %u", user->name, user->uid));
        return finding(f, HOST_BAD, string_format("there is no user %s", user->name),
                       string_format("install the package %s, or run systemd-sysusers", user->name));
}

static int check_cgroups(const Host *host, HostFinding *f)
{
        if (exists(host, "sys/fs/cgroup/cgroup.controllers"))
                return well(f, strdup("version 2 alone"));
        return finding(f, HOST_BAD, strdup("version 2 is not mounted at /sys/fs/cgroup by itself"),
                       strdup("boot with systemd.unified_cgroup_hierarchy=1"));
}

static char *manager_file(const Host *host, const char *name)
{
        return string_format("sys/fs/cgroup/user.slice/user-%u.slice/user@%u.service/%s", host->user->uid,
                             host->user->uid, name);
}

static int check_controllers(const Host *host, HostFinding *f)
{
        static const char *const wanted[] = { "memory", "pids", "cpu" };
        _cleanup_free_ char *path = manager_file(host, "cgroup.controllers"), *text = NULL;

        if (!path)
                return -ENOMEM;
        text = read_text(host, path);
        if (!text)
                return finding(f, HOST_BAD, strdup("the user manager has no control group: it does not run"),
                               string_format("systemctl start user@%u.service", host->user->uid));
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (!has_word(text, wanted[i]))
                        return finding(
                                f, HOST_BAD, string_format("the user manager is not given %s", wanted[i]),
                                strdup("a drop-in for user@.service with [Service] Delegate=cpu memory "
                                       "pids; in a container the machine around it must delegate them"));
        return well(f, string_format("the user manager has %s", text));
}

static int check_user_namespaces(const Host *host, HostFinding *f)
{
        uint64_t allowed = 1, n = 0;

        if (read_number(host, "proc/sys/kernel/unprivileged_userns_clone", &allowed) && allowed == 0)
                return finding(f, HOST_BAD, strdup("users may not make them"),
                               strdup("sysctl kernel.unprivileged_userns_clone=1, also in /etc/sysctl.d"));
        if (!read_number(host, "proc/sys/user/max_user_namespaces", &n) || n == 0)
                return finding(f, HOST_BAD, strdup("the kernel has none"),
                               strdup("sysctl user.max_user_namespaces=10000, also in /etc/sysctl.d"));
        return well(f, string_format("at most %" PRIu64, n));
}

static int check_namespaces(const Host *host, HostFinding *f)
{
        static const char *const kinds[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                char path[64];
                uint64_t n;

                (void) snprintf(path, sizeof(path), "proc/sys/user/max_%s_namespaces", kinds[i]);
                if (read_number(host, path, &n) && n < NAMESPACES_MIN)
                        return finding(
                                f, HOST_DOUBTFUL, string_format("only %" PRIu64 " of kind %s", n, kinds[i]),
                                string_format("sysctl user.max_%s_namespaces=10000: each sandbox needs one",
                                              kinds[i]));
        }
        return well(f, string_format("at least %u of each kind", NAMESPACES_MIN));
}

static bool split_range(char *line, char **ret_name, uint64_t *ret_first, uint64_t *ret_n)
{
        char *rest = line, *first;

        *ret_name = strsep(&rest, ":");
        first = strsep(&rest, ":");
        return first && rest && parse_uint64(first, 0, UINT32_MAX, ret_first) >= 0 &&
               parse_uint64(rest, 0, UINT32_MAX, ret_n) >= 0;
}

/* The largest range of the user's own in a file of NAME:FIRST:NUMBER. */
static void find_own_range(const char *text, const char *user, uint64_t *ret_first, uint64_t *ret_n)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *name;
        uint64_t first, n;

        *ret_n = 0;
        for (char *line; copy && (line = strsep(&rest, "\n"));)
                if (split_range(line, &name, &first, &n) && streq(name, user) && n > *ret_n) {
                        *ret_first = first;
                        *ret_n = n;
                }
}

/* Whom else some of these ids are given to; a new string or NULL. */
static char *find_overlap(const char *text, const char *user, uint64_t own_first, uint64_t own_n)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *name;
        uint64_t first, n;

        for (char *line; copy && (line = strsep(&rest, "\n"));)
                if (split_range(line, &name, &first, &n) && !streq(name, user) &&
                    first < own_first + own_n && own_first < first + n)
                        return strdup(name);
        return NULL;
}

static int check_id_file(const Host *host, const char *path, HostFinding *f)
{
        _cleanup_free_ char *text = read_text(host, path), *other = NULL;
        const char *user = host->user->name;
        uint64_t first = 0, n = 0;

        find_own_range(text ?: "", user, &first, &n);
        if (n < SUBORDINATE_IDS_MIN)
                return finding(
                        f, n == 0 ? HOST_BAD : HOST_DOUBTFUL,
                        string_format("/%s gives %s %" PRIu64 " ids", path, user, n),
                        string_format("a line such as %s:200000:69632 in /%s, of ids that nobody else "
                                      "has",
                                      user, path));
        other = find_overlap(text, user, first, n);
        if (other)
                return finding(f, HOST_BAD, string_format("/%s gives some of them to %s too", path, other),
                               string_format("give %s a range of its own in /%s", user, path));
        return well(f, string_format("%" PRIu64 " from %" PRIu64 " on", n, first));
}

static int check_subordinate_ids(const Host *host, HostFinding *f)
{
        int r = check_id_file(host, "etc/subuid", f);

        if (r < 0 || f->verdict != HOST_OK)
                return r;
        free(f->text);
        return check_id_file(host, "etc/subgid", f);
}

static int check_linger(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *path = string_format("var/lib/systemd/linger/%s", host->user->name);

        if (!path)
                return -ENOMEM;
        if (exists(host, path))
                return well(f, strdup("the user manager starts at boot"));
        return finding(f, HOST_BAD, strdup("the user manager is not started at boot"),
                       string_format("loginctl enable-linger %s", host->user->name));
}

static int check_manager(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *path = string_format("run/user/%u", host->user->uid);

        if (!path)
                return -ENOMEM;
        if (exists(host, path))
                return well(f, strdup("it runs"));
        return finding(f, HOST_BAD, strdup("it does not run"),
                       string_format("systemctl start user@%u.service", host->user->uid));
}

static int check_drop_in(const Host *host, HostFinding *f)
{
        const HostUser *user = host->user;
        _cleanup_free_ char *path = string_format("etc/systemd/system/user@%u.service.d/pipeline.conf",
                                                  user->uid),
                            *target = string_format(PROGRAMS "%s", user->drop_in);

        if (!path || !target)
                return -ENOMEM;
        /* The link of the package leads to an absolute path. */
        if (faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && exists(host, target))
                return well(f, strdup("the user manager has nothing to give"));
        return finding(f, HOST_BAD, strdup("the user manager is not confined"),
                       string_format("ln -s /%s /%s && systemctl daemon-reload && "
                                     "systemctl restart user@%u.service",
                                     target, path, user->uid));
}

static int check_apparmor(const Host *host, HostFinding *f)
{
        uint64_t restricted = 0;

        if (read_number(host, "proc/sys/kernel/apparmor_restrict_unprivileged_userns", &restricted) &&
            restricted != 0)
                return finding(f, HOST_BAD,
                               strdup("user namespaces of programs without a profile have no rights"),
                               strdup("a profile with `userns,` for /usr/lib/pipeline/pipeline-sandboxd and "
                                      "the OCI runtime, or "
                                      "sysctl kernel.apparmor_restrict_unprivileged_userns=0"));
        return well(f, strdup("user namespaces are not restricted"));
}

static int check_swap(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *swaps = read_text(host, "proc/swaps"),
                            *path = manager_file(host, "memory.swap.max");
        const char *first = swaps ? strchr(swaps, '\n') : NULL;

        if (!path)
                return -ENOMEM;
        if (!first || first[1] == '\0')
                return well(f, strdup("there is none"));
        if (exists(host, path))
                return well(f, strdup("there is, and guests get none of it"));
        return finding(f, HOST_BAD, strdup("there is, and the kernel does not account for it"),
                       strdup("boot with swapaccount=1, or swapoff -a"));
}

static int check_smt(const Host *host, HostFinding *f)
{
        uint64_t is_active = 0;

        if (!read_number(host, "sys/devices/system/cpu/smt/active", &is_active) || is_active == 0)
                return well(f, strdup("no two guests share a core at the same time"));
        return finding(f, HOST_DOUBTFUL,
                       strdup("two guests may share a core at the same time, and its caches"),
                       strdup("boot with nosmt, where guests must not learn about each other by timing"));
}

/* Versions */

/* The kernel's own number: distributions keep the name of a series and say behind "Debian" what it is. */
static int check_kernel(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *version = read_text(host, "proc/version"), *release = NULL;
        char *debian = version ? strstr(version, "Debian ") : NULL;
        HostVersion unused;

        /* "gcc (Debian 12.2.0-14)" stands there too: the last one is it. */
        for (char *next = debian; next && (next = strstr(next + 1, "Debian "));)
                debian = next;
        if (debian && host_version_parse(debian + strlen("Debian "), &unused)) {
                debian += strlen("Debian ");
                debian[strcspn(debian, " )")] = '\0';
                return host_version_judge("kernel", debian, f);
        }
        release = read_text(host, "proc/sys/kernel/osrelease");
        return host_version_judge("kernel", release ?: "unknown", f);
}

/* NULL where there is no such program. */
static char *ask_version(const char *program)
{
        const char *const argv[] = { program, "--version", NULL };
        const ProcessOptions options = { .argv = argv,
                                         .timeout_usec = VERSION_USEC,
                                         .output_size_max = 4096 };
        ProcessResult result = {};
        char *found = NULL;

        if (process_run(&options, &result) == 0) {
                _cleanup_free_ char *text =
                        strndup((const char *) result.output.data ?: "", result.output.size);

                found = text ? host_version_find(text) : NULL;
                process_result_done(&result);
        }
        return found;
}

static int check_program(const Host *host, const char *program, bool is_needed, HostFinding *f)
{
        _cleanup_free_ char *version = host->is_this ? ask_version(program) : NULL;

        if (version)
                return host_version_judge(program, version, f);
        if (!is_needed || !host->is_this)
                return well(f, strdup(host->is_this ? "not installed, and not needed" : "not asked"));
        return finding(f, HOST_BAD, string_format("%s is not installed", program),
                       string_format("apt install %s", program));
}

static int check_crun(const Host *host, HostFinding *f)
{
        return check_program(host, "crun", true, f);
}

static int check_runc(const Host *host, HostFinding *f)
{
        return check_program(host, "runc", false, f);
}

static int check_systemd(const Host *host, HostFinding *f)
{
        _cleanup_free_ char *version = host->is_this ? ask_version("systemctl") : NULL;

        return version ? host_version_judge("systemd", version, f) : well(f, strdup("not asked"));
}

/* The library says it itself; it is sandboxd that uses it, so it need not be there for this program. */
static int check_libseccomp(const Host *host, HostFinding *f)
{
        struct LibraryVersion {
                unsigned major, minor, micro;
        };
        _cleanup_free_ char *text = NULL;
        const struct LibraryVersion *(*ask)(void) = NULL;
        void *library = host->is_this ? dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL) : NULL;
        int r;

        if (library)
                *(void **) &ask = dlsym(library, "seccomp_version");
        if (ask)
                text = string_format("%u.%u.%u", ask()->major, ask()->minor, ask()->micro);
        if (text)
                r = host_version_judge("libseccomp", text, f);
        else if (!host->is_this)
                r = well(f, strdup("not asked"));
        else
                r = finding(f, HOST_BAD, strdup("libseccomp is not installed"),
                            strdup("apt install libseccomp2"));
        if (library)
                (void) dlclose(library);
        return r;
}

/* The tables */

typedef struct HostCheck {
        const char *name;
        int (*check)(const Host *host, HostFinding *f);
        bool needs_user;
} HostCheck;

static const HostCheck checks[] = {
        { "cgroups", check_cgroups },
        { "user", check_user },
        { "controllers", check_controllers, true },
        { "user-namespaces", check_user_namespaces },
        { "namespaces", check_namespaces },
        { "apparmor", check_apparmor },
        { "subordinate-ids", check_subordinate_ids },
        { "linger", check_linger },
        { "user-manager", check_manager, true },
        { "drop-in", check_drop_in, true },
        { "swap", check_swap, true },
        { "smt", check_smt },
        { "kernel", check_kernel },
        { "systemd", check_systemd },
        { "crun", check_crun },
        { "runc", check_runc },
        { "libseccomp", check_libseccomp },
};

/* Of the user of builds, where they are installed. */
static const HostCheck build_checks[] = {
        { "build-user", check_user },
        { "build-controllers", check_controllers, true },
        { "build-subordinate-ids", check_subordinate_ids },
        { "build-linger", check_linger },
        { "build-user-manager", check_manager, true },
        { "build-drop-in", check_drop_in, true },
};

static HostUser find_user(const Host *host, const char *name, const char *drop_in)
{
        _cleanup_free_ char *text = read_text(host, "etc/passwd");
        HostUser user = { .name = name, .drop_in = drop_in };
        char *rest = text;

        for (char *line; text && (line = strsep(&rest, "\n"));) {
                const char *behind = string_after(line, name);
                unsigned uid;

                if (!behind || sscanf(behind, ":%*[^:]:%u:", &uid) != 1)
                        continue;
                user.uid = uid;
                user.exists = true;
        }
        return user;
}

void host_findings_free(HostFinding *findings, size_t n)
{
        for (size_t i = 0; findings && i < n; i++) {
                free(findings[i].text);
                free(findings[i].mend);
        }
        free(findings);
}

/* Appends to `findings`, which has room. */
static int run_checks(const Host *host, const HostCheck *list, size_t n, HostFinding *findings,
                      size_t *n_findings)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (list[i].needs_user && !host->user->exists)
                        continue;
                findings[*n_findings].check = list[i].name;
                r = list[i].check(host, &findings[(*n_findings)++]);
        }
        return r;
}

int host_check(const char *root, HostFinding **ret, size_t *ret_n)
{
        _cleanup_close_ int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        Host host = { .root_fd = root_fd, .is_this = streq(root, "/") };
        HostUser sandbox, build;
        HostFinding *findings;
        size_t n = 0;
        int r;

        if (root_fd < 0)
                return -errno;
        findings = calloc(ARRAY_SIZE(checks) + ARRAY_SIZE(build_checks), sizeof(*findings));
        if (!findings)
                return -ENOMEM;
        sandbox = find_user(&host, "pipeline-sandbox", "sandbox-manager.conf");
        build = find_user(&host, "pipeline-build", "build-manager.conf");
        host.user = &sandbox;
        r = run_checks(&host, checks, ARRAY_SIZE(checks), findings, &n);
        host.user = &build;
        if (r >= 0 && exists(&host, BUILD_PROGRAM))
                r = run_checks(&host, build_checks, ARRAY_SIZE(build_checks), findings, &n);
        if (r < 0) {
                host_findings_free(findings, n);
                return r;
        }
        *ret = findings;
        *ret_n = n;
        return 0;
}
