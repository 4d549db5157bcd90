/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names come from a hostile tree: only regular files are taken, below folders that are made here, and a name
 * may be no way out of them. */

#include "build-cases.h"

#include "git.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "worker/outcome-build.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LIST_SIZE_MAX   (4U * 1024U * 1024U)
#define FILE_SIZE_MAX   (4U * 1024U * 1024U)
#define FILES_MAX       1000U
#define CASES_FOLDER    "cases"
#define EXPECTED_PREFIX "expected_"

/* A line of git ls-tree -r -z. */
typedef struct Entry {
        const char *blob; /* 40 hexadecimal digits, not ended */
        const char *path;
        bool is_executable;
} Entry;

void cases_done(Cases *cases)
{
        for (size_t i = 0; i < cases->n_cases; i++) {
                free(cases->cases[i].name);
                free(cases->cases[i].exercise);
                free(cases->cases[i].folder);
                free(cases->cases[i].expected);
        }
        free(cases->cases);
        *cases = (Cases){};
}

/* "100644 blob COMMIT\tPATH"; false where it is no regular file. */
static bool parse_entry(const char *line, Entry *ret)
{
        static const char form[] = "100644 blob ";
        const char *blob = line + sizeof(form) - 1;

        if ((!string_after(line, "100644 blob ") && !string_after(line, "100755 blob ")) ||
            strlen(blob) < COMMIT_SIZE || blob[COMMIT_SIZE - 1] != '\t')
                return false;
        *ret = (Entry){ blob, blob + COMMIT_SIZE, line[3] == '7' };
        return true;
}

/* Relative, and every part of it a name. */
static bool path_is_safe(const char *path)
{
        for (const char *part = path;;) {
                size_t n = strcspn(part, "/");

                if (n == 0 || n > 255 || (n <= 2 && strspn(part, ".") >= n) ||
                    (n == 4 && strncasecmp(part, ".git", 4) == 0))
                        return false;
                if (part[n] == '\0')
                        return strlen(path) < 1024;
                part += n + 1;
        }
}

/* The folder's name, where this entry is what a case expects. */
static char *case_of(const Work *work, const Entry *entry)
{
        const char *result = result_names(work->job->target)[0], *slash = strrchr(entry->path, '/');
        const char *rest = slash ? string_after(slash + 1, EXPECTED_PREFIX) : NULL;
        const char *below = string_after(entry->path, "fixtures/") ?: string_after(entry->path, "tests/");

        if (!rest || !streq(rest, result) || !below || below >= slash || !path_is_safe(entry->path))
                return NULL;
        return strndup(entry->path, (size_t) (slash - entry->path));
}

static char *exercise_of(const char *name)
{
        const char *below = string_after(name, "fixtures/") ?: string_after(name, "tests/");
        _cleanup_free_ char *first = below ? strndup(below, strcspn(below, "/")) : NULL;

        return first && slug_is_valid(first) ? TAKE_PTR(first) : strdup("fixture");
}

static int read_blob(Work *work, const Entry *entry, Buffer *ret)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_free_ char *blob = strndup(entry->blob, COMMIT_SIZE - 1);
        const char *const words[] = { "cat-file", "blob", blob, NULL };
        int r = blob ? git_run(work, words, GIT_ASK_USEC, FILE_SIZE_MAX + 1, &result) : -ENOMEM;

        if (r < 0)
                return r;
        if (result.status != 0)
                return git_failed(work, &result, "a fixture cannot be read");
        if (result.output.size > FILE_SIZE_MAX)
                return build_end(work, STATUS_BAD_INPUT, NULL, "the fixture %s is larger than 4 MiB",
                                 entry->path);
        *ret = result.output;
        result.output = (Buffer){};
        return 0;
}

static int add_case(Work *work, Cases *cases, char *name, const Entry *entry)
{
        _cleanup_free_ char *owned = name;
        _cleanup_(buffer_done) Buffer expected = {};
        Case *longer = reallocarray(cases->cases, cases->n_cases + 1, sizeof(Case)), *new;
        int r;

        if (!longer)
                return -ENOMEM;
        cases->cases = longer;
        if (cases->n_cases == CASES_MAX)
                return build_end(work, STATUS_BAD_INPUT, NULL, "the repository has more than %u fixtures",
                                 CASES_MAX);
        r = read_blob(work, entry, &expected);
        if (r != 0)
                return r;
        new = &cases->cases[cases->n_cases++];
        *new = (Case){
                .name = TAKE_PTR(owned),
                .exercise = exercise_of(name),
                .folder = string_format("%s/" CASES_FOLDER "/%zu", work->folder, cases->n_cases),
                .expected_size = expected.size,
        };
        r = buffer_append(&expected, "", 1, SIZE_MAX);
        new->expected = (char *) TAKE_PTR(expected.data);
        if (r < 0 || !new->exercise || !new->folder)
                return -ENOMEM;
        return mkdir(new->folder, 0755) < 0 ? -errno : 0;
}

/* The case that a file belongs to, and where it is in it. */
static const Case *find_case(const Cases *cases, const char *path, const char **ret_rest)
{
        for (size_t i = 0; i < cases->n_cases; i++) {
                const char *rest = string_after(path, cases->cases[i].name);

                if (rest && rest[0] == '/') {
                        *ret_rest = rest + 1;
                        return &cases->cases[i];
                }
        }
        return NULL;
}

/* A tree may name a thing twice, or a file as a folder. */
static int end_with(Work *work, const Entry *entry, int error)
{
        if (error != EEXIST && error != ENOTDIR && error != EISDIR)
                return -error;
        return build_end(work, STATUS_BAD_INPUT, NULL, "the repository has %s twice", entry->path);
}

static int make_parents(Work *work, const char *folder, const char *rest, const Entry *entry)
{
        for (const char *slash = strchr(rest, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_free_ char *path = string_format("%s/%.*s", folder, (int) (slash - rest), rest);

                if (!path)
                        return -ENOMEM;
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return end_with(work, entry, errno);
        }
        return 0;
}

static int write_file(Work *work, const Case *c, const char *rest, const Entry *entry)
{
        _cleanup_free_ char *path = string_format("%s/%s", c->folder, rest);
        _cleanup_(buffer_done) Buffer content = {};
        _cleanup_close_ int fd = -EBADF;
        int r = path ? make_parents(work, c->folder, rest, entry) : -ENOMEM;

        if (r == 0)
                r = read_blob(work, entry, &content);
        if (r != 0)
                return r;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  entry->is_executable ? 0755 : 0644);
        return fd < 0 ? end_with(work, entry, errno) : write_all(fd, content.data, content.size);
}

typedef int (*EntryHandler)(Work *work, Cases *cases, const Entry *entry, size_t *n_files);

static int take_expected(Work *work, Cases *cases, const Entry *entry, size_t *n_files)
{
        char *name = case_of(work, entry);

        return name ? add_case(work, cases, name, entry) : 0;
}

static int take_file(Work *work, Cases *cases, const Entry *entry, size_t *n_files)
{
        const char *rest;
        const Case *c = find_case(cases, entry->path, &rest);

        if (!c || string_after(rest, EXPECTED_PREFIX) || !path_is_safe(rest))
                return 0;
        if (++*n_files > FILES_MAX)
                return build_end(work, STATUS_BAD_INPUT, NULL, "the fixtures have more than %u files",
                                 FILES_MAX);
        return write_file(work, c, rest, entry);
}

static int for_each_entry(Work *work, Cases *cases, const Buffer *list, EntryHandler handler)
{
        size_t n_files = 0;
        int r = 0;

        for (size_t at = 0; r == 0 && at < list->size;) {
                const char *line = (const char *) list->data + at;
                Entry entry;

                at += strlen(line) + 1;
                if (parse_entry(line, &entry))
                        r = handler(work, cases, &entry, &n_files);
        }
        return r;
}

int cases_read(Work *work, Cases *ret)
{
        _cleanup_(process_result_done) ProcessResult result = {};
        _cleanup_(cases_done) Cases cases = {};
        _cleanup_free_ char *folder = build_path(work, CASES_FOLDER);
        const char *const words[] = { "ls-tree", "-r",       "-z",    "--full-tree", work->commit,
                                      "--",      "fixtures", "tests", NULL };
        int r = folder ? git_run(work, words, GIT_ASK_USEC, LIST_SIZE_MAX, &result) : -ENOMEM;

        if (r == 0 && result.status != 0)
                return git_failed(work, &result, "the fixtures cannot be listed");
        if (r == 0 && mkdir(folder, 0755) < 0)
                r = -errno;
        if (r == 0)
                r = buffer_append(&result.output, "", 1, SIZE_MAX);
        if (r == 0)
                r = for_each_entry(work, &cases, &result.output, take_expected);
        if (r == 0)
                r = for_each_entry(work, &cases, &result.output, take_file);
        if (r != 0)
                return r;
        *ret = cases;
        cases = (Cases){};
        return 0;
}
