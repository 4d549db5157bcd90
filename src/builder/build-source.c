/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The repository belongs to strangers. git fetches from it, and from nowhere else, into a bare repository:
 * nothing is ever checked out here. No setting, hook, filter, attribute, submodule or credential is taken
 * from it or from this host; the one protocol allowed is the one that the operator's template names. The
 * files go into a tar, which is unpacked where they can do nothing.
 *
 * A reference always means the remote's state: the list of what it has is asked for anew each time. */

#include "build-work.h"
#include "dockerfile.h"
#include "git.h"

#include "basic/fd-util.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>

#define CONTEXT        "context.tar"
#define LIST_SIZE_MAX  (16U * 1024U * 1024U)
#define FETCH_USEC     (600 * USEC_PER_SEC)
#define SHORT_SIZE_MIN 7U
#define WORDS_MAX      24U

/* Which commit */

static bool is_hex(const char *s, size_t n)
{
        return strspn(s, "0123456789abcdef") >= n;
}

typedef struct Found {
        char tag[COMMIT_SIZE], peeled[COMMIT_SIZE], branch[COMMIT_SIZE], head[COMMIT_SIZE],
                prefix[COMMIT_SIZE];
        bool is_ambiguous;
} Found;

/* Whether `ref` is PREFIX REFERENCE SUFFIX. */
static bool ref_is(const char *ref, const char *prefix, const char *reference, const char *suffix)
{
        const char *rest = string_after(ref, prefix);

        rest = rest ? string_after(rest, reference) : NULL;
        return rest && streq(rest, suffix);
}

static void take_ref(Found *found, const char *commit, const char *ref, const char *reference)
{
        size_t n = strlen(reference);

        if (ref_is(ref, "refs/tags/", reference, "^{}"))
                memcpy(found->peeled, commit, COMMIT_SIZE);
        else if (ref_is(ref, "refs/tags/", reference, "") || streq(ref, reference))
                memcpy(streq(ref, "HEAD") ? found->head : found->tag, commit, COMMIT_SIZE);
        else if (ref_is(ref, "refs/heads/", reference, ""))
                memcpy(found->branch, commit, COMMIT_SIZE);
        if (n < SHORT_SIZE_MIN || !is_hex(reference, n) || strncmp(commit, reference, n) != 0)
                return;
        found->is_ambiguous |= found->prefix[0] && !streq(found->prefix, commit);
        memcpy(found->prefix, commit, COMMIT_SIZE);
}

/* Lines "COMMIT\tREF". */
static void read_refs(char *text, const char *reference, Found *ret)
{
        *ret = (Found){};
        for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
                if (strlen(line) <= COMMIT_SIZE || !is_hex(line, COMMIT_SIZE - 1) ||
                    line[COMMIT_SIZE - 1] != '\t')
                        continue;
                line[COMMIT_SIZE - 1] = '\0';
                take_ref(ret, line, line + COMMIT_SIZE, reference);
        }
}

static const char *choose(const Found *found)
{
        const char *const order[] = { found->peeled, found->tag, found->branch, found->head };

        for (size_t i = 0; i < ARRAY_SIZE(order); i++)
                if (order[i][0])
                        return order[i];
        return NULL;
}

static int list_refs(Work *work, char **ret)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const char *const words[] = { "ls-remote", "--", work->source, NULL };
        int r = git_run(work, words, GIT_ASK_USEC, LIST_SIZE_MAX, &result);

        if (r < 0)
                return r;
        if (result.status != 0)
                return git_failed(work, &result, "the repository does not say what it has");
        r = buffer_append(&result.output, "", 1, SIZE_MAX);
        if (r < 0)
                return r;
        *ret = (char *) TAKE_PTR(result.output.data);
        return 0;
}

int build_resolve(Work *work)
{
        const char *reference = work->job->git_reference, *chosen;
        _cleanup_free_ char *text = NULL, *error = NULL;
        Found found;
        int r;

        r = builder_source(work->settings, work->job->target, work->job->track, &work->source, &error);
        if (r == SETTINGS_BAD)
                return build_end(work, STATUS_SETUP_FAILED, NULL, "%s", error);
        if (r == 0)
                r = build_say(work, "resolve", "looking for %s", reference);
        if (r == 0)
                r = git_make_repository(work);
        if (r == 0)
                r = list_refs(work, &text);
        if (r != 0)
                return r;
        read_refs(text, reference, &found);
        chosen = choose(&found);
        if (!chosen && strlen(reference) == COMMIT_SIZE - 1 && is_hex(reference, COMMIT_SIZE - 1))
                chosen = reference;
        if (!chosen && found.prefix[0] && !found.is_ambiguous)
                chosen = found.prefix;
        if (chosen)
                memcpy(work->commit, chosen, COMMIT_SIZE);
        return 0;
}

/* Fetching */

static int fetch(const Work *work, const char *const *what, size_t n, ProcessResult *ret)
{
        const char *words[WORDS_MAX] = { "fetch",
                                         "--quiet",
                                         "--no-tags",
                                         "--no-recurse-submodules",
                                         "--no-write-fetch-head",
                                         "--no-auto-maintenance" };
        size_t n_words = 6;

        for (size_t i = 0; i < n; i++)
                words[n_words++] = what[i];
        return git_run(work, words, FETCH_USEC, GIT_OUTPUT_MAX, ret);
}

/* The commit that `name` is here; empty where it is none, or not one alone. */
static int find_commit(const Work *work, const char *name, char *ret)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *wanted = string_format("%s^{commit}", name);
        const char *const words[] = { "rev-parse", "--verify", "--quiet", "--end-of-options", wanted, NULL };
        char *text;
        int r;

        ret[0] = '\0';
        if (!wanted)
                return -ENOMEM;
        r = git_run(work, words, GIT_ASK_USEC, GIT_OUTPUT_MAX, &result);
        if (r < 0 || result.status != 0)
                return MIN(r, 0);
        r = git_text(&result, &text);
        if (r == 0 && strlen(text) == COMMIT_SIZE - 1 && is_hex(text, COMMIT_SIZE - 1))
                memcpy(ret, text, COMMIT_SIZE);
        return r;
}

/* The one commit, without its history; where the remote does not give it alone, everything. */
static int fetch_commit(Work *work)
{
        _cleanup_(process_result_done) ProcessResult shallow = {}, whole = {};
        const char *const one[] = { "--depth=1", "--", work->source, work->commit };
        const char *const all[] = { "--", work->source, "+refs/heads/*:refs/heads/*",
                                    "+refs/tags/*:refs/tags/*" };
        char found[COMMIT_SIZE] = "";
        int r = 0;

        if (work->commit[0]) {
                r = fetch(work, one, ARRAY_SIZE(one), &shallow);
                if (r == 0 && shallow.status == 0)
                        return find_commit(work, work->commit, found) ?: found[0] ? 0 : -EBADMSG;
        }
        if (r == 0)
                r = fetch(work, all, ARRAY_SIZE(all), &whole);
        if (r < 0)
                return r;
        if (whole.status != 0)
                return git_failed(work, &whole, "the repository cannot be fetched");
        r = find_commit(work, work->commit[0] ? work->commit : work->job->git_reference, found);
        if (r < 0)
                return r;
        /* Only a name of a commit is left here: a branch or tag would have been in the list. */
        if (!found[0] || !is_hex(work->job->git_reference, strlen(work->job->git_reference)))
                return build_end(
                        work, STATUS_BAD_INPUT, NULL,
                        "the repository has no commit, branch or tag %s, and no one commit that begins so",
                        work->job->git_reference);
        memcpy(work->commit, found, COMMIT_SIZE);
        return 0;
}

static int read_time(Work *work)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        const char *const words[] = { "show", "--no-patch", "--format=%ct", work->commit, NULL };
        char *text;
        int r = git_run(work, words, GIT_ASK_USEC, GIT_OUTPUT_MAX, &result);

        if (r == 0 && result.status != 0)
                return git_failed(work, &result, "the commit cannot be read");
        if (r == 0)
                r = git_text(&result, &text);
        /* A commit may claim any time. */
        if (r == 0 && parse_uint64(text, 0, INT32_MAX, &work->commit_time) < 0)
                work->commit_time = 0;
        return r;
}

/* A file of the commit, whole: not a link. Not there: BUILD_ENDS with 400. */
static int read_dockerfile(Work *work, char **ret, size_t *ret_size)
{
        _cleanup_(process_result_done) ProcessResult list = {}, content = {};
        _cleanup_free_ char *name = string_format("%s:%s", work->commit, work->settings->dockerfile);
        const char *const list_words[] = {
                "ls-tree", "--full-tree", work->commit, "--", work->settings->dockerfile, NULL
        };
        const char *const words[] = { "cat-file", "blob", name, NULL };
        char *line;
        int r;

        if (!name)
                return -ENOMEM;
        r = git_run(work, list_words, GIT_ASK_USEC, GIT_OUTPUT_MAX, &list);
        if (r == 0 && list.status != 0)
                return git_failed(work, &list, "the commit cannot be read");
        if (r == 0)
                r = git_text(&list, &line);
        if (r < 0)
                return r;
        if (!string_after(line, "100"))
                return build_end(work, STATUS_BAD_INPUT, NULL, "the commit %s has no file %s", work->commit,
                                 work->settings->dockerfile);
        r = git_run(work, words, GIT_ASK_USEC, DOCKERFILE_SIZE_MAX + 1, &content);
        if (r == 0 && content.status != 0)
                return git_failed(work, &content, "the Dockerfile cannot be read");
        if (r == 0 && content.output.size > DOCKERFILE_SIZE_MAX)
                return build_end(work, STATUS_BAD_INPUT, NULL, "the Dockerfile is larger than 1 MiB");
        if (r == 0) {
                *ret_size = content.output.size;
                r = buffer_append(&content.output, "", 1, SIZE_MAX);
        }
        if (r == 0)
                *ret = (char *) TAKE_PTR(content.output.data);
        return r;
}

static int take_dockerfile(Work *work)
{
        _cleanup_free_ char *text = NULL, *error = NULL, *path = build_path(work, "Dockerfile");
        Dockerfile dockerfile = {};
        size_t size;
        int r = path ? read_dockerfile(work, &text, &size) : -ENOMEM;

        if (r == 0)
                r = dockerfile_parse(text, size, &dockerfile, &error);
        if (error)
                return build_end(work, STATUS_BAD_INPUT, NULL, "the Dockerfile, %s", error);
        if (r != 0)
                return r;
        work->dockerfile = dockerfile.text;
        work->bases = dockerfile.bases;
        return git_write_text(path, work->dockerfile);
}

static int make_context(Work *work)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *path = build_path(work, CONTEXT);
        const char *const words[] = { "archive", "--format=tar", "--output", path, work->commit, NULL };
        int r = path ? git_run(work, words, FETCH_USEC, GIT_OUTPUT_MAX, &result) : -ENOMEM;

        return r == 0 && result.status != 0
                       ? git_failed(work, &result, "the files of the commit cannot be read")
                       : r;
}

int build_fetch(Work *work)
{
        int r = build_say(work, "fetch", "fetching %.12s",
                          work->commit[0] ? work->commit : work->job->git_reference);

        if (r == 0)
                r = fetch_commit(work);
        if (r == 0)
                r = read_time(work);
        if (r == 0)
                r = take_dockerfile(work);
        return r == 0 ? make_context(work) : r;
}
