/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file is named JOB-TOKEN and holds an outcome's frames. It appears by a rename, so it is whole or not
 * there, but for a loss of power. */

#include "outcome-store.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_FOLDER   "outcomes"
#define TEMPORARY_NAME "new"
#define FILE_SIZE_MAX  (PEER_N_PARTS_MAX * (PEER_PART_SIZE_MAX + 64U * 1024U) + FRAME_PAYLOAD_MAX)

typedef struct Kept {
        char *job, *token;
        usec_t since_usec; /* on the wall clock: the file's time */
} Kept;

struct OutcomeStore {
        int folder_fd;
        Kept kept[OUTCOMES_MAX]; /* the oldest first */
        size_t n_kept;
};

static void kept_done(Kept *kept)
{
        free(kept->job);
        free(kept->token);
        *kept = (Kept){};
}

OutcomeStore *outcome_store_free(OutcomeStore *store)
{
        for (size_t i = 0; store && i < store->n_kept; i++)
                kept_done(&store->kept[i]);
        if (store)
                safe_close(store->folder_fd);
        free(store);
        return NULL;
}

static char *file_name(const char *job, const char *token)
{
        return string_format("%s-%s", job, token);
}

static void forget(OutcomeStore *store, size_t i)
{
        _cleanup_free_ char *name = file_name(store->kept[i].job, store->kept[i].token);

        if (name)
                (void) unlinkat(store->folder_fd, name, 0);
        kept_done(&store->kept[i]);
        store->n_kept--;
        memmove(&store->kept[i], &store->kept[i + 1], (store->n_kept - i) * sizeof(Kept));
}

static int remember(OutcomeStore *store, const char *job, const char *token, usec_t since_usec)
{
        Kept kept = { strdup(job), strdup(token), since_usec };
        size_t at;

        if (!kept.job || !kept.token) {
                kept_done(&kept);
                return -ENOMEM;
        }
        if (store->n_kept == OUTCOMES_MAX)
                forget(store, 0);
        at = store->n_kept++;
        for (; at > 0 && store->kept[at - 1].since_usec > since_usec; at--)
                store->kept[at] = store->kept[at - 1];
        store->kept[at] = kept;
        return 0;
}

/* A file of an earlier process; what is not one is taken away. */
static int remember_file(OutcomeStore *store, const char *name)
{
        _cleanup_free_ char *job = strdup(name);
        char *token = job ? strchr(job, '-') : NULL;
        struct stat st;

        if (!job)
                return -ENOMEM;
        if (token)
                *token++ = '\0';
        if (!token || !job_id_is_valid(job) || !token_is_valid(token) ||
            fstatat(store->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
                (void) unlinkat(store->folder_fd, name, 0);
                return 0;
        }
        return remember(store, job, token,
                        (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t) st.st_mtim.tv_nsec / 1000);
}

static int read_folder(OutcomeStore *store)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(store->folder_fd, ".", &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0)
                r = entry->d_name[0] == '.' ? 0 : remember_file(store, entry->d_name);
        return r;
}

int outcome_store_new(const char *folder, OutcomeStore **ret)
{
        _cleanup_(outcome_store_freep) OutcomeStore *store = calloc(1, sizeof(OutcomeStore));
        _cleanup_free_ char *path = string_format("%s/" STORE_FOLDER, folder);
        int r;

        if (!store || !path)
                return -ENOMEM;
        store->folder_fd = -EBADF;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return -errno;
        store->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (store->folder_fd < 0)
                return -errno;
        r = read_folder(store);
        if (r < 0)
                return r;
        outcome_store_expire(store);
        *ret = TAKE_PTR(store);
        return 0;
}

void outcome_store_expire(OutcomeStore *store)
{
        usec_t now = now_usec(CLOCK_REALTIME);

        while (store->n_kept > 0 && now > OUTCOMES_AGE_USEC_MAX &&
               store->kept[0].since_usec < now - OUTCOMES_AGE_USEC_MAX)
                forget(store, 0);
}

static int write_file(OutcomeStore *store, const char *name, const Buffer *content)
{
        _cleanup_close_ int fd = openat(store->folder_fd, TEMPORARY_NAME,
                                        O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return -errno;
        r = write_all(fd, content->data, content->size);
        if (r < 0)
                return r;
        return renameat(store->folder_fd, TEMPORARY_NAME, store->folder_fd, name) < 0 ? -errno : 0;
}

int outcome_store_put(OutcomeStore *store, const OutcomeText *text)
{
        _cleanup_free_ char *name = file_name(text->outcome.job, text->outcome.token);
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        if (!name)
                return -ENOMEM;
        r = outcome_text_encode(text, &content);
        if (r >= 0)
                r = write_file(store, name, &content);
        if (r < 0)
                return r;
        return remember(store, text->outcome.job, text->outcome.token, now_usec(CLOCK_REALTIME));
}

void outcome_store_remove(OutcomeStore *store, const char *job, const char *token)
{
        for (size_t i = 0; i < store->n_kept; i++)
                if (streq(store->kept[i].job, job) && streq(store->kept[i].token, token)) {
                        forget(store, i);
                        return;
                }
}

size_t outcome_store_size(const OutcomeStore *store)
{
        return store->n_kept;
}

const char *outcome_store_job(const OutcomeStore *store, size_t i)
{
        return store->kept[i].job;
}

int outcome_store_get(const OutcomeStore *store, size_t i, OutcomeText *ret)
{
        _cleanup_free_ char *name = file_name(store->kept[i].job, store->kept[i].token), *data = NULL;
        _cleanup_(outcome_text_done) OutcomeText text = {};
        size_t size;
        int r;

        if (!name)
                return -ENOMEM;
        r = read_file_at(store->folder_fd, name, FILE_SIZE_MAX, &data, &size);
        if (r < 0)
                return r == -ENOMEM ? r : OUTCOME_BAD;
        r = outcome_text_decode((const uint8_t *) data, size, &text);
        if (r != 0)
                return r;
        if (!streq(text.outcome.job, store->kept[i].job) || !streq(text.outcome.token, store->kept[i].token))
                return OUTCOME_BAD;
        *ret = text;
        text = (OutcomeText){};
        return 0;
}
