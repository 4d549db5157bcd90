/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of keys. The folder of public keys may be written by operators, and the router reads it: so nothing
 * in it is followed, waited for, or repeated in a log. */

#include "key-file.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zmq.h>

#define BLANKS " \t\r"

void key_file_done(KeyFile *file)
{
        explicit_bzero(file->secret, sizeof(file->secret));
        strv_free(file->roles);
        strv_free(file->workers);
        *file = (KeyFile){};
}

/* Lines */

static int bad(char **ret_error, size_t line, const char *what)
{
        return error_set(ret_error, KEY_BAD, "line %zu: %s", line, what);
}

static int read_key(KeyFile *file, void *place, char *value)
{
        uint8_t key[32];

        if (strlen(value) != KEY_TEXT_SIZE - 1 || !zmq_z85_decode(key, value))
                return KEY_BAD;
        explicit_bzero(key, sizeof(key));
        memcpy(place, value, KEY_TEXT_SIZE);
        return 0;
}

static int read_words(KeyFile *file, void *place, char *value)
{
        char ***words = place, *word;
        int r = 0;

        while (r == 0 && (word = strsep(&value, BLANKS ",")))
                if (*word != '\0')
                        r = strv_length(*words) < KEY_N_LIST_MAX ? strv_extend(words, word) : KEY_BAD;
        return r;
}

static const struct {
        const char *word;
        int (*read)(KeyFile *file, void *place, char *value);
        size_t offset;
        const char *form;
} words[] = {
        { "public", read_key, offsetof(KeyFile, public), "public: a key is 40 characters of Z85" },
        { "secret", read_key, offsetof(KeyFile, secret), "secret: a key is 40 characters of Z85" },
        { "router", read_key, offsetof(KeyFile, router), "router: a key is 40 characters of Z85" },
        { "roles", read_words, offsetof(KeyFile, roles), "roles: there are too many" },
        { "workers", read_words, offsetof(KeyFile, workers), "workers: there are too many" },
};

static int read_line(KeyFile *file, size_t n, char *line, char **ret_error)
{
        char *word = line + strspn(line, BLANKS), *value, *end;

        if (*word == '\0' || *word == '#')
                return 0;
        value = word + strcspn(word, BLANKS);
        if (*value != '\0')
                *value++ = '\0';
        value += strspn(value, BLANKS);
        for (end = value + strlen(value); end > value && strchr(BLANKS, end[-1]);)
                *--end = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                int r;

                if (!streq(word, words[i].word))
                        continue;
                r = words[i].read(file, (char *) file + words[i].offset, value);
                return r == KEY_BAD ? bad(ret_error, n, words[i].form) : r;
        }
        return bad(ret_error, n, "begins with none of public, secret, router, roles, workers");
}

int key_file_parse(const char *text, size_t size, KeyFile *ret, char **ret_error)
{
        _cleanup_(key_file_done) KeyFile file = {};
        _cleanup_free_ char *copy = strndup(text, size);
        char *rest = copy, *line;
        int r = copy ? 0 : -ENOMEM;

        for (size_t n = 1; r == 0 && (line = strsep(&rest, "\n")); n++)
                r = read_line(&file, n, line, ret_error);
        if (copy)
                explicit_bzero(copy, strlen(copy));
        if (r != 0)
                return r;
        *ret = file;
        file = (KeyFile){};
        return 0;
}

/* Files */

/* Regular files only, and no links: not by a folder that others may write into. */
static int read_plain_file(int dir_fd, const char *path, char **ret_text, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
                return -EFBIG;
        text = calloc(1, KEY_FILE_MAX + 1);
        if (!text)
                return -ENOMEM;
        n = read_full(fd, text, KEY_FILE_MAX);
        if (n < 0)
                return (int) n;
        *ret_text = TAKE_PTR(text);
        *ret_size = (size_t) n;
        return 0;
}

static bool is_empty(const KeyFile *file)
{
        return file->public[0] == '\0' && file->secret[0] == '\0' && file->router[0] == '\0' && !file->roles;
}

static int complete_secret(KeyFile *file, char **ret_error)
{
        if (file->secret[0] == '\0')
                return bad(ret_error, 1, "there is no secret key in it");
        if (file->public[0] == '\0' && zmq_curve_public(file->public, file->secret) < 0)
                return -errno;
        return 0;
}

int key_file_read_secret(const char *path, KeyFile *ret, char **ret_error)
{
        _cleanup_(key_file_done) KeyFile file = {};
        char *text = NULL;
        size_t size = 0;
        int r = read_file_at(AT_FDCWD, path, KEY_FILE_MAX, &text, &size);

        if (r == -ENOENT)
                return KEY_NONE;
        if (r == 0)
                r = key_file_parse(text, size, &file, ret_error);
        if (text)
                explicit_bzero(text, size);
        free(text);
        if (r == 0 && is_empty(&file))
                return KEY_NONE;
        if (r == 0)
                r = complete_secret(&file, ret_error);
        if (r != 0)
                return r;
        *ret = file;
        file = (KeyFile){};
        return 0;
}

int key_file_read_peer(const char *path, KeyFile *ret, char **ret_error)
{
        _cleanup_(key_file_done) KeyFile file = {};
        int r = key_file_read_secret(path, &file, ret_error);

        if (r == 0 && file.router[0] == '\0')
                r = bad(ret_error, 1, "there is no key of the router in it");
        if (r != 0)
                return r;
        *ret = file;
        file = (KeyFile){};
        return 0;
}

int key_file_apply(const KeyFile *file, void *socket)
{
        const struct {
                int option;
                const char *key;
        } options[] = {
                { ZMQ_CURVE_SERVERKEY, file->router },
                { ZMQ_CURVE_PUBLICKEY, file->public },
                { ZMQ_CURVE_SECRETKEY, file->secret },
        };

        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (zmq_setsockopt(socket, options[i].option, options[i].key, strlen(options[i].key)) < 0)
                        return -errno;
        return 0;
}

int key_file_credential(char **ret)
{
        const char *folder = getenv("CREDENTIALS_DIRECTORY");

        *ret = folder ? string_format("%s/" KEY_CREDENTIAL, folder) : NULL;
        return folder && !*ret ? -ENOMEM : 0;
}

/* The folder */

void key_folder_done(KeyFolder *folder)
{
        for (size_t i = 0; i < folder->n_entries; i++) {
                free(folder->entries[i].name);
                free(folder->entries[i].error);
                key_file_done(&folder->entries[i].file);
        }
        free(folder->entries);
        *folder = (KeyFolder){};
}

/* 0, -ENOMEM. */
static int entry_fail(KeyEntry *entry, char *error)
{
        free(entry->error);
        entry->error = error;
        return error ? 0 : -ENOMEM;
}

static int entry_read(int dir_fd, const char *file_name, KeyEntry *entry)
{
        _cleanup_free_ char *text = NULL, *error = NULL;
        size_t size = 0;
        int r = read_plain_file(dir_fd, file_name, &text, &size);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return entry_fail(entry, string_format("cannot be read: %s", strerror(-r)));
        r = key_file_parse(text, size, &entry->file, &error);
        if (r == KEY_BAD)
                return entry_fail(entry, TAKE_PTR(error));
        if (r == 0 && entry->file.secret[0] != '\0')
                return entry_fail(entry, strdup("holds a secret key, which has no business here"));
        if (r == 0 && entry->file.public[0] == '\0')
                return entry_fail(entry, strdup("there is no public key in it"));
        return r;
}

/* NAME of NAME.pub, a new string; NULL where it is no peer's. */
static char *peer_of(const char *file_name)
{
        size_t length = strlen(file_name), n;
        char *name;

        if (file_name[0] == '.' || !string_ends_with(file_name, ".pub"))
                return NULL;
        n = length - strlen(".pub");
        name = strndup(file_name, n);
        if (name && streq(name, KEY_ROUTER)) {
                free(name);
                return NULL;
        }
        return name;
}

static int add_entry(KeyFolder *folder, int dir_fd, const char *file_name)
{
        char *name = peer_of(file_name);
        KeyEntry *grown;

        if (!name)
                return 0;
        grown = folder->n_entries < KEY_FOLDER_MAX
                        ? reallocarray(folder->entries, folder->n_entries + 1, sizeof(KeyEntry))
                        : NULL;
        if (!grown) {
                free(name);
                return folder->n_entries < KEY_FOLDER_MAX ? -ENOMEM : -E2BIG;
        }
        folder->entries = grown;
        grown[folder->n_entries] = (KeyEntry){ .name = name };
        return entry_read(dir_fd, file_name, &grown[folder->n_entries++]);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const KeyEntry *) a)->name, ((const KeyEntry *) b)->name);
}

static int compare_keys(const void *a, const void *b)
{
        const KeyEntry *const *x = a, *const *y = b;
        int r = strcmp((*x)->file.public, (*y)->file.public);

        return r != 0 ? r : strcmp((*x)->name, (*y)->name);
}

/* A key is one peer: the first name has it. */
static int find_doubles(KeyFolder *folder)
{
        _cleanup_free_ KeyEntry **sorted = calloc(folder->n_entries + 1, sizeof(KeyEntry *));
        int r = sorted ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < folder->n_entries; i++)
                sorted[i] = &folder->entries[i];
        if (r == 0)
                qsort(sorted, folder->n_entries, sizeof(KeyEntry *), compare_keys);
        for (size_t i = 1; r == 0 && i < folder->n_entries; i++)
                if (sorted[i]->file.public[0] != '\0' &&
                    streq(sorted[i]->file.public, sorted[i - 1]->file.public))
                        r = entry_fail(sorted[i],
                                       string_format("is the same key as %s", sorted[i - 1]->name));
        return r;
}

int key_folder_read(const char *path, KeyFolder *ret)
{
        _cleanup_(key_folder_done) KeyFolder folder = {};
        _cleanup_folder_ DIR *dir = opendir(path);
        struct dirent *entry;
        int r = 0;

        if (!dir)
                return errno == ENOENT ? KEY_FOLDER_MISSING : -errno;
        while (r == 0 && (r = folder_next(dir, &entry)) > 0)
                r = add_entry(&folder, dirfd(dir), entry->d_name);
        if (r == 0 && folder.n_entries > 0)
                qsort(folder.entries, folder.n_entries, sizeof(KeyEntry), compare_names);
        if (r == 0)
                r = find_doubles(&folder);
        if (r < 0)
                return r;
        *ret = folder;
        folder = (KeyFolder){};
        return 0;
}
