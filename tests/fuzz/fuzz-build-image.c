/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the build service passes on from a box, frame by frame, at last perhaps an answer. Whatever it is,
 * the build ends or has an image whose layout holds that and nothing else, within the limit; nothing is
 * written beside the layout, and no frame is a fault of ours. */

#include "build-work.h"

#include "proto/frame.h"
#include "worker/order-client.h"

#include <string.h>

static Bytes frames;

/* The service: says all at once. */

struct Order {
        sd_event_source *source;
        const OrderHandlers *handlers;
        void *userdata;
};

static int on_feed(sd_event_source *source, void *userdata)
{
        _cleanup_json_ json_object *answer = NULL;
        _cleanup_free_ char *error = NULL;
        const uint8_t *data = frames.data;
        size_t size = frames.size;
        Order *order = userdata;
        Frame frame;

        for (; frame_parse(data, size, &frame) == 0 && frame.type != FRAME_ANSWER;
             data += frame_total_size(&frame), size -= frame_total_size(&frame))
                expect(order->handlers->frame(order, &frame, order->userdata) >= 0);
        if (frame_parse(data, size, &frame) == 0 &&
            json_object_from_bytes(frame.payload, frame.size, &answer, &error) < 0)
                abort();
        expect(order->handlers->ended(order, answer, answer ? NULL : "gone", order->userdata) >= 0);
        return 0;
}

int order_new(sd_event *event, const OrderService *service, json_object *body, const OrderHandlers *handlers,
              void *userdata, Order **ret)
{
        *ret = malloc(sizeof(Order));
        expect(*ret);
        **ret = (Order){ .handlers = handlers, .userdata = userdata };
        return sd_event_add_defer(event, &(*ret)->source, on_feed, *ret) < 0 ? -ENOMEM : 0;
}

Order *order_free(Order *order)
{
        sd_event_source_disable_unref(order->source);
        free(order);
        return NULL;
}

static uint64_t size_of(const char *folder)
{
        DIR *dir = opendir(folder);
        uint64_t size = 0;
        struct stat st;

        expect(dir);
        for (struct dirent *entry; (entry = readdir(dir));)
                if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISREG(st.st_mode)) {
                        expect((st.st_mode & 0111) == 0);
                        size += (uint64_t) st.st_size;
                }
        (void) closedir(dir);
        return size;
}

static void expect_layout(const Work *work)
{
        static const char *const image[] = { "image", NULL }, *const blobs[] = { "sha256", NULL },
                                 *const layout[] = { "oci-layout", "index.json", "blobs", NULL };
        _cleanup_free_ char *below = string_format("%s/blobs", work->image),
                            *files = string_format("%s/blobs/sha256", work->image);

        expect_only(work->folder, image);
        expect_only(work->image, layout);
        expect_only(below, blobs);
        expect(size_of(work->image) + size_of(below) + size_of(files) <= work->size);
        expect(work->size <= IMAGE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Work work = work_begin();
        int r;

        work.started_usec = now_usec(CLOCK_MONOTONIC);
        frames = (Bytes){ data, size };
        r = build_make_image(&work);
        expect(r == 0 ? work.digest && digest_is_valid(work.digest) && !work.is_over
                      : r == BUILD_ENDS && work.is_over);
        expect_layout(&work);
        expect(work.log.size <= LOG_TAIL_MAX);
        work_end(&work);
        return 0;
}
