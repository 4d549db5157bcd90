/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An order: a non-blocking unix socket in the event loop. One buffer out, refilled by its owner only when it
 * is empty, so that a large input never lies in memory; one buffer in, which never holds more than a read
 * and an unfinished frame. The other end is trusted to be the service's, but not to be free of faults: what
 * is no frame ends the order.
 *
 * When the other end stops reading (EPIPE), it may have said why: so sending ends, and reading goes on to
 * its end. */

#include "order-client.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_SIZE        (64U * 1024U)
#define RECEIVE_SIZE_MAX (READ_SIZE + FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)
#define READS_PER_EVENT  8U /* then others have their turn */

struct Order {
        const OrderHandlers *handlers; /* borrowed */
        void *userdata;
        const char *service; /* its name, borrowed */
        int fd;
        sd_event_source *io, *failure;
        Buffer out, in;
        size_t sent; /* of `out` */
        int passed_fd;
        const char *refusal; /* why there will be no answer, as order_fail() takes it; a literal */
        bool is_in_use;      /* a handler may be running: freeing waits for its end */
        bool is_dead;        /* it was freed meanwhile: no more handlers */
};

Order *order_free(Order *order)
{
        if (!order)
                return NULL;
        order->io = sd_event_source_disable_unref(order->io);
        order->failure = sd_event_source_disable_unref(order->failure);
        order->is_dead = true;
        if (order->is_in_use)
                return NULL;
        safe_close(order->fd);
        safe_close(order->passed_fd);
        buffer_done(&order->out);
        buffer_done(&order->in);
        free(order);
        return NULL;
}

static int order_end(Order *order, json_object *answer, const char *error)
{
        (void) sd_event_source_set_enabled(order->io, SD_EVENT_OFF);
        return order->handlers->ended(order, answer, error, order->userdata);
}

/* Without an answer; `what` follows the name of the service. */
static int order_fail(Order *order, const char *what)
{
        _cleanup_free_ char *error = string_format("the %s service %s", order->service, what);

        return order_end(order, NULL, error ?: what);
}

static int take_answer(Order *order, const Frame *frame)
{
        _cleanup_json_ json_object *answer = NULL;
        _cleanup_free_ char *error = NULL;
        int r = json_object_from_bytes(frame->payload, frame->size, &answer, &error);

        if (r < 0)
                return r;
        return r == 0 ? order_end(order, answer, NULL)
                      : order_fail(order, "gave an answer that is no object");
}

/* Takes every whole frame that has come. ORDER_OVER where the order has ended. */
enum {
        ORDER_OVER = 1,
};
static int take_frames(Order *order)
{
        size_t taken = 0;
        Frame frame;
        int r;

        while ((r = frame_parse(order->in.data + taken, order->in.size - taken, &frame)) == 0) {
                taken += frame_total_size(&frame);
                if (frame.type == FRAME_ANSWER)
                        r = take_answer(order, &frame);
                else if (order->handlers->frame)
                        r = order->handlers->frame(order, &frame, order->userdata);
                if (r < 0)
                        return r;
                if (order->is_dead || frame.type == FRAME_ANSWER)
                        return ORDER_OVER;
        }
        buffer_consume(&order->in, taken);
        if (r != FRAME_MALFORMED)
                return 0;
        r = order_fail(order, "sent what is no frame");
        return r < 0 ? r : ORDER_OVER;
}

static int receive(Order *order)
{
        static uint8_t chunk[READ_SIZE]; /* of the one event loop: nothing stays in it */
        int r = 0;

        for (unsigned i = 0; i < READS_PER_EVENT && r == 0; i++) {
                ssize_t n = recv(order->fd, chunk, sizeof(chunk), 0);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n <= 0)
                        return order_fail(order, "ended in the middle of it");
                r = buffer_append(&order->in, chunk, (size_t) n, RECEIVE_SIZE_MAX);
                if (r >= 0)
                        r = take_frames(order);
        }
        return r;
}

static int watch(Order *order, uint32_t events)
{
        return sd_event_source_set_io_events(order->io, events);
}

/* Asks for more to send, now that all is sent. */
static int refill(Order *order)
{
        int r = 0;

        order->out.size = order->sent = 0;
        order->passed_fd = safe_close(order->passed_fd);
        if (order->handlers->fill)
                r = order->handlers->fill(order, &order->out, &order->passed_fd, order->userdata);
        if (r < 0 || order->is_dead)
                return r;
        return order->out.size == 0 ? watch(order, EPOLLIN) : 0;
}

static int transmit(Order *order)
{
        int r = order->sent == order->out.size ? refill(order) : 0;

        while (r >= 0 && !order->is_dead && order->sent < order->out.size) {
                ssize_t n = fd_send(order->fd, order->out.data + order->sent, order->out.size - order->sent,
                                    order->passed_fd);

                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return watch(order, EPOLLIN); /* it reads no more: hear why */
                order->passed_fd = safe_close(order->passed_fd);
                order->sent += (size_t) n;
        }
        return r;
}

/* After a handler: what was freed in it goes now. */
static int release(Order *order, int r)
{
        order->is_in_use = false;
        if (order->is_dead)
                order_free(order);
        return r < 0 ? r : 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Order *order = userdata;
        int r;

        order->is_in_use = true;
        r = events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? receive(order) : transmit(order);
        return release(order, r);
}

static int on_failure(sd_event_source *source, void *userdata)
{
        Order *order = userdata;

        order->is_in_use = true;
        return release(order, order_fail(order, order->refusal));
}

static const char *refusal_from_errno(int error)
{
        switch (error) {
        case -EAGAIN:
                return "has too many orders waiting";
        case -EACCES:
                return "does not let this user in";
        default:
                return "does not run";
        }
}

/* Says from the event loop that it will come to nothing. */
static int order_fail_later(Order *order, sd_event *event, int error)
{
        int r;

        order->refusal = refusal_from_errno(error);
        r = sd_event_add_defer(event, &order->failure, on_failure, order);
        return r < 0 ? r : 0;
}

int order_new(sd_event *event, const OrderService *service, json_object *body, const OrderHandlers *handlers,
              void *userdata, Order **ret)
{
        _cleanup_(order_freep) Order *order = malloc(sizeof(Order));
        const char *text = json_object_text(body);
        int r;

        if (!order || !text)
                return -ENOMEM;
        *order = (Order){
                .handlers = handlers,
                .userdata = userdata,
                .service = service->name,
                .fd = -EBADF,
                .passed_fd = -EBADF,
        };
        if (strlen(text) > FRAME_PAYLOAD_MAX)
                return -E2BIG;
        r = frame_append(&order->out, FRAME_ORDER, 0, text, strlen(text), ORDER_SEND_SIZE_MAX);
        if (r < 0)
                return r;
        order->fd = fd_connect_unix(service->socket_path, SOCK_STREAM | SOCK_NONBLOCK);
        if (order->fd < 0)
                r = order_fail_later(order, event, order->fd);
        else
                r = sd_event_add_io(event, &order->io, order->fd, EPOLLIN | EPOLLOUT, on_io, order);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(order);
        return 0;
}
