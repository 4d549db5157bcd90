/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders of a worker that was captured, against all of sandboxd but the store's files and the container: any
 * sequence of connections, orders, frames and descriptors of theirs, and of what pipeline-init says
 * meanwhile. An order gets at most one answer, and it is the last word; pipeline-init is told what it takes,
 * and nothing of the worker's before the limits hold; what is held or in use is not removed; no descriptor
 * stays. */

#include "order-peer.h"

#include "init/conversation.h"
#include "proto/plan.h"
#include "sandboxd/orders.h"
#include "sandboxd/store-private.h"

#include "basic/string-util.h"

#include <stdio.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"

/* The other end of a sandbox's socket. */
typedef struct Inside {
        int fd;
        Buffer in;
        Conversation conversation;
        bool is_refused, is_started, is_limited;
} Inside;

static struct World {
        Manager manager;
        struct Store store;
        Inside inside; /* of the sandbox that was made last */
        Sandbox *sandbox;
        Child *child;
        bool limits_at_once, parks_at_once, is_deaf;
} world;

/* The store: images whose digest ends in an even digit are there. */

int store_find(const Store *store, const char *digest, char **ret_rootfs)
{
        expect(digest_is_valid(digest));
        if (digest[strlen(digest) - 1] % 2 != 0)
                return STORE_MISSING;
        *ret_rootfs = strdup("/rootfs");
        return 0;
}

int store_images(const Store *store, char ***ret)
{
        *ret = NULL;
        return strv_extend(ret, "sha256:" HEX "00");
}

int store_touch(const Store *store, const char *digest)
{
        expect(digest_is_valid(digest));
        return digest[strlen(digest) - 1] % 2 != 0 ? STORE_MISSING : 0;
}

int store_used(const Store *store, const char *digest, usec_t *ret_usec)
{
        return STORE_MISSING;
}

int store_free_size(const Store *store, uint64_t *ret)
{
        *ret = UINT64_MAX;
        return 0;
}

int store_remove(Store *store, const char *digest)
{
        _cleanup_free_ char *rootfs = NULL;

        expect(!collector_is_held(&world.manager.collector, digest));
        expect(!pool_image_is_running(&world.manager.pool, digest));
        LIST_FOREACH(Sandbox, sandbox, &world.manager.pool.idle, link)
                expect(!streq(sandbox->image, digest));
        return store_find(store, digest, &rootfs);
}

int store_describe(const Store *store, const char *digest, char *const *probe, char **ret_json)
{
        _cleanup_free_ char *rootfs = NULL;
        int r = store_find(store, digest, &rootfs);

        expect(strv_length(probe) <= 64);
        if (r == 0)
                *ret_json = strdup("{\"size\":1}");
        return r;
}

char *store_image_path(const char *digest)
{
        return strdup("images/x");
}

int store_discard(Store *store, const char *path)
{
        expect(string_after(path, STORE_INCOMING "/") != NULL);
        return 0;
}

int store_sweep(Store *store)
{
        return 0;
}

/* A child that never runs. */

struct Child {
        ChildHandler handler;
        void *userdata;
};

int child_start(sd_event *event, ChildMain main, ChildHandler handler, void *userdata, const int *fds,
                size_t n_fds, Child **ret)
{
        *ret = malloc(sizeof(Child));
        expect(*ret);
        **ret = (Child){ handler, userdata };
        for (size_t i = 0; i < n_fds; i++)
                expect(fcntl(fds[i], F_GETFD) >= 0);
        world.child = *ret;
        return 0;
}

pid_t child_pid(const Child *child)
{
        return 0;
}

Child *child_free(Child *child)
{
        if (child == world.child)
                world.child = NULL;
        free(child);
        return NULL;
}

/* A sandbox without a container. */

static void on_init_said(FrameStream *stream, const Frame *frame, int *fd, void *userdata)
{
        Sandbox *sandbox = userdata;

        if (sandbox->state >= SANDBOX_TAKEN && sandbox->state < SANDBOX_ENDING)
                sandbox->handlers->frame(sandbox, frame, sandbox->owner);
        else
                sandbox->handlers->fault(sandbox, SANDBOX_FAULT_SETUP, "early", sandbox->owner);
}

static void on_init_took(FrameStream *stream, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->handlers->drained(sandbox, sandbox->owner);
}

static void on_init_gone(FrameStream *stream, FrameStreamEnd end, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->handlers->fault(sandbox, SANDBOX_FAULT_SETUP, "gone", sandbox->owner);
}

static const FrameStreamHandlers init_handlers = { on_init_said, on_init_took, on_init_gone };

static void inside_done(Inside *inside)
{
        inside->fd = safe_close(inside->fd);
        buffer_done(&inside->in);
        conversation_done(&inside->conversation);
        *inside = (Inside){ .fd = -EBADF };
}

int sandbox_new(SandboxContext *context, const char *image, const char *rootfs, const Limits *limits,
                Sandbox **ret)
{
        Sandbox *sandbox = calloc(1, sizeof(Sandbox));
        _cleanup_free_ char *error = NULL;
        int fds[2];

        expect(sandbox && limits_check_ceilings(limits, &context->config->ceilings, &error) == 0);
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        sandbox->context = context;
        sandbox->image = strdup(image);
        sandbox->state = world.parks_at_once ? SANDBOX_PARKED : SANDBOX_STARTING;
        expect(frame_stream_init(&sandbox->stream, context->event, fds[0], &init_handlers, sandbox) == 0);
        inside_done(&world.inside);
        expect(fd_set_nonblock(fds[1], true) == 0);
        world.inside.fd = fds[1];
        world.sandbox = sandbox;
        *ret = sandbox;
        return 0;
}

Sandbox *sandbox_free(Sandbox *sandbox)
{
        expect(sandbox->state == SANDBOX_DEAD);
        free(sandbox->image);
        free(sandbox);
        return NULL;
}

void sandbox_set_owner(Sandbox *sandbox, const SandboxHandlers *handlers, void *owner)
{
        sandbox->handlers = handlers;
        sandbox->owner = owner;
}

int sandbox_take(Sandbox *sandbox, const Limits *limits)
{
        expect(sandbox->state == SANDBOX_PARKED);
        sandbox->state = SANDBOX_TAKEN;
        if (world.limits_at_once) {
                world.inside.is_limited |= sandbox == world.sandbox;
                sandbox->handlers->limited(sandbox, sandbox->owner);
        }
        return 0;
}

int sandbox_start_guest(Sandbox *sandbox)
{
        expect(sandbox->state == SANDBOX_TAKEN);
        sandbox->state = SANDBOX_TOLD;
        return frame_stream_send(&sandbox->stream, FRAME_START, 0, NULL, 0);
}

int sandbox_guest_started(Sandbox *sandbox, usec_t wall_usec)
{
        expect(wall_usec == 1000000 &&
               (sandbox->state == SANDBOX_TOLD || sandbox->state == SANDBOX_LEAVING));
        if (sandbox->state == SANDBOX_TOLD)
                sandbox->state = SANDBOX_RUNNING;
        return 0;
}

int sandbox_guest_ended(Sandbox *sandbox)
{
        expect(sandbox->state == SANDBOX_TOLD || sandbox->state == SANDBOX_RUNNING);
        sandbox->state = SANDBOX_LEAVING;
        return 0;
}

bool sandbox_check_fault(const Sandbox *sandbox, SandboxFault *ret)
{
        return false;
}

void sandbox_read_usage(const Sandbox *sandbox, SandboxUsage *ret)
{
        *ret = (SandboxUsage){};
}

void sandbox_end(Sandbox *sandbox)
{
        sandbox->state = SANDBOX_DEAD;
        frame_stream_done(&sandbox->stream);
        if (world.sandbox == sandbox)
                world.sandbox = NULL;
        sandbox->context->dead(sandbox, sandbox->context->userdata);
}

int manager_profile(Manager *manager, const char *name, const SeccompPrograms **ret, char **ret_error)
{
        static uint8_t filter[8 * 4096];
        static const SeccompPrograms programs = { .programs = { { filter, sizeof(filter) } },
                                                  .n_programs = 1 };

        expect(slug_is_valid(name));
        if (!streq(name, "default")) {
                *ret_error = strdup("there is none");
                return SECCOMP_PROFILE_UNKNOWN;
        }
        *ret = &programs;
        return 0;
}

/* What comes out */

static void expect_to_worker(void *userdata, const Frame *frame)
{
        Peer *peer = userdata;

        expect(!peer->is_answered);
        switch (frame->type) {
        case FRAME_STARTED:
                expect(!peer->is_started);
                peer->is_started = true;
                break;
        case FRAME_STDOUT:
        case FRAME_STDERR:
        case FRAME_RESULT:
        case FRAME_DATA:
                expect(peer->is_started);
                break;
        case FRAME_ANSWER:
                expect_answer(frame);
                peer->is_answered = true;
                break;
        default:
                abort();
        }
}

/* What the worker says may be refused inside; what the plan says is not, but names of results. */
static void expect_to_init(void *userdata, const Frame *frame)
{
        Inside *inside = userdata;
        const char *error;
        Step step;

        expect(!inside->is_started);
        inside->is_started = frame->type == FRAME_START;
        if (frame->type == FRAME_FILE || frame->type == FRAME_DATA || frame->type == FRAME_INPUT_END)
                expect(inside->is_limited);
        if (inside->is_refused)
                return;
        inside->is_refused = conversation_take(&inside->conversation, frame, &step, &error) != 0;
        if (inside->is_refused)
                expect(frame->type == FRAME_FILE || frame->type == FRAME_DATA ||
                       frame->type == FRAME_INPUT_END || frame->type == FRAME_WANTED);
}

static bool read_all(void)
{
        bool is_more = read_frames(world.inside.fd, &world.inside.in, expect_to_init, &world.inside);

        return (!world.is_deaf && read_peers(expect_to_worker)) || is_more;
}

static void run(void)
{
        do
                while (sd_event_run(world.manager.event, 0) > 0)
                        ;
        while (read_all());
}

/* Steps */

static void do_order(void)
{
        static const char *const orders[] = {
                "{'order':'run','plan':{'job':'0123456789abcdef0123456789abcdef','image':'sha256:" HEX
                "0%','profile':'default','arguments':['/bin/x'],'environment':['A=b'],'folder':'/x',"
                "'limits':{'wall_usec':1000000,'memory_bytes':67108864,'processes':10,'cpu_percent':100,"
                "'output_bytes':1048576,'result_bytes':1000,'written_bytes':1048576,'inodes':100,"
                "'open_files':64},'results':['results.json','b']}}",
                "{'order':'install','digest':'sha256:" HEX "0%','probe':['/x']}",
                "{'order':'install','digest':'sha256:" HEX "0%','present':true}",
                "{'order':'remove','digest':'sha256:" HEX "0%'}",
                "{'order':'hold','digests':['sha256:" HEX "0%','sha256:" HEX "00']}",
                "{'order':'images'}",
        };
        Peer *peer = next_peer(&world.manager.server);
        uint8_t what = next(), how = next(), where = next(), with = next();
        char text[1024], *digit;
        size_t n;

        (void) snprintf(text, sizeof(text), "%s", orders[what % ARRAY_SIZE(orders)]);
        digit = strchr(text, '%');
        if (digit)
                *digit = "0123456789abcdef"[what / 16];
        n = spoil(text, how, where, with);
        say_frame(peer->fd, FRAME_ORDER, 0, text, n, -EBADF);
}

static void do_frame(void)
{
        Peer *peer = next_peer(&world.manager.server);
        uint8_t type = next(), flags = next();
        size_t size;
        const uint8_t *bytes = next_bytes(next(), &size);

        say_frame(peer->fd, FRAME_ORDER + type % (_FRAME_TYPE_MAX - 1), flags % 2, bytes, size, -EBADF);
}

static void do_file(void)
{
        static const char *const paths[] = { "a", "a/b", "../a", "/a", "" };
        Peer *peer = next_peer(&world.manager.server);
        uint8_t how = next();
        _cleanup_(buffer_done) Buffer out = {};

        expect(frame_append_file(&out, 0, how % 16, paths[how / 16 % ARRAY_SIZE(paths)], SIZE_MAX) == 0);
        if (how % 16 > 0)
                expect(frame_append(&out, FRAME_DATA, 0, "0123456789abcdef", how % 16, SIZE_MAX) == 0);
        say(peer->fd, out.data, out.size, -EBADF);
}

static void do_blob(void)
{
        Peer *peer = next_peer(&world.manager.server);
        uint8_t how = next();
        _cleanup_close_ int fd = open_some(how);

        say_frame(peer->fd, how & 64 ? FRAME_DATA : FRAME_BLOB, 0, "sha256:" HEX "00", how & 32 ? 70 : 71,
                  how & 16 ? -EBADF : fd);
}

static void do_bytes(void)
{
        Peer *peer = next_peer(&world.manager.server);
        size_t size;
        const uint8_t *bytes = next_bytes(next(), &size);

        if (size > 0)
                say(peer->fd, bytes, size, -EBADF);
}

static void do_init(void)
{
        const InitExit end = { .stdout_size = 10000000, .stderr_size = 1000 };
        _cleanup_(buffer_done) Buffer out = {};
        uint8_t what = next();
        size_t size;
        const uint8_t *bytes = next_bytes(what % 2 == 1 ? what / 8 : 0, &size);
        int r = 0;

        switch (what % 8) {
        case 0:
                r = frame_append(&out, FRAME_STARTED, 0, NULL, 0, SIZE_MAX);
                break;
        case 1:
                r = frame_append(&out, FRAME_STDOUT, 0, bytes, size, SIZE_MAX);
                break;
        case 2:
                r = frame_append_result(&out, what / 64, what / 8 % 8, what / 32 % 2 ? "b" : "results.json",
                                        SIZE_MAX);
                break;
        case 3:
                r = frame_append(&out, FRAME_DATA, 0, bytes, size, SIZE_MAX);
                break;
        case 4:
                if (!(what & 8))
                        r = frame_append(&out, FRAME_ENDED, 0, NULL, 0, SIZE_MAX);
                if (r == 0)
                        r = frame_append_exit(&out, &end, SIZE_MAX);
                break;
        case 5:
                r = frame_append(&out, FRAME_FAILED, 0, bytes, size, SIZE_MAX);
                break;
        case 6:
                r = frame_append(&out, FRAME_ORDER + what / 8 % (_FRAME_TYPE_MAX - 1), 0, bytes, 0,
                                 SIZE_MAX);
                break;
        default:
                inside_done(&world.inside);
                return;
        }
        expect(r == 0);
        say(world.inside.fd, out.data, out.size, -EBADF);
}

/* The sandbox gets on. */
static void do_sandbox(void)
{
        Sandbox *sandbox = world.sandbox;
        uint8_t what = next();

        world.limits_at_once = what & 1;
        world.parks_at_once = what & 2;
        if (!sandbox)
                return;
        if (what & 4 && (!(what & 8) || sandbox->state != SANDBOX_STARTING))
                sandbox->handlers->fault(sandbox, what / 16 % (SANDBOX_FAULT_TIME + 1), "fault",
                                         sandbox->owner);
        else if (sandbox->state == SANDBOX_STARTING) {
                sandbox->state = SANDBOX_PARKED;
                sandbox->handlers->ready(sandbox, sandbox->owner);
        } else if (sandbox->state == SANDBOX_TAKEN && !world.inside.is_limited) {
                world.inside.is_limited = true;
                sandbox->handlers->limited(sandbox, sandbox->owner);
        }
}

/* More than the worker's socket and queue hold, while nobody reads; or it reads again. */
static void do_flood(void)
{
        static const uint8_t zeros[60 * 1024];

        world.is_deaf = next() % 2;
        for (unsigned i = 0; i < 14 && world.is_deaf; i++) {
                say_frame(world.inside.fd, FRAME_STDOUT, 0, zeros, sizeof(zeros), -EBADF);
                run();
        }
}

static void do_child(void)
{
        if (world.child)
                world.child->handler(world.child, next() % 4, world.child->userdata);
}

/* The whole */

static void begin(void)
{
        static const OrderType *const orders[] = { &order_run,  &order_install, &order_images,
                                                   &order_hold, &order_remove,  NULL };
        Manager *m = &world.manager;

        *m = (Manager){};
        expect(sd_event_new(&m->event) >= 0);
        settings_defaults(&sandbox_settings, &m->config);
        m->config.running_max = 2;
        m->config.parked_max = 1;
        m->config.connections_max = 2;
        m->store = &world.store;
        world.store = (struct Store){ .event = m->event, .folder_fd = open("/", O_PATH | O_CLOEXEC) };
        m->context = (SandboxContext){ .event = m->event, .config = &m->config };
        m->server = (OrderServer){ .event = m->event,
                                   .name = "sandboxd",
                                   .types = orders,
                                   .connections_max = m->config.connections_max,
                                   .userdata = m };
        world.inside.fd = -EBADF;
        expect(pool_init(&m->pool, &m->context, m->store) >= 0);
        expect(collector_init(&m->collector, m->event, m->store, &m->pool, &m->config) >= 0);
        expect(order_server_start(&m->server, NULL, 0) >= 0);
}

static void end(void)
{
        Manager *m = &world.manager;

        world.is_deaf = false;
        run();
        order_server_done(&m->server);
        expect(world.store.n_installs == 0 && m->pool.running.n_members == 0);
        collector_done(&m->collector);
        pool_done(&m->pool);
        inside_done(&world.inside);
        safe_close(world.store.folder_fd);
        sd_event_unref(m->event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const steps[])(void) = { do_order, do_order,   do_frame, do_file,  do_blob, do_bytes,
                                               do_init,  do_sandbox, do_child, do_leave, do_flood };
        static const Play orders = { begin, run, end, steps, ARRAY_SIZE(steps) };

        world = (struct World){};
        play(&orders, data, size);
        return 0;
}
