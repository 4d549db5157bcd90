/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The orders about images (`install`, `images`, `remove`), and `status`. */

#include "orders.h"
#include "proto/status.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include "basic/string-util.h"

#include <errno.h>

#define PROBES_MAX 64U

/* What `install` and `remove` say. */
typedef struct ImageOrder {
        char *digest;
        char **probe;
        bool present; /* install: only what is there */
} ImageOrder;

static const JsonField image_fields[] = {
        { "digest", &field_text, offsetof(ImageOrder, digest), .is_valid = digest_is_valid,
          .form = "a digest" },
        { "probe", &field_texts, offsetof(ImageOrder, probe), .optional = true, .max = PROBES_MAX },
        { "present", &field_bool, offsetof(ImageOrder, present), .optional = true },
};

static const JsonTable image_table = JSON_TABLE(ImageOrder, image_fields);

/* Answers where the order cannot be read. */
static bool read_order(Connection *connection, json_object *order, ImageOrder *ret)
{
        _cleanup_free_ char *error = NULL;
        int r = json_read(&image_table, order, ret, &error);

        if (r < 0)
                connection_fail(connection, r, "read the order");
        else if (r > 0)
                connection_refuse(connection, STATUS_BAD_INPUT, "the order: %s", error);
        return r == 0;
}

/* install */

typedef struct Install {
        Connection *connection;
        ImageOrder order;
        StoreInstall *work;
        bool is_started;
} Install;

static void install_done(Connection *connection)
{
        Install *install = connection->state;

        if (!install)
                return;
        connection->state = NULL;
        store_install_free(install->work);
        json_done(&image_table, &install->order);
        free(install);
}

/* The image is there: says what is in it. Returns false where it is not. */
static bool answer_description(Install *install)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_object *answer = NULL;
        int r;

        r = store_describe(manager_of(install->connection)->store, install->order.digest,
                           install->order.probe, &text);
        if (r == STORE_MISSING)
                return false;
        if (r < 0)
                connection_fail(install->connection, r, "describe the image");
        else if (r > 0)
                connection_refuse(install->connection, r,
                                  "a path to probe is not absolute, or there are too many");
        else {
                collector_note(&manager_of(install->connection)->collector, install->order.digest);
                answer = json_tokener_parse(text);
                if (!answer || json_add_uint(answer, "code", 0) < 0)
                        connection_fail(install->connection, -ENOMEM, "describe the image");
                else
                        connection_answer(install->connection, TAKE_PTR(answer));
        }
        return true;
}

static void on_installed(StoreInstall *work, int code, const char *error, void *userdata)
{
        Install *install = userdata;

        if (code == 0) {
                log_info("Image %s is installed", install->order.digest);
                if (!answer_description(install))
                        connection_refuse(install->connection, STATUS_INTERNAL_ERROR,
                                          "the image is gone again");
                return;
        }
        log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_IMAGE_REFUSED }), "Image %s: %s",
                   install->order.digest, error);
        connection_refuse(install->connection, code, "%s", error);
}

static void install_start(Connection *connection, json_object *order)
{
        Install *install = calloc(1, sizeof(*install));
        int r;

        if (!install) {
                connection_fail(connection, -ENOMEM, "read the order");
                return;
        }
        install->connection = connection;
        connection->state = install;
        if (!read_order(connection, order, &install->order) || answer_description(install))
                return;
        if (install->order.present) {
                connection_refuse(connection, STORE_MISSING, "the image is not here");
                return;
        }
        r = store_install_new(manager_of(connection)->store, install->order.digest, &install->work);
        if (r != 0)
                connection_fail(connection, r < 0 ? r : -EINVAL, "begin to install an image");
}

/* Each takes one kind of frame: 0, < 0, or a code to answer with. */
static int take_blob(Install *install, const Frame *frame, int *fd)
{
        int blob = *fd;

        *fd = -EBADF;
        return blob < 0 ? STATUS_BAD_INPUT
                        : store_install_add_blob(install->work, (const char *) frame->payload, frame->size,
                                                 blob);
}

static int take_input_end(Install *install)
{
        install->is_started = true;
        return store_install_start(install->work, on_installed, install);
}

static void install_frame(Connection *connection, const Frame *frame, int *fd)
{
        Install *install = connection->state;
        int r = STATUS_BAD_INPUT;

        if (!install->is_started && frame->type == FRAME_BLOB)
                r = take_blob(install, frame, fd);
        else if (!install->is_started && frame->type == FRAME_INPUT_END)
                r = take_input_end(install);
        if (r < 0)
                connection_fail(connection, r, "install the image");
        else if (r == STORE_FULL)
                connection_refuse(connection, r, "too many images are being installed");
        else if (r > 0)
                connection_refuse(connection, r, "a frame that may not come now, or a blob that is none");
}

const OrderType order_install = { "install", install_start, install_frame, NULL, install_done };

/* images */

static json_object *list_from_texts(char *const *texts)
{
        _cleanup_json_ json_object *list = json_object_new_array();

        for (; list && texts && *texts; texts++) {
                json_object *text = json_object_new_string(*texts);

                if (!text || json_object_array_add(list, text) < 0) {
                        json_object_put(text);
                        return NULL;
                }
        }
        return TAKE_PTR(list);
}

static void images_start(Connection *connection, json_object *order)
{
        _cleanup_json_ json_object *answer = json_object_new_object();
        _cleanup_(strv_freep) char **digests = NULL;
        json_object *list;
        int r;

        r = store_images(manager_of(connection)->store, &digests);
        if (r < 0) {
                connection_fail(connection, r, "list the images");
                return;
        }
        list = list_from_texts(digests);
        if (!answer || !list || json_add_uint(answer, "code", 0) < 0 || json_add(answer, "images", list) < 0)
                connection_fail(connection, -ENOMEM, "list the images");
        else
                connection_answer(connection, TAKE_PTR(answer));
}

const OrderType order_images = { "images", images_start };

/* remove */

static json_object *answer_done(void)
{
        _cleanup_json_ json_object *answer = json_object_new_object();

        return answer && json_add_uint(answer, "code", 0) >= 0 ? TAKE_PTR(answer) : NULL;
}

static void remove_start(Connection *connection, json_object *order)
{
        Manager *manager = manager_of(connection);
        ImageOrder image = {};
        int r;

        if (!read_order(connection, order, &image))
                return;
        if (pool_image_is_running(&manager->pool, image.digest))
                connection_refuse(connection, STATUS_BAD_INPUT, "the image is in use");
        else if (collector_is_held(&manager->collector, image.digest))
                connection_refuse(connection, STATUS_BAD_INPUT, "a worker holds the image");
        else {
                pool_retire(&manager->pool, image.digest);
                r = store_remove(manager->store, image.digest);
                if (r < 0)
                        connection_fail(connection, r, "remove the image");
                else if (r > 0)
                        connection_refuse(connection, r, "the image is not here");
                else
                        connection_answer(connection, answer_done());
        }
        json_done(&image_table, &image);
}

const OrderType order_remove = { "remove", remove_start };

/* status */

static json_object *status_to_json(const Manager *manager, char *const *profiles)
{
        _cleanup_json_ json_object *answer = json_object_new_object();
        json_object *list = list_from_texts(profiles),
                    *ceilings = json_write(&limits_table, &manager->config.ceilings);

        if (!answer || !list || !ceilings || json_add_uint(answer, "code", 0) < 0 ||
            json_add_uint(answer, "parked", manager->pool.idle.n_members) < 0 ||
            json_add_uint(answer, "running", manager->pool.running.n_members) < 0 ||
            json_add_bool(answer, "limits_enforced", manager->fitness.limits_enforced) < 0 ||
            json_add_text(answer, "unfit", fitness_problem(&manager->fitness)) < 0 ||
            json_add(answer, "limits", TAKE_PTR(ceilings)) < 0 ||
            json_add(answer, "profiles", TAKE_PTR(list)) < 0) {
                json_object_put(list);
                json_object_put(ceilings);
                return NULL;
        }
        return TAKE_PTR(answer);
}

static void status_start(Connection *connection, json_object *order)
{
        _cleanup_(strv_freep) char **profiles = NULL;
        int r = seccomp_profile_list(&profiles);

        if (r < 0)
                connection_fail(connection, r, "list the profiles");
        else
                connection_answer(connection, status_to_json(manager_of(connection), profiles));
}

const OrderType order_status = { "status", status_start };
