/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keys for the router's port beyond this host (CURVE), as files of lines: a word, blanks, its value; `#`
 * begins a comment at the start of a line. Three kinds of file have the same form:
 *
 *   NAME.key     of a peer, 0600     public, secret, router (the router's public key)
 *   NAME.pub     at the router       public, roles, workers
 *   router.key   of the router, 0600 public, secret; and router.pub its public half
 *
 * Keys are 40 characters of Z85. */

#include "basic/macro.h"

#define KEY_TEXT_SIZE  41U /* with NUL */
#define KEY_FILE_MAX   (16U * 1024U)
#define KEY_FOLDER_MAX 4096U /* keys that a router knows */
#define KEY_FOLDER     SYSCONFDIR "/keys"
#define KEY_ROUTER     "router" /* no peer has this name */
#define KEY_CREDENTIAL "router.key"
#define KEY_N_LIST_MAX 64U

typedef struct KeyFile {
        char public[KEY_TEXT_SIZE], secret[KEY_TEXT_SIZE], router[KEY_TEXT_SIZE]; /* "": not said */
        char **roles;   /* as they stand there; owned, like the next */
        char **workers; /* names, or beginnings of names with `*` at the end */
} KeyFile;

void key_file_done(KeyFile *file);

/* Pure. 0, -ENOMEM, or KEY_BAD with what is wrong in *ret_error: never a piece of the text. */
enum {
        KEY_BAD = 1,
        KEY_NONE = 2,
};
int key_file_parse(const char *text, size_t size, KeyFile *ret, char **ret_error) _warn_unused_;
/* A file of a secret key: 0; KEY_NONE where it is missing or says nothing, KEY_BAD where it has a fault or
 * no secret, -errno. A public key that is not said follows from the secret. */
int key_file_read_secret(const char *path, KeyFile *ret, char **ret_error) _warn_unused_;
/* The same of a peer: without the router's key it is KEY_BAD too. */
int key_file_read_peer(const char *path, KeyFile *ret, char **ret_error) _warn_unused_;
/* Has a socket speak CURVE with a peer's key, before it connects. 0 or -errno. */
int key_file_apply(const KeyFile *file, void *socket) _warn_unused_;
/* Where the unit's credential lies; NULL where the unit has none. A new string in *ret. 0 or -ENOMEM. */
int key_file_credential(char **ret) _warn_unused_;

/* A public key in a folder of them. */
typedef struct KeyEntry {
        char *name;
        KeyFile file;
        char *error; /* NULL, or why it is of no use */
} KeyEntry;

typedef struct KeyFolder {
        KeyEntry *entries; /* owned; sorted by name */
        size_t n_entries;
} KeyFolder;

void key_folder_done(KeyFolder *folder);
/* All NAME.pub of a folder but router.pub; files that are at fault are listed with their error, and so is a
 * key that another name has. KEY_FOLDER_MISSING: then there are none; or -errno. */
enum {
        KEY_FOLDER_MISSING = 1,
};
int key_folder_read(const char *path, KeyFolder *ret) _warn_unused_;
