/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order `build`: a plan, then descriptors (the Dockerfile, the context as a tar, an archive a base
 * image), then the end of the input. It waits for its turn; then what the box says is passed on under the
 * plan's limits, and at the end the accounting is the answer. */

#include "orders.h"

#include "cache.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "proto/status.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BLOB_DOCKERFILE "dockerfile"
#define BLOB_CONTEXT    "context"
#define BLOB_BASE       "base"
#define FILES_MAX       512U /* of an OCI layout */
#define EGRESS_SOCKET   "/run/pipeline/egress.sock"

struct Build {
        Connection *connection;
        BuildPlan plan;
        BuildInside inside; /* owns its descriptors */
        size_t n_bases;     /* that have come */
        char *name, *folder;
        Box *box;
        ListLink link; /* waiting, or dead */
        uint64_t output_size, image_size, file_left;
        uint64_t disk_before; /* measured first */
        bool is_complete, is_measured;
        size_t n_files;
};

static Manager *manager_of(const Build *build)
{
        return build->connection->server->userdata;
}

Build *build_from_link(ListLink *link)
{
        return CONTAINER_OF(link, Build, link);
}

const char *build_folder(const Build *build)
{
        return build->name;
}

static void close_inputs(BuildInside *inside)
{
        inside->dockerfile_fd = safe_close(inside->dockerfile_fd);
        inside->context_fd = safe_close(inside->context_fd);
        inside->egress_fd = safe_close(inside->egress_fd);
        for (size_t i = 0; i < BUILD_BASES_MAX; i++)
                inside->base_fds[i] = safe_close(inside->base_fds[i]);
}

static void build_done(Connection *connection)
{
        Build *build = connection->state;
        Manager *manager;

        if (!build)
                return;
        connection->state = NULL;
        manager = manager_of(build);
        list_remove(&manager->waiting, &build->link);
        if (build->box)
                box_end(build->box);
        if (manager->current == build) {
                manager->current = NULL;
                if (manager_settle(manager, build->name) < 0) {
                        log_warning("What a build left cannot be removed now");
                        manager_wake(manager);
                }
        }
        manager_retire(manager, &build->link);
}

void build_free(Build *build)
{
        box_free(build->box);
        close_inputs(&build->inside);
        build_plan_done(&build->plan);
        free(build->name);
        free(build->folder);
        free(build);
}

/* The end */

static int add_limit(json_object *answer, const char *name, uint64_t value, uint64_t used)
{
        json_object *limit;

        if (!name)
                return 0;
        limit = json_object_new_object();
        if (!limit || json_add(answer, "limit", limit) < 0 || json_add_text(limit, "name", name) < 0 ||
            json_add_uint(limit, "value", value) < 0 || json_add_uint(limit, "used", used) < 0)
                return -ENOMEM;
        return 0;
}

static int add_usage(json_object *answer, const Build *build, const BoxUsage *usage)
{
        json_object *object = json_object_new_object();

        if (!object || json_add(answer, "usage", object) < 0 ||
            json_add_uint(object, "wall_usec", usage->wall_usec) < 0 ||
            json_add_uint(object, "cpu_usec", usage->cpu_usec) < 0 ||
            (usage->memory_peak > 0 && json_add_uint(object, "memory_peak_bytes", usage->memory_peak) < 0) ||
            json_add_uint(object, "written_bytes", usage->written) < 0 ||
            json_add_uint(object, "stdout_bytes", build->output_size) < 0)
                return -ENOMEM;
        return 0;
}

static void answer(Build *build, const char *cause, uint64_t status, const char *limit, uint64_t value,
                   uint64_t used)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        BoxUsage usage;

        box_read_usage(build->box, &usage);
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "PIPELINE_JOB", build->plan.job },
                              { "PIPELINE_SCOPE", box_scope_name(build->box) }, { "PIPELINE_CAUSE", cause },
                              { "MESSAGE_ID", MSG_BUILD_ENDED }),
                   "Build %s ended: %s", build->plan.job, cause);
        if (!object || json_add_uint(object, "code", 0) < 0 || json_add_text(object, "cause", cause) < 0 ||
            json_add_uint(object, "status", status) < 0 || add_limit(object, limit, value, used) < 0 ||
            add_usage(object, build, &usage) < 0 ||
            json_add_text(object, "scope", box_scope_name(build->box)) < 0 ||
            json_add_bool(object, "limits_enforced", manager_of(build)->fitness.limits_enforced) < 0)
                connection_fail(build->connection, -ENOMEM, "answer");
        else
                connection_answer(build->connection, TAKE_PTR(object));
}

static void on_fault(Box *box, BoxFault fault, const char *text, void *userdata)
{
        const char *limit = box_fault_limit(fault);
        Build *build = userdata;
        const BuildLimits *limits = &build->plan.limits;
        BoxUsage usage;

        box_read_usage(box, &usage);
        if (!limit) {
                log_warning("Build %s failed: %s", build->plan.job, text);
                connection_refuse(build->connection,
                                  fault == BOX_SETUP ? STATUS_SETUP_FAILED : STATUS_INTERNAL_ERROR, "%s",
                                  text);
                return;
        }
        const struct {
                uint64_t value, used;
        } numbers[_BOX_FAULT_MAX] = {
                [BOX_WALL_TIME] = { limits->wall_usec, usage.wall_usec },
                [BOX_MEMORY] = { limits->memory_bytes, MAX(usage.memory_peak, limits->memory_bytes) },
                [BOX_PROCESSES] = { limits->processes, limits->processes },
                [BOX_WRITTEN] = { limits->written_bytes, usage.written },
        };
        answer(build, limit, 0, limit, numbers[fault].value, numbers[fault].used);
}

void build_set_written(Build *build, uint64_t bytes)
{
        if (bytes == CACHE_ENDLESS) {
                if (build->box)
                        box_end_for_depth(build->box);
                return;
        }
        if (!build->is_measured) {
                build->is_measured = true;
                build->disk_before = bytes;
        }
        if (build->box)
                box_set_written(build->box, bytes - MIN(bytes, build->disk_before));
}

void build_end_for_disk(Build *build)
{
        if (build->box)
                box_end_for_disk(build->box);
}

/* From the box */

static bool forward(Build *build, const Frame *frame)
{
        FrameStream *stream = &build->connection->stream;

        if (frame_stream_send(stream, frame->type, frame->flags, frame->payload, frame->size) < 0)
                return false;
        if (frame_stream_is_full(stream))
                frame_stream_pause(box_stream(build->box), true);
        return true;
}

static bool take_output(Build *build, const Frame *frame)
{
        uint64_t max = build->plan.limits.output_bytes;

        build->output_size += frame->size;
        if (build->output_size <= max)
                return forward(build, frame);
        answer(build, "output", 0, "output", max, build->output_size);
        return true;
}

static bool take_file(Build *build, const Frame *frame)
{
        uint64_t max = build->plan.limits.image_bytes;
        FrameFile file;

        if (build->file_left > 0 || frame_parse_file(frame, &file) != 0 || ++build->n_files > FILES_MAX)
                return false;
        if (file.size > max || build->image_size + file.size > max) {
                answer(build, "image", 0, "image", max, build->image_size + file.size);
                return true;
        }
        build->image_size += file.size;
        build->file_left = file.size;
        return forward(build, frame);
}

static bool take_data(Build *build, const Frame *frame)
{
        if (frame->size == 0 || frame->size > build->file_left)
                return false;
        build->file_left -= frame->size;
        return forward(build, frame);
}

static bool take_input_end(Build *build, const Frame *frame)
{
        return build->file_left == 0 && build->n_files > 0;
}

static bool take_exit(Build *build, const Frame *frame)
{
        BoxFault fault;
        InitExit end;

        if (frame_parse_exit(frame, &end) != 0)
                return false;
        if (end.status != 0 && box_check_fault(build->box, &fault))
                on_fault(build->box, fault, "", build);
        else
                answer(build, "exited", MIN(end.status, UINT64_C(255)), NULL, 0, 0);
        return true;
}

static bool take_failed(Build *build, const Frame *frame)
{
        _cleanup_free_ char *text = string_escape((const char *) frame->payload, frame->size, 512);
        BoxFault fault;

        if (box_check_fault(build->box, &fault))
                on_fault(build->box, fault, "", build);
        else
                connection_refuse(build->connection, STATUS_SETUP_FAILED, "%s", text ?: "the set-up failed");
        return true;
}

static void on_box_frame(Box *box, const Frame *frame, void *userdata)
{
        static bool (*const types[])(Build * build, const Frame *frame) = {
                [FRAME_STDOUT] = take_output,       [FRAME_FILE] = take_file, [FRAME_DATA] = take_data,
                [FRAME_INPUT_END] = take_input_end, [FRAME_EXIT] = take_exit, [FRAME_FAILED] = take_failed,
        };
        Build *build = userdata;

        if (frame->type >= ARRAY_SIZE(types) || !types[frame->type] || !types[frame->type](build, frame))
                connection_refuse(build->connection, STATUS_INTERNAL_ERROR,
                                  "the build's first process said what was not agreed");
}

static void on_box_started(Box *box, void *userdata)
{
        _cleanup_json_ json_object *body = json_object_new_object();
        Build *build = userdata;
        const char *text;

        log_struct(LOG_INFO,
                   LOG_FIELDS({ "PIPELINE_JOB", build->plan.job }, { "PIPELINE_SCOPE", box_scope_name(box) },
                              { "PIPELINE_TRACK", build->plan.track }, { "MESSAGE_ID", MSG_BUILD_STARTED }),
                   "Build %s runs in %s", build->plan.job, box_scope_name(box));
        text = body && json_add_text(body, "scope", box_scope_name(box)) >= 0 ? json_object_text(body)
                                                                              : NULL;
        if (!text || frame_stream_send(&build->connection->stream, FRAME_STARTED, 0, text, strlen(text)) < 0)
                connection_fail(build->connection, -ENOMEM, "start");
}

static const BoxHandlers box_handlers = { on_box_started, on_box_frame, NULL, on_fault };

/* Its turn */

static int make_box(Manager *manager, Build *build)
{
        const BoxOptions options = {
                .event = manager->event,
                .scopes = manager->scopes,
                .identity = &manager->identity,
                .state_folder = manager->folder,
                .folder = build->folder,
                .limits_enforced = manager->fitness.limits_enforced,
                .inside = &build->inside,
                .handlers = &box_handlers,
                .userdata = build,
        };
        int r = cache_prepare(manager->cache_fd, build->name, &manager->identity);

        if (r < 0)
                return r;
        build->inside.plan = &build->plan;
        return box_new(&options, &build->box);
}

/* Whether it can be begun now; refuses it otherwise. */
static bool may_begin(Manager *manager, Build *build)
{
        if (fitness_problem(&manager->fitness)) {
                connection_refuse(build->connection, STATUS_NO_WORKER, "nothing is built: %s",
                                  fitness_problem(&manager->fitness));
                return false;
        }
        if (cache_has_work(manager->cache_fd, build->name)) {
                if (manager_settle(manager, build->name) < 0)
                        log_warning("What a build left cannot be removed now");
                connection_refuse(build->connection, STATUS_SETUP_FAILED,
                                  "what an earlier build of this track left cannot be removed");
                return false;
        }
        if (build->plan.network) {
                int r = build->inside.egress_fd =
                        fd_connect_unix(EGRESS_SOCKET, SOCK_STREAM | SOCK_NONBLOCK);

                if (r >= 0)
                        r = fd_set_nonblock(build->inside.egress_fd, false);
                if (r < 0) {
                        connection_refuse(build->connection, STATUS_SETUP_FAILED,
                                          "steps have no network: pipeline-egress.socket: %s", strerror(-r));
                        return false;
                }
        }
        return true;
}

void build_begin(Manager *manager, Build *build)
{
        int r;

        list_remove(&manager->waiting, &build->link);
        if (!may_begin(manager, build)) {
                manager_wake(manager);
                return;
        }
        manager->current = build;
        r = make_box(manager, build);
        if (r < 0)
                connection_fail(build->connection, r, "begin the build");
        else
                close_inputs(&build->inside);
}

/* The order */

static int read_plan(json_object *order, const Manager *manager, BuildPlan *ret, char **ret_error)
{
        json_object *object = json_object_object_get(order, "plan");
        int r;

        if (!json_object_is_type(object, json_type_object))
                return error_set(ret_error, JSON_BAD, "the order has no plan");
        r = build_plan_from_json(object, ret, ret_error);
        return r != 0 ? r : build_limits_check_ceilings(&ret->limits, &manager->config.ceilings, ret_error);
}

static int name_folder(Build *build)
{
        build->name = string_format("%s.%s", channel_to_string(build->plan.channel), build->plan.track);
        if (!build->name)
                return -ENOMEM;
        build->folder = string_format("%s/cache/%s", manager_of(build)->folder, build->name);
        return build->folder ? 0 : -ENOMEM;
}

static void build_start(Connection *connection, json_object *order)
{
        _cleanup_free_ char *error = NULL;
        Build *build = calloc(1, sizeof(Build));
        int r;

        if (!build) {
                connection_fail(connection, -ENOMEM, "read the order");
                return;
        }
        build->connection = connection;
        build->inside.socket_fd = build->inside.dockerfile_fd = build->inside.context_fd =
                build->inside.egress_fd = -EBADF;
        for (size_t i = 0; i < BUILD_BASES_MAX; i++)
                build->inside.base_fds[i] = -EBADF;
        connection->state = build;
        r = read_plan(order, manager_of(build), &build->plan, &error);
        if (r == 0)
                r = name_folder(build);
        if (r < 0)
                connection_fail(connection, r, "read the order");
        else if (r > 0)
                connection_refuse(connection, STATUS_BAD_INPUT, "the order: %s", error);
}

/* Where a blob of this name goes; NULL where none is wanted. */
static int *place_of(Build *build, const Frame *frame)
{
        const struct {
                const char *name;
                int *place;
        } places[] = {
                { BLOB_DOCKERFILE, &build->inside.dockerfile_fd },
                { BLOB_CONTEXT, &build->inside.context_fd },
                { BLOB_BASE,
                  build->n_bases < build->plan.n_bases ? &build->inside.base_fds[build->n_bases] : NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(places); i++)
                if (places[i].place && *places[i].place < 0 && strlen(places[i].name) == frame->size &&
                    memcmp(places[i].name, frame->payload, frame->size) == 0)
                        return places[i].place;
        return NULL;
}

static bool take_blob(Build *build, const Frame *frame, int *fd)
{
        int *place = place_of(build, frame);
        struct stat st;

        if (!place || *fd < 0 || fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        build->n_bases += place != &build->inside.dockerfile_fd && place != &build->inside.context_fd;
        *place = TAKE_FD(*fd);
        return true;
}

static bool take_order_end(Build *build)
{
        Manager *manager = manager_of(build);

        if (build->inside.dockerfile_fd < 0 || build->inside.context_fd < 0 ||
            build->n_bases < build->plan.n_bases)
                return false;
        build->is_complete = true;
        list_append(&manager->waiting, &build->link);
        manager_wake(manager);
        return true;
}

static void build_frame(Connection *connection, const Frame *frame, int *fd)
{
        Build *build = connection->state;
        bool is_good = false;

        if (!build->is_complete && frame->type == FRAME_BLOB)
                is_good = take_blob(build, frame, fd);
        else if (!build->is_complete && frame->type == FRAME_INPUT_END)
                is_good = take_order_end(build);
        if (!is_good)
                connection_refuse(connection, STATUS_BAD_INPUT,
                                  "a frame that may not come now, or a blob that is none");
}

static void build_drained(Connection *connection)
{
        Build *build = connection->state;

        if (build->box)
                frame_stream_pause(box_stream(build->box), false);
}

static const OrderType order_build = { "build", build_start, build_frame, build_drained, build_done };

const OrderType *const build_orders[] = { &order_build, NULL };
