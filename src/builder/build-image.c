/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation with the build service: plan, descriptors; log lines back, then the files of an OCI
 * layout, then an answer. What comes back was made by strangers: a file is written only under one of the
 * names that a layout has, and the layout may hold the blobs of one image and nothing else. That blobs are
 * what their digests say is checked by the sandbox service, when it tries the image. */

#include "build-work.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"
#include "proto/image.h"
#include "shared/oci-layout.h"
#include "worker/order-client.h"
#include "worker/outcome-build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define IMAGE_FOLDER "image"
#define LINE_MAX_    2048U
#define STEPS_MAX    9999U
#define FILES_MAX    512U /* of a layout */
#define MARGIN_USEC  (30 * USEC_PER_SEC)

typedef struct Conversation {
        Work *work;
        sd_event *event;
        size_t n_sent; /* descriptors */
        int file_fd;   /* that is being received */
        uint64_t file_left;
        size_t n_files; /* over FILES_MAX: that was its end */
        Buffer line;    /* of the log, begun */
        SandboxAnswer answer;
        char *error; /* why there is no answer */
        int result;  /* < 0: ours is at its end */
} Conversation;

static void conversation_done(Conversation *c)
{
        safe_close(c->file_fd);
        buffer_done(&c->line);
        sandbox_answer_done(&c->answer);
        free(c->error);
}

/* To the service */

static int on_fill(Order *order, Buffer *out, int *ret_fd, void *userdata)
{
        static const char *const names[] = { "dockerfile", "context" };
        static const char *const files[] = { "Dockerfile", "context.tar" };
        Conversation *c = userdata;
        _cleanup_free_ char *path = NULL;
        size_t n = c->n_sent++, n_bases = strv_length(c->work->bases);
        const char *name = n < ARRAY_SIZE(names) ? names[n] : "base";

        if (n > ARRAY_SIZE(names) + n_bases)
                return 0;
        if (n == ARRAY_SIZE(names) + n_bases)
                return frame_append(out, FRAME_INPUT_END, 0, NULL, 0, ORDER_SEND_SIZE_MAX);
        path = n < ARRAY_SIZE(files)
                       ? build_path(c->work, files[n])
                       : string_format("%s/base-%zu.tar", c->work->folder, n - ARRAY_SIZE(names));
        if (!path)
                return -ENOMEM;
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 ? -errno
                           : frame_append(out, FRAME_BLOB, 0, name, strlen(name), ORDER_SEND_SIZE_MAX);
}

/* From the service */

static int broken(Conversation *c, const char *what)
{
        free(c->error);
        c->error = string_format("the build service sent %s", what);
        return c->error ? sd_event_exit(c->event, 0) : -ENOMEM;
}

/* "STEP 2/6: RUN …" */
static int take_line(Conversation *c, char *line)
{
        unsigned step, n_steps;
        int at = 0;

        if (sscanf(line, "STEP %4u/%4u: %n", &step, &n_steps, &at) < 2 || at == 0 || step == 0 ||
            step > n_steps || n_steps > STEPS_MAX)
                return 0;
        return build_say_step(c->work, step, n_steps, line + at);
}

static int take_output(Conversation *c, const Frame *frame)
{
        const char *data = (const char *) frame->payload;
        int r = build_log(c->work, data, frame->size);

        for (size_t i = 0; r == 0 && i < frame->size; i++) {
                if (data[i] != '\n') {
                        if (c->line.size < LINE_MAX_)
                                r = buffer_append(&c->line, &data[i], 1, LINE_MAX_);
                        continue;
                }
                r = buffer_append(&c->line, "", 1, LINE_MAX_ + 1);
                if (r == 0)
                        r = take_line(c, (char *) c->line.data);
                c->line.size = 0;
        }
        return r;
}

static bool name_is_of_layout(const char *path, size_t size)
{
        static const char blobs[] = OCI_BLOBS;
        const char *hex = path + sizeof(blobs) - 1;

        if ((size == 10 && memcmp(path, "oci-layout", 10) == 0) ||
            (size == 10 && memcmp(path, OCI_INDEX, 10) == 0))
                return true;
        if (size != sizeof(blobs) - 1 + DIGEST_HEX_SIZE || memcmp(path, blobs, sizeof(blobs) - 1) != 0)
                return false;
        for (size_t i = 0; i < DIGEST_HEX_SIZE; i++)
                if (!strchr("0123456789abcdef", hex[i]) || hex[i] == '\0')
                        return false;
        return true;
}

static int take_file(Conversation *c, const Frame *frame)
{
        _cleanup_free_ char *path = NULL;
        FrameFile file;

        if (c->file_left > 0 || frame_parse_file(frame, &file) != 0 ||
            !name_is_of_layout(file.path, file.path_size) ||
            file.size > c->work->settings->limits.image_bytes - c->work->size)
                return broken(c, "a file that is none of an image");
        if (++c->n_files > FILES_MAX)
                return sd_event_exit(c->event, 0);
        c->work->size += file.size;
        path = string_format("%s/%.*s", c->work->image, (int) file.path_size, file.path);
        if (!path)
                return -ENOMEM;
        safe_close(c->file_fd);
        c->file_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (c->file_fd < 0)
                return errno == EEXIST ? broken(c, "a file twice") : -errno;
        c->file_left = file.size;
        return 0;
}

static int take_data(Conversation *c, const Frame *frame)
{
        if (frame->size > c->file_left)
                return broken(c, "more of a file than it announced");
        c->file_left -= frame->size;
        return write_all(c->file_fd, frame->payload, frame->size);
}

static int take_started(Conversation *c, const Frame *frame)
{
        return build_say(c->work, "build", "the build begins");
}

static int on_frame(Order *order, const Frame *frame, void *userdata)
{
        static int (*const types[])(Conversation * c, const Frame *frame) = {
                [FRAME_STARTED] = take_started,
                [FRAME_STDOUT] = take_output,
                [FRAME_FILE] = take_file,
                [FRAME_DATA] = take_data,
        };

        const Conversation *c = userdata;

        if (c->error || c->n_files > FILES_MAX) /* what comes behind that is of no use */
                return 0;
        if (frame->type >= ARRAY_SIZE(types) || !types[frame->type])
                return broken(userdata, "a frame that has no place here");
        return types[frame->type](userdata, frame);
}

static int on_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        _cleanup_free_ char *wrong = NULL;
        Conversation *c = userdata;
        int r = answer ? sandbox_answer_from_json(answer, &c->answer, &wrong) : 0;

        if (r < 0)
                return r;
        if ((!answer || r == JSON_BAD) && !c->error) {
                c->error = wrong ? string_format("the build service's answer is malformed: %s", wrong)
                                 : strdup(error);
                if (!c->error)
                        return -ENOMEM;
        }
        return sd_event_exit(c->event, 0);
}

static const OrderHandlers handlers = { .fill = on_fill, .frame = on_frame, .ended = on_ended };

static int make_order(const Work *work, json_object **ret)
{
        usec_t spent = now_usec(CLOCK_MONOTONIC) - work->started_usec;
        BuildPlan plan = {
                .job = work->job->job,
                .channel = work->job->target,
                .track = work->job->track,
                .timestamp = work->commit_time,
                .n_bases = strv_length(work->bases),
                .network = work->settings->network,
                .limits = work->settings->limits,
        };
        _cleanup_json_ json_object *body = json_object_new_object();
        json_object *object;

        plan.limits.wall_usec = work->job->build_usec - MIN(spent, work->job->build_usec - USEC_PER_SEC);
        object = build_plan_to_json(&plan);
        if (!body || !object || json_add(body, "plan", object) < 0 ||
            json_add_text(body, "order", "build") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(body);
        return 0;
}

static int make_folders(Work *work)
{
        static const char *const folders[] = { "", "/blobs", "/blobs/sha256" };

        work->image = build_path(work, IMAGE_FOLDER);
        if (!work->image)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = string_format("%s%s", work->image, folders[i]);

                if (!path)
                        return -ENOMEM;
                if (mkdir(path, 0755) < 0)
                        return -errno;
        }
        return 0;
}

static int converse(Conversation *c)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_json_ json_object *body = NULL;
        _cleanup_(order_freep) Order *order = NULL;
        int r;

        r = make_order(c->work, &body);
        if (r >= 0)
                r = sd_event_new(&event);
        c->event = event;
        if (r >= 0)
                r = order_new(event, BUILD_SERVICE(c->work->settings->socket), body, &handlers, c, &order);
        return r < 0 ? r : sd_event_loop(event);
}

/* What it means */

static int end_by_limit(Work *work, const SandboxAnswer *answer)
{
        static const struct {
                const char *limit;
                StatusCode code;
        } codes[] = {
                { "wall_time", STATUS_TIMED_OUT },      { "output", STATUS_EXCESSIVE_OUTPUT },
                { "written", STATUS_EXCESSIVE_OUTPUT }, { "image", STATUS_EXCESSIVE_OUTPUT },
                { "memory", STATUS_TERMINATED },        { "processes", STATUS_TERMINATED },
        };
        _cleanup_json_ json_object *detail = json_object_new_object();
        bool is_time = streq(answer->limit_name, "wall_time");
        StatusCode code = STATUS_TERMINATED;

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (streq(codes[i].limit, answer->limit_name))
                        code = codes[i].code;
        if (!detail || json_add_text(detail, "limit", answer->limit_name) < 0 ||
            json_add_uint(detail, "value", answer->limit_value / (is_time ? USEC_PER_MSEC : 1)) < 0 ||
            json_add_uint(detail, "used", answer->limit_used / (is_time ? USEC_PER_MSEC : 1)) < 0)
                return -ENOMEM;
        return build_end(work, code, TAKE_PTR(detail), "the build went over its limit: %s",
                         answer->limit_name);
}

/* The image of a layout that holds one. */
static int find_image(Work *work, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        const OciImage *images;
        size_t n;
        int r = oci_layout_open_path(work->image, &layout, ret_error);

        if (r < 0 || r == OCI_LAYOUT_BAD)
                return r;
        if (r == OCI_LAYOUT_MISSING)
                return 0;
        images = oci_layout_images(layout, &n);
        if (n != 1)
                return 0;
        work->digest = strdup(images[0].digest);
        return work->digest ? 0 : -ENOMEM;
}

/* Nothing else may be in it: it goes into the registry as it is. */
static int count_blobs(const Work *work, size_t *ret_n)
{
        _cleanup_free_ char *path = string_format("%s/" OCI_BLOBS, work->image);
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        size_t n = 0;
        int r = path ? folder_open(AT_FDCWD, path, &folder) : -ENOMEM;

        while (r == 0 && (r = folder_next(folder, &entry)) > 0) {
                n += entry->d_name[0] != '.';
                r = 0;
        }
        if (r == 0)
                *ret_n = n;
        return r;
}

/* How many blobs the image has, each counted once. */
static int count_wanted(const Work *work, size_t *ret_n, char **ret_error)
{
        _cleanup_(oci_layout_freep) OciLayout *layout = NULL;
        _cleanup_(image_manifest_done) ImageManifest manifest = {};
        _cleanup_(strv_freep) char **digests = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = oci_layout_open_path(work->image, &layout, ret_error);

        if (r == 0)
                r = oci_layout_read_blob(layout, work->digest, IMAGE_MANIFEST_SIZE_MAX, &text, &size);
        if (r == 0)
                r = image_manifest_parse(text, size, &manifest, ret_error);
        if (r == 0)
                r = strv_extend(&digests, work->digest);
        if (r == 0)
                r = strv_extend(&digests, manifest.config.digest);
        for (size_t i = 0; r == 0 && i < manifest.n_layers; i++)
                if (!strv_contains(digests, manifest.layers[i].digest))
                        r = strv_extend(&digests, manifest.layers[i].digest);
        *ret_n = strv_length(digests);
        return r;
}

static int check_image(Work *work)
{
        _cleanup_free_ char *error = NULL;
        size_t n_wanted, n;
        int r = find_image(work, &error);

        if (r == 0 && work->digest)
                r = count_wanted(work, &n_wanted, &error);
        if (r == 0 && work->digest)
                r = count_blobs(work, &n);
        if (r < 0 && r != -EFBIG)
                return r;
        if (r != 0 || !work->digest || n != n_wanted)
                return build_end(work, STATUS_SETUP_FAILED, NULL, "what was built is no image: %s",
                                 error ?: "its layout holds something else");
        return 0;
}

/* A guest's doing, by so many steps. */
static const SandboxAnswer FILES_LIMIT = {
        .limit_name = (char *) "image",
        .limit_value = FILES_MAX,
        .limit_used = FILES_MAX + 1,
};

static int judge(Conversation *c)
{
        const SandboxAnswer *answer = &c->answer;
        Work *work = c->work;

        if (c->n_files > FILES_MAX)
                return end_by_limit(work, &FILES_LIMIT);
        if (c->error)
                return build_end(work, STATUS_WORKER_ERROR, NULL, "%s", c->error);
        if (answer->code != 0)
                return build_end(work, (StatusCode) answer->code, NULL, "%s", answer->error ?: "unknown");
        if (answer->limit_name)
                return end_by_limit(work, answer);
        if (answer->status != 0)
                return build_end(work, STATUS_ANALYZER_FAILED, NULL,
                                 "a step of the Dockerfile failed with %u", (unsigned) answer->status);
        if (c->file_left > 0)
                return build_end(work, STATUS_WORKER_ERROR, NULL, "the build service sent half a file");
        return check_image(work);
}

int build_make_image(Work *work)
{
        _cleanup_(conversation_done) Conversation c = { .work = work, .file_fd = -EBADF };
        int r = build_say(work, "build", "waiting for the build service");

        if (r == 0)
                r = make_folders(work);
        if (r == 0)
                r = converse(&c);
        return r < 0 ? r : judge(&c);
}
