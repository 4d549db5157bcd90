/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* git under settings of its own: nothing of this host, of its users, or of a repository has a say. */

#include "git.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define REPOSITORY    "repository"
#define CONFIG        "gitconfig"
#define FILE_SIZE_MAX (UINT64_C(2) << 30) /* a pack, or a tar */
#define WORDS_MAX     24U

/* Before every verb: what no file may say otherwise. */
static const char config_text[] = "[core]\n"
                                  "\thooksPath = /dev/null\n"
                                  "\tattributesFile = /dev/null\n"
                                  "\tfsmonitor = false\n"
                                  "\taskPass = /bin/false\n"
                                  "[safe]\n"
                                  "\tdirectory = *\n"
                                  "[credential]\n"
                                  "\thelper =\n"
                                  "[protocol]\n"
                                  "\tallow = never\n"
                                  "[submodule]\n"
                                  "\trecurse = false\n"
                                  "[fetch]\n"
                                  "\trecurseSubmodules = false\n"
                                  "\tfsckObjects = true\n"
                                  "[gc]\n"
                                  "\tauto = 0\n"
                                  "[maintenance]\n"
                                  "\tauto = false\n"
                                  "[http]\n"
                                  "\tfollowRedirects = initial\n"
                                  "\tlowSpeedLimit = 1000\n"
                                  "\tlowSpeedTime = 60\n";

/* The files go in as they are, whatever .gitattributes says. */
static const char attributes_text[] =
        "* -export-ignore -export-subst -text -eol -filter -ident -working-tree-encoding\n";

int git_write_text(const char *path, const char *text)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

/* Running git */

static int make_environment(const Work *work, char ***ret)
{
        const BuilderSettings *settings = work->settings;
        size_t scheme_size = strcspn(work->source, ":");
        _cleanup_(strv_freep) char **environment = NULL;
        _cleanup_free_ char *config = string_format("GIT_CONFIG_GLOBAL=%s/" CONFIG, work->folder);
        _cleanup_free_ char *home = string_format("HOME=%s", work->folder);
        _cleanup_free_ char *protocol =
                string_format("GIT_ALLOW_PROTOCOL=%.*s", (int) scheme_size, work->source);
        _cleanup_free_ char *ssh = string_format("GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes -o "
                                                 "StrictHostKeyChecking=yes -o IdentitiesOnly=yes "
                                                 "-o UserKnownHostsFile=%s%s%s",
                                                 settings->ssh_known_hosts ?: "/etc/ssh/ssh_known_hosts",
                                                 settings->ssh_key ? " -i " : "", settings->ssh_key ?: "");
        const char *const words[] = { config,
                                      home,
                                      protocol,
                                      ssh,
                                      "GIT_CONFIG_NOSYSTEM=1",
                                      "GIT_TERMINAL_PROMPT=0",
                                      "GIT_PROTOCOL_FROM_USER=0",
                                      "GIT_ASKPASS=/bin/false",
                                      "GIT_ATTR_NOSYSTEM=1" };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (!words[i] || strv_extend(&environment, words[i]) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(environment);
        return 0;
}

/* A file that git writes is no larger than this; what it takes to send more is cut there. */
static int limit_files(uint64_t size, struct rlimit *ret_before)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_FSIZE, ret_before) < 0)
                return -errno;
        limit = (struct rlimit){ MIN(size, ret_before->rlim_max), ret_before->rlim_max };
        return setrlimit(RLIMIT_FSIZE, &limit) < 0 ? -errno : 0;
}

/* Runs `git -C repository WORDS…`; `words` is ended by NULL. */
int git_run(const Work *work, const char *const *words, usec_t timeout_usec, size_t output_max,
            ProcessResult *ret)
{
        _cleanup_(strv_freep) char **environment = NULL;
        _cleanup_free_ char *repository = build_path(work, REPOSITORY);
        const char *argv[WORDS_MAX] = { "git", "--no-replace-objects", "-C", repository };
        const ProcessOptions options = {
                .argv = argv,
                .timeout_usec = timeout_usec,
                .output_size_max = output_max,
        };
        ProcessOptions with_environment = options;
        struct rlimit before;
        size_t n = 4;
        int r;

        if (!repository)
                return -ENOMEM;
        for (; *words; words++) {
                assert(n < WORDS_MAX - 1);
                argv[n++] = *words;
        }
        r = make_environment(work, &environment);
        if (r < 0)
                return r;
        with_environment.environment = (const char *const *) environment;
        r = limit_files(FILE_SIZE_MAX, &before);
        if (r < 0)
                return r;
        r = process_run(&with_environment, ret);
        return setrlimit(RLIMIT_FSIZE, &before) < 0 ? -errno : r;
}

/* git's last lines may be advice. What happened is in its line `fatal:`, and in that before it, which is
 * ssh's or the server's: they become the last one. */
static void drop_advice(Buffer *errors)
{
        char *text = (char *) errors->data, *end, *before;
        char *fatal = errors->size > 0 ? memmem(text, errors->size, "fatal: ", 7) : NULL;

        if (!fatal)
                return;
        end = memchr(fatal, '\n', errors->size - (size_t) (fatal - text));
        if (end)
                errors->size = (size_t) (end - text);
        if (fatal < text + 2)
                return;
        before = memrchr(text, '\n', (size_t) (fatal - text - 1));
        fatal[-1] = ' ';
        if (fatal[-2] == '\r')
                fatal[-2] = ' ';
        buffer_consume(errors, before ? (size_t) (before - text) + 1 : 0);
}

/* Why git failed, as a new string that names no path of ours. */
static char *git_error(const Work *work, ProcessResult *result)
{
        static const char *const argv[] = { "git", NULL };
        const ProcessOptions options = { .argv = argv };
        _cleanup_free_ char *error = NULL;
        char *place;

        drop_advice(&result->errors);
        error = process_error(&options, result);
        place = error ? strstr(error, work->folder) : NULL;
        if (place)
                *place = '\0';
        return TAKE_PTR(error);
}

int git_failed(Work *work, ProcessResult *result, const char *what)
{
        _cleanup_free_ char *error = git_error(work, result);

        return build_end(work, STATUS_SETUP_FAILED, NULL, "%s: %s", what,
                         result->timed_out ? "it took too long" : error ?: "git failed");
}

/* The text that git wrote, ended by NUL, without its last newline. */
int git_text(ProcessResult *result, char **ret)
{
        int r = buffer_append(&result->output, "", 1, SIZE_MAX);

        if (r < 0)
                return r;
        *ret = (char *) result->output.data;
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return 0;
}

int git_make_repository(Work *work)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *config = build_path(work, CONFIG), *repository = build_path(work, REPOSITORY);
        _cleanup_free_ char *attributes = build_path(work, REPOSITORY "/info/attributes");
        _cleanup_free_ char *info = build_path(work, REPOSITORY "/info");
        const char *const words[] = { "init", "--quiet", "--bare", "--template=", ".", NULL };
        int r;

        if (!config || !repository || !attributes || !info)
                return -ENOMEM;
        r = git_write_text(config, config_text);
        if (r < 0)
                return r;
        if (mkdir(repository, 0700) < 0)
                return -errno;
        r = git_run(work, words, GIT_ASK_USEC, GIT_OUTPUT_MAX, &result);
        if (r < 0)
                return r;
        if (result.status != 0)
                return git_failed(work, &result, "no repository can be made");
        if (mkdir(info, 0700) < 0 && errno != EEXIST)
                return -errno;
        return git_write_text(attributes, attributes_text);
}
