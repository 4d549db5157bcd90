/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* buildah joins a source to a folder of its own and follows the links below it, and takes a cache without an
 * id for one by its target, however deep. So no mount has a source, and each cache has an id without `/`:
 * what a step writes lies below that name, and never becomes part of one. */

#include "dockerfile-mount.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define MOUNT_SIZE_MAX 4096U
#define DIGITS         "0123456789"
#define WORD           DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"

typedef enum MountType {
        MOUNT_CACHE = 1 << 0,
        MOUNT_TMPFS = 1 << 1,
        MOUNT_BIND = 1 << 2,
        MOUNT_ANY = MOUNT_CACHE | MOUNT_TMPFS | MOUNT_BIND,
} MountType;

typedef enum MountKey {
        MOUNT_TYPE,
        MOUNT_TARGET,
        MOUNT_ID,
        MOUNT_FROM,
        MOUNT_SHARING,
        MOUNT_ACCESS,
        MOUNT_MODE,
        MOUNT_UID,
        MOUNT_GID,
        MOUNT_TMPFS_SIZE,
        MOUNT_TMPFS_MODE,
        _MOUNT_KEY_MAX,
} MountKey;

typedef struct Mount {
        char **words;                       /* KEY=VALUE or KEY, as they came */
        const char *values[_MOUNT_KEY_MAX]; /* borrowed from words; a KEY alone is its own value */
        char *const *stages;
} Mount;

static void mount_done(Mount *mount)
{
        strv_free(mount->words);
}

static bool is_of(const char *value, const char *characters)
{
        return *value && value[strspn(value, characters)] == '\0';
}

static bool is_target(const Mount *mount, const char *value)
{
        return value[0] == '/' && is_of(value, WORD "/@+~") && !strstr(value, "..");
}

static bool is_id(const Mount *mount, const char *value)
{
        return is_of(value, WORD) && !streq(value, ".") && !streq(value, "..");
}

static bool is_stage(const Mount *mount, const char *value)
{
        return *value && strv_contains(mount->stages, value);
}

/* Steps come one after another, so that all of these mean the same. */
static bool is_sharing(const Mount *mount, const char *value)
{
        return streq(value, "shared") || streq(value, "private") || streq(value, "locked");
}

static bool is_number(const Mount *mount, const char *value)
{
        return is_of(value, DIGITS) && strlen(value) < 10;
}

static bool is_size(const Mount *mount, const char *value)
{
        size_t n = strspn(value, DIGITS);

        return n > 0 && n < 16 && (value[n] == '\0' || (strchr("kKmMgG", value[n]) && !value[n + 1]));
}

/* `name`: how it is written; NULL: not at all. */
static const struct {
        const char *name;
        unsigned types;
        bool (*is_valid)(const Mount *mount, const char *value); /* NULL: a word alone */
        const char *reason;
} keys[] = {
        [MOUNT_TYPE] = { "type", MOUNT_ANY, is_id, "the type of a mount is cache, tmpfs or bind" },
        [MOUNT_TARGET] = { "target", MOUNT_ANY, is_target,
                           "the target of a mount is a plain absolute path" },
        [MOUNT_ID] = { "id", MOUNT_CACHE, is_id, "the id of a cache is of letters, digits and ._-" },
        [MOUNT_FROM] = { "from", MOUNT_BIND, is_stage, "a mount is from a stage of this file, by its name" },
        [MOUNT_SHARING] = { NULL, MOUNT_CACHE, is_sharing, "sharing is shared, private or locked" },
        [MOUNT_ACCESS] = { "", MOUNT_ANY, NULL, "ro and rw are words alone" },
        [MOUNT_MODE] = { "mode", MOUNT_CACHE, is_number, "the mode of a cache is an octal number" },
        [MOUNT_UID] = { "uid", MOUNT_CACHE, is_number, "the uid of a cache is a number" },
        [MOUNT_GID] = { "gid", MOUNT_CACHE, is_number, "the gid of a cache is a number" },
        [MOUNT_TMPFS_SIZE] = { "tmpfs-size", MOUNT_TMPFS, is_size,
                               "tmpfs-size is a number, with k, m or g" },
        [MOUNT_TMPFS_MODE] = { "tmpfs-mode", MOUNT_TMPFS, is_number, "tmpfs-mode is an octal number" },
};

static const struct {
        const char *word;
        MountKey key;
} spellings[] = {
        { "type", MOUNT_TYPE },
        { "target", MOUNT_TARGET },
        { "dst", MOUNT_TARGET },
        { "destination", MOUNT_TARGET },
        { "id", MOUNT_ID },
        { "from", MOUNT_FROM },
        { "sharing", MOUNT_SHARING },
        { "ro", MOUNT_ACCESS },
        { "readonly", MOUNT_ACCESS },
        { "rw", MOUNT_ACCESS },
        { "readwrite", MOUNT_ACCESS },
        { "mode", MOUNT_MODE },
        { "uid", MOUNT_UID },
        { "gid", MOUNT_GID },
        { "tmpfs-size", MOUNT_TMPFS_SIZE },
        { "tmpfs-mode", MOUNT_TMPFS_MODE },
};

static int bad(const char **ret_reason, const char *reason)
{
        *ret_reason = reason;
        return MOUNT_BAD;
}

static int take_word(Mount *mount, const char *word, const char **ret_reason)
{
        size_t n = strcspn(word, "="), i = 0;
        MountKey key;

        while (i < ARRAY_SIZE(spellings) &&
               (strncmp(spellings[i].word, word, n) != 0 || spellings[i].word[n] != '\0'))
                i++;
        if (i == ARRAY_SIZE(spellings))
                return bad(ret_reason, "a mount has no such option here; a source is none either");
        key = spellings[i].key;
        if (mount->values[key])
                return bad(ret_reason, "an option of a mount twice");
        if ((word[n] == '=') != (keys[key].is_valid != NULL))
                return bad(ret_reason, keys[key].reason);
        mount->values[key] = word[n] == '=' ? word + n + 1 : spellings[i].word;
        if (keys[key].is_valid && !keys[key].is_valid(mount, mount->values[key]))
                return bad(ret_reason, keys[key].reason);
        return 0;
}

static unsigned type_of(const Mount *mount)
{
        const char *value = mount->values[MOUNT_TYPE] ?: "";

        return streq(value, "cache")   ? MOUNT_CACHE
               : streq(value, "tmpfs") ? MOUNT_TMPFS
               : streq(value, "bind")  ? MOUNT_BIND
                                       : 0;
}

/* buildah takes the type of the mount before it where one has none. */
static int check(const Mount *mount, const char **ret_reason)
{
        unsigned type = type_of(mount);

        if (type == 0)
                return bad(ret_reason, keys[MOUNT_TYPE].reason);
        if (!mount->values[MOUNT_TARGET])
                return bad(ret_reason, "a mount without a target");
        for (size_t key = 0; key < _MOUNT_KEY_MAX; key++)
                if (mount->values[key] && !(keys[key].types & type))
                        return bad(ret_reason, "an option that a mount of this type does not have here");
        return 0;
}

static int put(Buffer *out, const char *text)
{
        return buffer_append(out, text, strlen(text), MOUNT_SIZE_MAX);
}

/* A name that no other target has: / becomes a point, what is none of a name its number. */
static int put_id_of_target(Buffer *out, const char *target)
{
        size_t n = strlen(target);
        int r = put(out, ",id=at");

        while (n > 1 && target[n - 1] == '/')
                n--;
        for (size_t i = 0; r == 0 && i < n; i++) {
                char number[8];

                (void) snprintf(number, sizeof(number), "_%02x", (unsigned char) target[i]);
                r = target[i] == '/'                     ? put(out, ".")
                    : isalnum((unsigned char) target[i]) ? buffer_append(out, &target[i], 1, MOUNT_SIZE_MAX)
                                                         : put(out, number);
        }
        return r;
}

static int write_anew(const Mount *mount, Buffer *out)
{
        int r = 0;

        for (size_t key = 0; r == 0 && key < _MOUNT_KEY_MAX; key++) {
                if (!mount->values[key] || !keys[key].name)
                        continue;
                if (key > 0)
                        r = put(out, ",");
                if (r == 0 && keys[key].is_valid)
                        r = put(out, keys[key].name) ?: put(out, "=");
                if (r == 0)
                        r = put(out, mount->values[key]);
        }
        if (r == 0 && type_of(mount) == MOUNT_CACHE && !mount->values[MOUNT_ID])
                r = put_id_of_target(out, mount->values[MOUNT_TARGET]);
        return r != 0 ? r : buffer_append(out, "", 1, MOUNT_SIZE_MAX + 1);
}

int dockerfile_mount_rewrite(const char *text, char *const *stages, char **ret, const char **ret_reason)
{
        _cleanup_(mount_done) Mount mount = { .stages = stages };
        _cleanup_(buffer_done) Buffer out = {};
        int r = strv_split(text, ",", &mount.words);

        for (char **word = mount.words; r == 0 && word && *word; word++)
                r = take_word(&mount, *word, ret_reason);
        if (r == 0)
                r = check(&mount, ret_reason);
        if (r == 0)
                r = write_anew(&mount, &out);
        if (r == 0)
                *ret = (char *) TAKE_PTR(out.data);
        return r == -ENOBUFS ? bad(ret_reason, "a mount that is too long") : r;
}
