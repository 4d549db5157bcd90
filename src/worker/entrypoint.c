/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of what may run, first wins: the setting of track or channel; a script of the channel's own name
 * in the working directory (bin/run.sh, and what it was called before); the image's Entrypoint. Its Cmd is
 * never used: it is there to be replaced, and a shell is what it mostly says.
 *
 * The working directory is the channel's folder where the image has it, else the image's own. */

#include "entrypoint.h"

#include "basic/string-util.h"

#include <errno.h>

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOME_DEFAULT "HOME=/tmp"

static const char *const channel_folders[_CHANNEL_MAX] = {
        [CHANNEL_TEST_RUNNERS] = "/opt/test-runner",
        [CHANNEL_STATIC_ANALYZERS] = "/opt/analyzer",
        [CHANNEL_REPRESENTERS] = "/opt/representer",
};

static const struct {
        Channel channel; /* _CHANNEL_INVALID: every one */
        const char *path;
        bool takes_output;
} scripts[] = {
        { _CHANNEL_INVALID, "bin/run.sh", true },
        { CHANNEL_STATIC_ANALYZERS, "bin/analyze.sh", false },
        { CHANNEL_REPRESENTERS, "bin/generate.sh", false },
};

static bool is_script_of(size_t i, Channel channel)
{
        return scripts[i].channel == _CHANNEL_INVALID || scripts[i].channel == channel;
}

static char *script_path(const char *folder, size_t i)
{
        return string_format("%s%s%s", folder, string_ends_with(folder, "/") ? "" : "/", scripts[i].path);
}

static int probe_folder(Channel channel, const char *folder, char ***paths)
{
        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
                _cleanup_free_ char *path = NULL;

                if (!is_script_of(i, channel))
                        continue;
                path = script_path(folder, i);
                if (!path || strv_extend(paths, path) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int entrypoint_probe(Channel channel, const char *image_folder, char ***ret)
{
        _cleanup_(strv_freep) char **paths = NULL;
        int r;

        r = strv_extend(&paths, channel_folders[channel]);
        if (r >= 0)
                r = probe_folder(channel, channel_folders[channel], &paths);
        if (r >= 0 && image_folder && !streq(image_folder, channel_folders[channel]))
                r = probe_folder(channel, image_folder, &paths);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(paths);
        return 0;
}

/* What the image says of itself. */
typedef struct ImageSaid {
        char **entrypoint, **environment;
        char *folder;
} ImageSaid;

static bool path_is_absolute(const char *s)
{
        return s[0] == '/';
}

static const JsonField image_fields[] = {
        { "entrypoint", &field_texts, offsetof(ImageSaid, entrypoint), .optional = true },
        { "environment", &field_texts, offsetof(ImageSaid, environment), .optional = true },
        { "folder", &field_text, offsetof(ImageSaid, folder), .is_valid = path_is_absolute,
          .form = "an absolute path" },
};

static const JsonTable image_table = JSON_TABLE(ImageSaid, image_fields);

static void image_said_done(ImageSaid *said)
{
        json_done(&image_table, said);
}

/* The variable's value in an environment, or NULL. */
static const char *environment_get(char *const *environment, const char *name)
{
        size_t n = strlen(name);

        for (; environment && *environment; environment++)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
                        return *environment + n + 1;
        return NULL;
}

/* The places a guest can write to: HOME anywhere else is none. */
static bool is_writable(const char *path)
{
        static const char *const places[] = { "/tmp", "/dev/shm", "/mnt/exercism-iteration" };

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                const char *rest = string_after(path, places[i]);

                if (rest && (*rest == '\0' || *rest == '/'))
                        return true;
        }
        return false;
}

static int make_environment(char *const *image, char ***ret)
{
        _cleanup_(strv_freep) char **environment = NULL;
        const char *home = environment_get(image, "HOME");
        bool keep_home = home && is_writable(home);
        int r = 0;

        for (; image && *image && r >= 0; image++)
                if (keep_home || !string_after(*image, "HOME="))
                        r = strv_extend(&environment, *image);
        if (r >= 0 && !environment_get(environment, "PATH"))
                r = strv_extend(&environment, PATH_DEFAULT);
        if (r >= 0 && !keep_home)
                r = strv_extend(&environment, HOME_DEFAULT);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

static bool probe_says(json_object *probed, const char *path, const char *what)
{
        const char *said = json_text(probed, path);

        return said && streq(said, what);
}

bool entrypoint_has_folder(Channel channel, json_object *answer)
{
        return probe_says(json_object_object_get(answer, "probed"), channel_folders[channel], "folder");
}

static int copy_texts(char *const *from, char ***ret)
{
        int r = 0;

        for (; from && *from && r >= 0; from++)
                r = strv_extend(ret, *from);
        return r;
}

/* The script of the channel, where the working directory has one. */
static int find_script(Channel channel, json_object *probed, Entrypoint *entrypoint)
{
        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
                _cleanup_free_ char *path = NULL;

                if (!is_script_of(i, channel))
                        continue;
                path = script_path(entrypoint->folder, i);
                if (!path)
                        return -ENOMEM;
                if (!probe_says(probed, path, "executable"))
                        continue;
                entrypoint->takes_output = scripts[i].takes_output;
                return strv_extend(&entrypoint->command, path);
        }
        return 0;
}

static int find_command(Channel channel, const ImageSaid *said, json_object *probed, Entrypoint *entrypoint)
{
        int r = find_script(channel, probed, entrypoint);

        if (r < 0 || entrypoint->command)
                return r;
        entrypoint->takes_output = true;
        r = copy_texts(said->entrypoint, &entrypoint->command);
        if (r < 0 || entrypoint->command)
                return r;
        entrypoint->missing = string_format("the image has neither an executable bin/run.sh in %s nor an "
                                            "Entrypoint, and no setting names what to run",
                                            entrypoint->folder);
        return entrypoint->missing ? 0 : -ENOMEM;
}

int entrypoint_resolve(Channel channel, json_object *answer, Entrypoint *ret, char **ret_error)
{
        json_object *config = json_object_object_get(answer, "config");
        json_object *probed = json_object_object_get(answer, "probed");
        _cleanup_(image_said_done) ImageSaid said = {};
        _cleanup_(entrypoint_done) Entrypoint entrypoint = {};
        int r;

        if (!json_object_is_type(config, json_type_object) || !json_object_is_type(probed, json_type_object))
                return error_set(ret_error, JSON_BAD, "config and probed must be objects");
        r = json_read(&image_table, config, &said, ret_error);
        if (r != 0)
                return r;
        entrypoint.folder =
                strdup(entrypoint_has_folder(channel, answer) ? channel_folders[channel] : said.folder);
        if (!entrypoint.folder)
                return -ENOMEM;
        r = make_environment(said.environment, &entrypoint.environment);
        if (r >= 0)
                r = find_command(channel, &said, probed, &entrypoint);
        if (r < 0)
                return r;
        *ret = entrypoint;
        entrypoint = (Entrypoint){};
        return 0;
}

void entrypoint_done(Entrypoint *entrypoint)
{
        strv_free(entrypoint->command);
        free(entrypoint->folder);
        strv_free(entrypoint->environment);
        free(entrypoint->missing);
        *entrypoint = (Entrypoint){};
}

int entrypoint_arguments(const Entrypoint *entrypoint, char *const *setting, const char *exercise,
                         char ***ret)
{
        bool is_set = setting && *setting;
        char *const *command = is_set ? setting : entrypoint->command;
        _cleanup_(strv_freep) char **arguments = NULL;
        int r;

        if (!command)
                return ENTRYPOINT_NONE;
        r = copy_texts(command, &arguments);
        if (r >= 0)
                r = strv_extend(&arguments, exercise);
        if (r >= 0)
                r = strv_extend(&arguments, ENTRYPOINT_FOLDER);
        if (r >= 0 && (is_set || entrypoint->takes_output))
                r = strv_extend(&arguments, ENTRYPOINT_FOLDER);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}
