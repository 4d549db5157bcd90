/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What git says of a stranger's repository. The first byte says which: what ls-tree lists of its fixtures,
 * or what ls-remote lists of its references, behind the one that is asked for and a newline. Nothing that is
 * listed is a fault of ours, nothing is written beside the cases, and what is chosen was listed. */

#include "build-work.h"

#include "builder/build-cases.h"
#include "builder/git.h"

#include <string.h>

static Bytes listing;

int git_run(const Work *work, const char *const *words, usec_t timeout_usec, size_t output_max,
            ProcessResult *ret)
{
        bool is_blob = streq(words[0], "cat-file");

        *ret = (ProcessResult){};
        if (is_blob)
                expect(strlen(words[2]) == COMMIT_SIZE - 1);
        return buffer_append(&ret->output, is_blob ? words[2] : listing.data,
                             is_blob ? COMMIT_SIZE - 1 : listing.size, output_max);
}

int git_failed(Work *work, ProcessResult *result, const char *what)
{
        return build_end(work, STATUS_BAD_INPUT, NULL, "%s", what);
}

int git_text(ProcessResult *result, char **ret)
{
        abort();
}

int git_make_repository(Work *work)
{
        return 0;
}

int git_write_text(const char *path, const char *text)
{
        return 0;
}

static void expect_cases(const Work *work, const Cases *cases)
{
        static const char *const only_cases[] = { "cases", NULL };
        _cleanup_free_ char *folder = build_path(work, "cases");
        char *numbers[CASES_MAX + 1] = {};

        expect(cases->n_cases <= CASES_MAX);
        for (size_t i = 0; i < cases->n_cases; i++) {
                const Case *c = &cases->cases[i];

                expect(slug_is_valid(c->exercise) && !strstr(c->name, "/../") &&
                       !string_ends_with(c->name, "/.."));
                expect(string_after(c->folder, folder) && strlen(c->expected) == c->expected_size);
                numbers[i] = strrchr(c->folder, '/') + 1;
        }
        expect_only(work->folder, only_cases);
        expect_only(folder, (const char *const *) numbers);
}

static void read_cases(Work *work)
{
        Cases cases = {};
        int r = cases_read(work, &cases);

        expect(r == 0 || (r == BUILD_ENDS && work->is_over));
        if (r == 0)
                expect_cases(work, &cases);
        cases_done(&cases);
}

static void resolve(Work *work)
{
        const char *newline = memchr(listing.data, '\n', listing.size);
        size_t n = newline ? (size_t) (newline - (const char *) listing.data) : 0;
        _cleanup_free_ char *reference = strndup(listing.data, n), *text = NULL;

        listing.data = (const char *) listing.data + n;
        listing.size -= n;
        if (strlen(reference) != n || !git_reference_is_valid(reference))
                return;
        build_job.git_reference = reference;
        expect(build_resolve(work) == 0 && strlen(work->commit) <= COMMIT_SIZE);
        text = strndup(listing.data, listing.size);
        if (work->commit[0] == '\0' || streq(work->commit, reference))
                return;
        expect(strlen(work->commit) == COMMIT_SIZE - 1 &&
               strspn(work->commit, "0123456789abcdef") == COMMIT_SIZE - 1);
        expect(strstr(text, work->commit));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Work work;

        if (size < 1)
                return 0;
        work = work_begin();
        listing = (Bytes){ data + 1, size - 1 };
        if (data[0] % 2 == 0)
                read_cases(&work);
        else
                resolve(&work);
        work_end(&work);
        return 0;
}
