/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sandbox service is asked first: what it has it describes at once, and then the registry need not have
 * the image any more, nor answer at all. This is also how a restarted worker finds out what is there. What
 * it does not have is fetched, and handed over: every blob by descriptor, which sandboxd hashes and unpacks.
 *
 * The first order looks at the paths that are known before the image is. Where its own working directory
 * decides, one more order looks there. */

#include "install.h"

#include "image-source.h"
#include "order-client.h"

#include "basic/string-util.h"
#include "proto/status.h"
#include "shared/registry.h"

#include <errno.h>

struct Install {
        InstallRequest request; /* owns its texts */
        const InstallHandlers *handlers;
        void *userdata;
        RegistryCall *call;
        Order *order;
        ImageSource *source; /* its blobs go out; NULL: what is there is asked */
        bool is_sent;        /* all of them */
        bool has_probed_twice;
};

Install *install_free(Install *install)
{
        if (!install)
                return NULL;
        registry_call_free(install->call);
        order_free(install->order);
        image_source_free(install->source);
        free((char *) install->request.track);
        free((char *) install->request.version);
        free((char *) install->request.digest);
        free(install);
        return NULL;
}

static int fail(Install *install, unsigned code, char *error)
{
        return error ? install->handlers->failed(code, error, install->userdata) : -ENOMEM;
}

/* The order */

static int start_order(Install *install, const char *image_folder);
static int start_call(Install *install, RegistryVerb verb);

static int on_fill(Order *order, Buffer *out, int *ret_fd, void *userdata)
{
        Install *install = userdata;
        const char *digest;
        int fd, r;

        if (!install->source || install->is_sent)
                return 0;
        r = image_source_next(install->source, &digest, &fd);
        if (r < 0)
                return r;
        if (r == IMAGE_SOURCE_END) {
                install->is_sent = true;
                r = frame_append(out, FRAME_INPUT_END, 0, NULL, 0, ORDER_SEND_SIZE_MAX);
                return r < 0 ? r : install->handlers->unpacking(install->userdata);
        }
        *ret_fd = fd;
        return frame_append(out, FRAME_BLOB, 0, digest, strlen(digest), ORDER_SEND_SIZE_MAX);
}

/* Whether what was looked at suffices: the channel's own folder is there, or the image's was looked into. */
static bool needs_second_probe(const Install *install, json_object *answer, const char **ret_folder)
{
        const char *folder = json_text(json_object_object_get(answer, "config"), "folder");

        if (install->has_probed_twice || !folder ||
            entrypoint_has_folder(install->request.settings->channel, answer))
                return false;
        *ret_folder = folder;
        return true;
}

static int take_answer(Install *install, json_object *answer)
{
        const InstallRequest *request = &install->request;
        _cleanup_(entrypoint_done) Entrypoint entrypoint = {};
        _cleanup_free_ char *error = NULL;
        const char *folder;
        int r;

        if (install->source) /* sandboxd has it now */
                registry_fetched_remove(request->settings->images, request->digest);
        install->source = image_source_free(install->source);
        if (needs_second_probe(install, answer, &folder)) {
                install->has_probed_twice = true;
                return start_order(install, folder);
        }
        r = entrypoint_resolve(request->settings->channel, answer, &entrypoint, &error);
        if (r < 0)
                return r;
        if (r == JSON_BAD)
                return fail(install, STATUS_SETUP_FAILED,
                            string_format("the sandbox service's answer is malformed: %s", error));
        return install->handlers->succeeded(request->digest, &entrypoint, install->userdata);
}

static int on_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        Install *install = userdata;
        int64_t code = answer ? json_object_get_int64(json_object_object_get(answer, "code")) : 0;
        const char *said = answer ? json_text(answer, "error") : error;

        if (answer && code == 0)
                return take_answer(install, answer);
        if (code == STATUS_VERSION_NOT_ON_WORKER && !install->source && !install->has_probed_twice)
                return start_call(install, REGISTRY_FETCH);
        return fail(install,
                    code == STATUS_SETUP_FAILED ? STATUS_SETUP_FAILED : STATUS_VERSION_NOT_ON_WORKER,
                    strdup(said ?: "the sandbox service did not say why"));
}

static const OrderHandlers order_handlers = { .fill = on_fill, .ended = on_ended };

static int make_order(const Install *install, char *const *probe, json_object **ret)
{
        _cleanup_json_ json_object *order = json_object_new_object();
        json_object *paths = json_object_new_array();
        int r = order && paths ? json_add(order, "probe", paths) : -ENOMEM;

        for (; r >= 0 && *probe; probe++)
                r = json_object_array_add(paths, json_object_new_string(*probe));
        if (r >= 0)
                r = json_add_text(order, "order", "install");
        if (r >= 0)
                r = json_add_text(order, "digest", install->request.digest);
        if (r >= 0)
                r = json_add_bool(order, "present", !install->source);
        if (r >= 0)
                *ret = TAKE_PTR(order);
        return r < 0 ? -ENOMEM : 0;
}

/* Asks for what is there; or, with a source, hands it over. */
static int start_order(Install *install, const char *image_folder)
{
        const InstallRequest *request = &install->request;
        _cleanup_(strv_freep) char **probe = NULL;
        _cleanup_json_ json_object *body = NULL;
        Order *order;
        int r;

        r = entrypoint_probe(request->settings->channel, image_folder, &probe);
        if (r >= 0)
                r = make_order(install, probe, &body);
        if (r >= 0)
                r = order_new(request->event, SANDBOX_SERVICE(request->settings->sandbox), body,
                              &order_handlers, install, &order);
        if (r == -E2BIG)
                return fail(install, STATUS_SETUP_FAILED, strdup("the image's paths are too long"));
        if (r < 0)
                return r;
        order_free(install->order);
        install->order = order;
        return 0;
}

/* The registry */

static int take_digest(Install *install, const char *digest)
{
        if (!digest_is_valid(digest ?: ""))
                return fail(install, STATUS_VERSION_NOT_ON_WORKER, strdup("the registry's digest is none"));
        install->request.digest = strdup(digest);
        return install->request.digest ? start_order(install, NULL) : -ENOMEM;
}

static int take_layout(Install *install, const char *layout)
{
        const WorkerSettings *settings = install->request.settings;
        const ImagePlace place = { .layout = settings->registry.folder ? NULL : layout ?: "",
                                   .registry = settings->registry.folder,
                                   .channel = channel_to_string(settings->channel),
                                   .track = install->request.track };
        _cleanup_free_ char *error = NULL;
        int r = image_source_open(&place, install->request.digest, &install->source, &error);

        if (r < 0)
                return r;
        if (!install->source)
                return fail(install, STATUS_VERSION_NOT_ON_WORKER, TAKE_PTR(error));
        return start_order(install, NULL);
}

static int on_progress(RegistryCall *call, uint64_t done_size, uint64_t total_size, void *userdata)
{
        Install *install = userdata;

        return install->handlers->fetching(done_size, total_size, install->userdata);
}

static int on_answer(RegistryCall *call, const RegistryAnswer *answer, void *userdata)
{
        Install *install = userdata;
        int r;

        install->call = NULL;
        if (answer->code != 0)
                r = fail(install,
                         answer->code == STATUS_SETUP_FAILED ? STATUS_SETUP_FAILED
                                                             : STATUS_VERSION_NOT_ON_WORKER,
                         strdup(answer->error));
        else if (install->request.digest)
                r = take_layout(install, answer->layout);
        else
                r = take_digest(install, answer->digest);
        registry_call_free(call); /* the answer was its own */
        return r;
}

static const RegistryHandlers call_handlers = { .progress = on_progress, .ended = on_answer };

static int start_call(Install *install, RegistryVerb verb)
{
        const InstallRequest *request = &install->request;
        const RegistryQuestion question = {
                .verb = verb,
                .channel = channel_to_string(request->settings->channel),
                .track = request->track,
                .version = verb == REGISTRY_RESOLVE ? request->version : NULL,
                .folder = verb == REGISTRY_FETCH ? request->settings->images : NULL,
                .digest = verb == REGISTRY_FETCH ? request->digest : NULL,
        };

        return registry_call_new(request->event, &request->settings->registry, &question, &call_handlers,
                                 install, &install->call);
}

int install_new(const InstallRequest *request, const InstallHandlers *handlers, void *userdata,
                Install **ret)
{
        _cleanup_(install_freep) Install *install = calloc(1, sizeof(Install));
        int r;

        if (!install)
                return -ENOMEM;
        install->request = (InstallRequest){ .event = request->event, .settings = request->settings };
        install->handlers = handlers;
        install->userdata = userdata;
        install->request.track = strdup(request->track);
        install->request.version = strdup(request->version);
        install->request.digest = request->digest ? strdup(request->digest) : NULL;
        if (!install->request.track || !install->request.version ||
            (request->digest && !install->request.digest))
                return -ENOMEM;
        r = install->request.digest ? start_order(install, NULL) : start_call(install, REGISTRY_RESOLVE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(install);
        return 0;
}
