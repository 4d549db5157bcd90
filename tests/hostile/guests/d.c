/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D: paths, and who follows them. */

#include "guest.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#define IN "/mnt/exercism-iteration"

/* What comes next shall read, or write, through a link. */
static int input_replaced(void)
{
        TRY("rename", rename(IN, "/tmp/moved"));
        TRY("remove", rmdir(IN));
        TRY("over", symlink("/etc", IN));
        (void) unlink(IN "/solution");
        TRY("file", symlink("/etc/shadow", IN "/solution"));
        TRY("script", symlink("/etc/passwd", IN "/run.sh"));
        return finish();
}

static int owners(void)
{
        TRY("link", symlink("/etc/passwd", IN "/passwd"));
        TRY("link_folder", symlink("/", IN "/root"));
        TRY("hard", link("/etc/passwd", IN "/hard"));
        TRY("hard_own", link(program, IN "/own"));
        TRY("chown", lchown(IN "/passwd", 0, 0));
        return finish();
}

/* Folders become links and back while all of it is taken down. */
static int cleanup_race(void)
{
        (void) mkdir(IN "/a", 0700);
        (void) fclose(out_open("a/x"));
        (void) symlink("/", IN "/b");
        if (fork() != 0) {
                sleep_milliseconds(50);
                return finish();
        }
        for (;;)
                (void) renameat2(AT_FDCWD, IN "/a", AT_FDCWD, IN "/b", RENAME_EXCHANGE);
}

static int closed_folders(void)
{
        int flags = FS_IMMUTABLE_FL, fd;

        for (int i = 0; i < 400; i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), IN "/%d", i);
                (void) mkdir(path, 0700);
                (void) snprintf(path, sizeof(path), IN "/%d/x", i);
                (void) mkdir(path, 0);
                (void) snprintf(path, sizeof(path), IN "/%d", i);
                (void) chmod(path, 0);
        }
        fd = open_for_writing(IN "/immutable");
        note("immutable", ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0 ? 0 : 1);
        return finish();
}

static int writes(void)
{
        TRY("root", open_for_writing("/written"));
        TRY("etc", open_for_writing("/etc/written"));
        TRY("passwd", open("/etc/passwd", O_WRONLY));
        TRY("opt", open_for_writing("/opt/written"));
        TRY("own", open(program, O_WRONLY));
        TRY("init", open("/.pipeline-init", O_WRONLY));
        TRY("dev", open_for_writing("/dev/written"));
        TRY("run", open_for_writing("/run/written"));
        TRY("sys", open_for_writing("/sys/written"));
        TRY("remount", mount("", "/", "", MS_REMOUNT | MS_BIND, NULL));
        return finish();
}

static int input_changed(void)
{
        FILE *f = fopen(IN "/solution", "w");

        note("write", f ? 0 : errno);
        (void) fputs("changed", f);
        (void) fclose(f);
        TRY("delete", unlink(IN "/solution"));
        return finish();
}

static int chroot_escape(void)
{
        int fd = open("/", O_RDONLY | O_DIRECTORY);

        TRY("chroot", chroot("/tmp"));
        TRY("fchdir", fchdir(fd));
        for (int i = 0; i < 64; i++)
                (void) chdir("..");
        TRY("host", access("var/lib/pipeline-sandbox", F_OK));
        TRY("again", chroot("."));
        return finish();
}

static int others_in_proc(void)
{
        static const char *const files[] = { "root",    "root/etc", "cwd/etc", "fd",       "mem",
                                             "environ", "maps",     "exe",     "map_files" };
        int n_others = 0;

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "/proc/1/%s", files[i]);
                TRY(files[i], open(path, O_RDONLY));
        }
        for (int pid = 2; pid < 400; pid++)
                n_others += pid != getpid() && kill(pid, 0) == 0;
        note("others", n_others);
        TRY("host", access("/var/lib/pipeline-sandbox", F_OK));
        TRY("tests", access("/pipeline/tests", F_OK));
        return finish();
}

static int write_to(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY);

        return fd < 0 ? -1 : (int) write(fd, text, strlen(text));
}

static int proc_writes(void)
{
        TRY("sysrq", write_to("/proc/sysrq-trigger", "h"));
        TRY("core_pattern", write_to("/proc/sys/kernel/core_pattern", "|/tmp/x"));
        TRY("hostname", write_to("/proc/sys/kernel/hostname", "owned"));
        TRY("modprobe", write_to("/proc/sys/kernel/modprobe", "/tmp/x"));
        TRY("overcommit", write_to("/proc/sys/vm/overcommit_memory", "1"));
        TRY("forward", write_to("/proc/sys/net/ipv4/ip_forward", "1"));
        TRY("namespaces", write_to("/proc/sys/user/max_user_namespaces", "100"));
        TRY("inotify", write_to("/proc/sys/user/max_inotify_instances", "100"));
        TRY("oom", write_to("/proc/self/oom_score_adj", "-1000"));
        TRY("oom_lower", write_to("/proc/self/oom_score_adj", "-1"));
        TRY("init_oom", write_to("/proc/1/oom_score_adj", "1000"));
        TRY("uid_map", write_to("/proc/self/uid_map", "0 0 1"));
        TRY("kcore", read_byte("/proc/kcore"));
        TRY("label", write_to("/proc/self/attr/current", "unconfined"));
        TRY("label_init", write_to("/proc/1/attr/current", "unconfined"));
        return finish();
}

static int own_program(void)
{
        TRY("self", open("/proc/self/exe", O_WRONLY));
        TRY("truncate", open("/proc/self/exe", O_WRONLY | O_TRUNC));
        TRY("init", open("/proc/1/exe", O_WRONLY));
        TRY("init_read", open("/proc/1/exe", O_RDONLY));
        return finish();
}

static int propagation(void)
{
        FILE *f = fopen("/proc/self/mountinfo", "r");
        int n_shared = 0, n_slave = 0;

        for (char line[4096]; fgets(line, sizeof(line), f);) {
                n_shared += strstr(line, " shared:") != NULL;
                n_slave += strstr(line, " master:") != NULL;
        }
        note("shared", n_shared);
        note("slave", n_slave);
        TRY("tmpfs", mount("x", "/tmp", "tmpfs", 0, NULL));
        TRY("bind", mount("/etc", "/tmp", NULL, MS_BIND, NULL));
        TRY("propagate", mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL));
        return finish();
}

/* Runs a program as D15-id: whether it is still who it was. */
static int is_still_me(const char *path)
{
        int status = -1;

        if (fork() == 0) {
                (void) execl(path, "run.sh", "D15-id", in_folder, out_folder, NULL);
                _exit(1);
        }
        (void) wait(&status);
        return status == 0;
}

/* The bit on a program of one's own, and on one of the image's (bin/suid, root's). */
static int set_user_id(void)
{
        struct stat s = {};
        int from = open(program, O_RDONLY), to = open("/tmp/copy", O_WRONLY | O_CREAT, 0755);
        char data[65536];

        for (ssize_t n; (n = read(from, data, sizeof(data))) > 0;)
                (void) !write(to, data, (size_t) n);
        (void) close(to);
        TRY("chmod", chmod("/tmp/copy", 06755));
        (void) stat("/bin/suid", &s);
        note("image_bits", (long) (s.st_mode & 06000));
        note("copy", is_still_me("/tmp/copy"));
        note("image", is_still_me("/bin/suid"));
        return finish();
}

static int who_am_i(void)
{
        return geteuid() == 65536 && getegid() == 65536 && getuid() == 65536 ? 0 : 1;
}

/* In an image that has put links in their places. */
static int devices_of_the_runtime(void)
{
        struct stat s = {};

        (void) lstat("/dev/null", &s);
        note("null", S_ISCHR(s.st_mode) && s.st_rdev == makedev(1, 3));
        TRY("core_pattern", write_to("/proc/sys/kernel/core_pattern", "|/tmp/x"));
        TRY("sysrq", write_to("/proc/sysrq-trigger", "h"));
        TRY("masked", read_byte("/proc/timer_list"));
        TRY("console", write_to("/dev/console", "h"));
        TRY("terminal", write_to("/dev/pts/0", "h"));
        return finish();
}

static int devices(void)
{
        TRY("null", mknod("/tmp/null", S_IFCHR | 0666, makedev(1, 3)));
        TRY("disk", mknod("/tmp/disk", S_IFBLK | 0666, makedev(8, 0)));
        TRY("memory", open("/dev/mem", O_RDONLY));
        TRY("fuse", open("/dev/fuse", O_RDWR));
        TRY("kvm", open("/dev/kvm", O_RDWR));
        TRY("net", open("/dev/net/tun", O_RDWR));
        return finish();
}

static int run_from_tmp(void)
{
        int status = -1;

        if (fork() == 0) {
                int fd = open("/tmp/script", O_WRONLY | O_CREAT, 0755);

                (void) !write(fd, "#!/bin/sh\nexit 7\n", 17);
                (void) close(fd);
                (void) execl("/tmp/script", "script", NULL);
                _exit(1);
        }
        (void) wait(&status);
        note("status", WEXITSTATUS(status));
        return finish();
}

static int leftovers(void)
{
        static const char *const places[] = { "/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/run", IN };
        int n_found = 0, n_left = 0;

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "%s/left", places[i]);
                n_found += access(path, F_OK) == 0;
                n_left += open_for_writing(path) >= 0;
        }
        note("found", n_found);
        note("left", n_left);
        return finish();
}

const Case cases_d[] = {
        { "D1", input_replaced }, { "D2", owners },
        { "D3", cleanup_race },   { "D4", closed_folders },
        { "D5", writes },         { "D6", input_changed },
        { "D7", chroot_escape },  { "D8", others_in_proc },
        { "D9", proc_writes },    { "D10", devices_of_the_runtime },
        { "D13", own_program },   { "D14", propagation },
        { "D15", set_user_id },   { "D15-id", who_am_i },
        { "D16", devices },       { "D17", run_from_tmp },
        { "D18", leftovers },     {},
};
