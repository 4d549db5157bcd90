/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl keys: who may speak to the router from beyond its host. Works on files, where the router runs;
 * the secret half of a peer's key is in no file that stays here. */

#include "ctl-ask.h"
#include "ctl-table.h"
#include "ctl-verbs.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/name.h"
#include "proto/request.h"
#include "shared/key-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define ROUTER_SECRET   SYSCONFDIR "/router.key"
#define RELOAD_WAIT     (5 * USEC_PER_SEC)
#define LIST_SEPARATORS ","

typedef struct KeysOptions {
        const char *role, *workers, *out, *folder, *secret;
        bool force;
} KeysOptions;

typedef struct KeysCall {
        Ctl *ctl;
        const CtlVerb *verb;
        const KeysOptions *options;
        const char *name; /* of the peer, or NULL */
} KeysCall;

static int say_file(const KeysCall *call, const char *path, int r)
{
        if (r == -EACCES || r == -EPERM)
                return ctl_fail(call->verb, CTL_NOT_ALLOWED, "you may not write %s; " CTL_JOIN("pipeline"),
                                path);
        if (r == -EEXIST)
                return ctl_fail(call->verb, CTL_FAILED, "%s is there already", path);
        return ctl_fail(call->verb, CTL_FAILED, "cannot write %s: %s", path, strerror(-r));
}

/* A new file: nothing that is there is touched. */
static int write_new_file(const char *path, const char *text, mode_t mode)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        int r;

        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        if (r >= 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
                r = -errno;
        if (r < 0)
                (void) unlink(path);
        return r < 0 ? r : 0;
}

static char *public_path(const KeysCall *call, const char *name)
{
        return string_format("%s/%s.pub", call->options->folder, name);
}

static int check_name(const KeysCall *call)
{
        if (!call->name)
                return ctl_fail(call->verb, CTL_USAGE, "it wants the NAME of a peer");
        if (!slug_is_valid(call->name) || streq(call->name, KEY_ROUTER))
                return ctl_fail(call->verb, CTL_USAGE, "%s is no name for a peer", call->name);
        return 0;
}

/* The router is told, so that it holds at once; where it does not run, it will read them when it starts. */
static void tell_router(const KeysCall *call)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        _cleanup_(client_freep) Client *client = NULL;
        _cleanup_json_ json_object *request = ctl_request("reload_config");
        int r = request ? client_new(call->ctl->router, NULL, &client) : -ENOMEM;

        if (r == 0)
                r = client_ask(client, request, RELOAD_WAIT, &reply);
        if (r != 0 || reply.code != 200)
                (void) fprintf(stderr, "pipelinectl keys: the router was not told; `systemctl reload "
                                       "pipeline-router` makes it hold\n");
}

/* What came of a new key, for programs; the router's has no name. */
static int print_key(const char *name, const char *public, const char *file)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        if (!object || (name && json_add_text(object, "name", name) < 0) ||
            json_add_text(object, "public", public) < 0 || json_add_text(object, "file", file) < 0)
                return -ENOMEM;
        ctl_print_json(object);
        return CTL_OK;
}

/* new-router */

static int write_router_key(const KeysCall *call, const KeyFile *key)
{
        _cleanup_free_ char *public = public_path(call, KEY_ROUTER);
        _cleanup_free_ char *secret_text = string_format("# The key of this router. Keep it secret.\n"
                                                         "public %s\nsecret %s\n",
                                                         key->public, key->secret);
        _cleanup_free_ char *public_text = string_format("public %s\n", key->public);
        int r;

        if (!public || !secret_text || !public_text)
                return -ENOMEM;
        r = call->options->force
                    ? write_file_atomic(call->options->secret, secret_text, strlen(secret_text), 0600)
                    : write_new_file(call->options->secret, secret_text, 0600);
        explicit_bzero(secret_text, strlen(secret_text));
        if (r == -EACCES)
                return ctl_fail(call->verb, CTL_NOT_ALLOWED,
                                "the router's own key lies among the settings of this host, %s: use sudo",
                                call->options->secret);
        if (r == -EEXIST)
                return ctl_fail(call->verb, CTL_FAILED,
                                "this router has a key; --force makes another, and then every peer needs a "
                                "new one too");
        if (r < 0)
                return say_file(call, call->options->secret, r);
        r = write_file_atomic(public, public_text, strlen(public_text), 0644);
        return r < 0 ? say_file(call, public, r) : 0;
}

static int keys_new_router(const KeysCall *call)
{
        _cleanup_(key_file_done) KeyFile key = {};
        int r;

        if (zmq_curve_keypair(key.public, key.secret) < 0)
                return -errno;
        r = write_router_key(call, &key);
        if (r != 0)
                return r;
        if (call->ctl->json)
                return print_key(NULL, key.public, call->options->secret);
        printf("The router's key is in %s; `systemctl restart pipeline-router` loads it.\n",
               call->options->secret);
        return CTL_OK;
}

/* new */

static int check_roles(const KeysCall *call)
{
        _cleanup_free_ char *copy = strdup(call->options->role ?: "");
        char *rest = copy, *role;

        if (!copy)
                return -ENOMEM;
        if (!call->options->role)
                return ctl_fail(call->verb, CTL_USAGE,
                                "--role says what it may do: worker, submit, deploy, admin");
        while ((role = strsep(&rest, LIST_SEPARATORS)))
                if (role_from_string(role) == 0)
                        return ctl_fail(call->verb, CTL_USAGE,
                                        "%s is no role; there are worker, submit, deploy, admin", role);
        return 0;
}

static int check_workers(const KeysCall *call)
{
        _cleanup_free_ char *copy = strdup(call->options->workers ?: "");
        char *rest = call->options->workers ? copy : NULL, *worker;

        if (!copy)
                return -ENOMEM;
        while ((worker = strsep(&rest, LIST_SEPARATORS))) {
                size_t n = strlen(worker);

                if (n > 0 && worker[n - 1] == '*')
                        worker[n - 1] = '\0';
                if (!slug_is_valid(worker))
                        return ctl_fail(
                                call->verb, CTL_USAGE,
                                "--worker takes names of workers, or beginnings of them with * behind");
        }
        return 0;
}

static int read_router_public(const KeysCall *call, KeyFile *ret)
{
        _cleanup_free_ char *path = public_path(call, KEY_ROUTER), *text = NULL, *error = NULL;
        size_t size;
        int r = path ? read_file_at(AT_FDCWD, path, KEY_FILE_MAX, &text, &size) : -ENOMEM;

        if (r == -ENOENT)
                return ctl_fail(call->verb, CTL_FAILED,
                                "the router has no key yet; `pipelinectl keys new-router` makes it");
        if (r == 0)
                r = key_file_parse(text, size, ret, &error);
        if (r == KEY_BAD || (r == 0 && ret->public[0] == '\0'))
                return ctl_fail(call->verb, CTL_FAILED, "%s is no key: %s", path, error ?: "it has none");
        return r < 0 ? ctl_fail(call->verb, CTL_FAILED, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int write_peer_key(const KeysCall *call, const KeyFile *key, const char *out)
{
        const KeysOptions *o = call->options;
        _cleanup_free_ char *public = public_path(call, call->name);
        _cleanup_free_ char *secret_text =
                string_format("# The key of %s for a Pipeline router: who has this file is %s.\n"
                              "public %s\nsecret %s\nrouter %s\n",
                              call->name, call->name, key->public, key->secret, key->router);
        _cleanup_free_ char *public_text =
                string_format("public %s\nroles %s\n%s%s%s", key->public, o->role,
                              o->workers ? "workers " : "", o->workers ?: "", o->workers ? "\n" : "");
        int r;

        if (!public || !secret_text || !public_text)
                return -ENOMEM;
        if (access(public, F_OK) == 0)
                return ctl_fail(call->verb, CTL_FAILED,
                                "there is a key of %s; `pipelinectl keys rm %s` takes it away", call->name,
                                call->name);
        r = write_new_file(out, secret_text, 0600);
        explicit_bzero(secret_text, strlen(secret_text));
        if (r < 0)
                return ctl_fail(call->verb, CTL_FAILED, "cannot write %s: %s", out, strerror(-r));
        r = write_new_file(public, public_text, 0644);
        if (r == 0)
                return 0;
        (void) unlink(out);
        return say_file(call, public, r);
}

static int keys_new(const KeysCall *call)
{
        _cleanup_(key_file_done) KeyFile key = {}, router = {};
        _cleanup_free_ char *out = NULL;
        int r = check_name(call);

        if (r == 0)
                r = check_roles(call);
        if (r == 0)
                r = check_workers(call);
        if (r == 0)
                r = read_router_public(call, &router);
        if (r != 0)
                return r;
        out = call->options->out ? strdup(call->options->out) : string_format("%s.key", call->name);
        if (!out)
                return -ENOMEM;
        memcpy(key.router, router.public, sizeof(key.router));
        if (zmq_curve_keypair(key.public, key.secret) < 0)
                return -errno;
        r = write_peer_key(call, &key, out);
        if (r != 0)
                return r;
        tell_router(call);
        if (call->ctl->json)
                return print_key(call->name, key.public, out);
        printf("The key of %s is in %s: take it there, and leave no copy here.\n", call->name, out);
        return CTL_OK;
}

/* rm */

static int keys_rm(const KeysCall *call)
{
        _cleanup_free_ char *path = NULL;
        int r = check_name(call);

        if (r != 0)
                return r;
        path = public_path(call, call->name);
        if (!path)
                return -ENOMEM;
        if (unlink(path) < 0)
                return errno == ENOENT
                               ? ctl_fail(call->verb, CTL_FAILED, "there is no key of %s", call->name)
                               : say_file(call, path, -errno);
        tell_router(call);
        return CTL_OK;
}

/* list */

/* Words as one text; NULL without memory. */
static char *join(char *const *words, const char *none)
{
        return words && words[0] ? strv_join(words, " ") : strdup(none);
}

static int list_entry(const KeyEntry *entry, CtlTable *table, json_object *array)
{
        _cleanup_free_ char *roles = join(entry->file.roles, "");
        _cleanup_free_ char *workers = join(entry->file.workers, entry->name);
        json_object *object = json_object_new_object();
        int r = roles && workers && object ? 0 : -ENOMEM;

        if (r == 0)
                r = json_add_text(object, "name", entry->name);
        if (r == 0)
                r = json_add_text(object, "public", entry->file.public);
        if (r == 0)
                r = json_add_text(object, "roles", roles);
        if (r == 0)
                r = json_add_text(object, "workers", workers);
        if (r == 0)
                r = json_add_text(object, "error", entry->error);
        if (r == 0)
                r = json_object_array_add(array, json_object_get(object));
        json_object_put(object);
        if (r < 0)
                return -ENOMEM;
        return ctl_table_add(table,
                             (const char *[]){ entry->name, roles, strstr(roles, "worker") ? workers : "-",
                                               entry->file.public, entry->error ?: "ok" });
}

static int keys_list(const KeysCall *call)
{
        _cleanup_(key_folder_done) KeyFolder folder = {};
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 5 };
        _cleanup_json_ json_object *array = json_object_new_array();
        int r = array ? key_folder_read(call->options->folder, &folder) : -ENOMEM;

        if (r == KEY_FOLDER_MISSING)
                return ctl_fail(call->verb, CTL_FAILED, "there is no folder %s", call->options->folder);
        if (r < 0)
                return ctl_fail(call->verb, CTL_FAILED, "cannot read %s: %s", call->options->folder,
                                strerror(-r));
        r = ctl_table_add(&table, (const char *[]){ "PEER", "ROLES", "WORKERS", "KEY", "STATE" });
        for (size_t i = 0; r >= 0 && i < folder.n_entries; i++)
                r = list_entry(&folder.entries[i], &table, array);
        if (r < 0)
                return r;
        if (call->ctl->json)
                ctl_print_json(array);
        else
                ctl_table_print(call->ctl, &table);
        return CTL_OK;
}

static const struct {
        const char *name;
        int (*run)(const KeysCall *call);
} commands[] = {
        { "new", keys_new },
        { "new-router", keys_new_router },
        { "rm", keys_rm },
        { "list", keys_list },
};

static int run_keys(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        KeysOptions options = { .folder = KEY_FOLDER, .secret = ROUTER_SECRET };
        const CtlOption own[] = {
                { "role", CTL_TEXT, &options.role, "ROLE[,ROLE]", "new: worker, submit, deploy, admin" },
                { "worker", CTL_TEXT, &options.workers, "NAME[,NAME]",
                  "new: the workers it may be (its own name); * at the end: any that begin so" },
                { "out", CTL_TEXT, &options.out, "FILE", "new: where the secret key goes (NAME.key)" },
                { "folder", CTL_TEXT, &options.folder, "FOLDER", "of the public keys (" KEY_FOLDER ")" },
                { "secret", CTL_TEXT, &options.secret, "FILE",
                  "new-router: its secret key (" ROUTER_SECRET ")" },
                { "force", CTL_FLAG, &options.force, NULL, "new-router: in place of the one that is there" },
        };
        int r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);
        KeysCall call = { ctl, verb, &options, NULL };

        if (r != 0)
                return r;
        call.name = argc > 2 ? argv[2] : NULL;
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (streq(argv[1], commands[i].name))
                        return commands[i].run(&call);
        return ctl_fail(verb, CTL_USAGE, "it knows new, new-router, rm and list, not %s", argv[1]);
}

const CtlVerb ctl_verb_keys = {
        .name = "keys",
        .arguments = "new|new-router|rm|list [NAME]",
        .summary = "Who may reach the router from beyond its host",
        .run = run_keys,
};
