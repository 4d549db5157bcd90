/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* s3://BUCKET/FOLDER/: every object whose key begins with FOLDER/. First all pages of the list are read:
 * from then on it is known what comes, and whether it is too much or cannot be files. Then the objects are
 * fetched, some at the same time, each into its place in one file without a name; an object counts only when
 * all of its bytes came, of the version that was listed. When the last is there the input is ready, and is
 * framed as if it had lain on this host. So nothing waits for S3 but the input itself: no sandbox is taken
 * yet. */

#include "input.h"

#include "s3-list.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#define DATA_SIZE      (32U * 1024U)
#define PARALLEL_MAX   8U
#define PAGE_SIZE_TEXT "1000"
#define PAGES_MAX      100U /* a page may have no object of use */
#define OBJECTS_GROWTH 1024U

typedef struct S3Input S3Input;

typedef struct S3File {
        S3Object object;  /* owned */
        const char *path; /* in its key */
        uint64_t offset;  /* in the spool */
} S3File;

/* One of the transfers that go on at the same time. */
typedef struct Lane {
        S3Input *in;
        S3Request *request; /* NULL: idle */
        const S3File *file;
        char *condition; /* the ETag as If-Match wants it */
        uint64_t written;
        bool is_longer; /* than was listed */
        int error;      /* it cannot be kept here */
} Lane;

struct S3Input {
        Input input;
        InputContext context;
        S3Place place;
        S3Request *listing;
        const char *query[13]; /* of the listing; borrows `next` */
        char *next;            /* the token of the page that is read */
        unsigned n_pages;
        S3File *files; /* owned */
        size_t n_files, n_allocated, n_listed;
        uint64_t size;
        Lane lanes[PARALLEL_MAX];
        size_t n_started, n_fetched;
        int spool_fd;
        size_t n_filled; /* files that were framed */
        uint64_t offset; /* in the file being framed; its FILE frame is out where `is_open` */
        bool is_open;
};

static void s3_input_free(Input *input)
{
        S3Input *in = CONTAINER_OF(input, S3Input, input);

        s3_request_free(in->listing);
        for (size_t i = 0; i < PARALLEL_MAX; i++) {
                s3_request_free(in->lanes[i].request);
                free(in->lanes[i].condition);
        }
        for (size_t i = 0; i < in->n_files; i++)
                s3_object_done(&in->files[i].object);
        free(in->files);
        free(in->next);
        s3_place_done(&in->place);
        safe_close(in->spool_fd);
        free(in);
}

static void s3_input_freep(S3Input **in)
{
        if (*in)
                s3_input_free(&(*in)->input);
}

/* It will not be there. Takes `error`. The input is gone afterwards. */
static int fail(S3Input *in, char *error)
{
        _cleanup_free_ char *text = error;

        return text ? in->context.fetched(text, in->context.userdata) : -ENOMEM;
}

/* `why` may be NULL. */
static int fail_object(S3Input *in, const S3Object *object, const char *what, const char *why)
{
        _cleanup_free_ char *key = string_escape(object->key, object->key_size, S3_KEY_SIZE_MAX);

        return fail(in, key ? string_format("the object %s in the input %s%s%s", key, what, why ? ": " : "",
                                            why ?: "")
                            : NULL);
}

/* Fetching: each lane takes the next file that has content. */

static int fetch_more(S3Input *in);

static int on_bytes(const void *data, size_t size, void *userdata)
{
        Lane *lane = userdata;

        lane->is_longer = size > lane->file->object.size - lane->written;
        if (lane->is_longer)
                return -EFBIG;
        for (const uint8_t *bytes = data; size > 0;) {
                ssize_t n = pwrite(lane->in->spool_fd, bytes, size,
                                   (off_t) (lane->file->offset + lane->written));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return lane->error = -errno;
                bytes += n;
                size -= (size_t) n;
                lane->written += (size_t) n;
        }
        return 0;
}

static int on_rewind(void *userdata)
{
        Lane *lane = userdata;

        lane->written = 0;
        return 0;
}

static int on_object(S3Request *request, const Buffer *body, const char *error, void *userdata)
{
        Lane *lane = userdata;
        S3Input *in = lane->in;
        const S3Object *object = &lane->file->object;

        if (lane->is_longer || (!error && lane->written != object->size))
                return fail_object(in, object, "has another size than its listing says", NULL);
        if (lane->error < 0)
                return fail(in,
                            string_format("this worker cannot keep the input: %s", strerror(-lane->error)));
        if (error)
                return fail_object(in, object, "cannot be fetched", error);
        lane->request = s3_request_free(request);
        in->n_fetched++;
        return fetch_more(in);
}

/* ETags are compared as they were listed; some servers leave the quotes out there. */
static int set_condition(Lane *lane)
{
        const char *etag = lane->file->object.etag;

        free(lane->condition);
        lane->condition = !etag ? NULL : *etag == '"' ? strdup(etag) : string_format("\"%s\"", etag);
        return etag && !lane->condition ? -ENOMEM : 0;
}

static int start_lane(S3Input *in, Lane *lane, const S3File *file)
{
        S3Get get;
        int r;

        lane->in = in;
        lane->file = file;
        lane->written = 0;
        r = set_condition(lane);
        if (r < 0)
                return r;
        get = (S3Get){
                .bucket = in->place.bucket,
                .key = file->object.key,
                .etag = lane->condition,
                .sink = on_bytes,
                .rewind = on_rewind,
                .userdata = lane,
        };
        return s3_request_new(in->context.s3, &get, on_object, lane, &lane->request);
}

static int fetch_more(S3Input *in)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < PARALLEL_MAX; i++) {
                if (in->lanes[i].request)
                        continue;
                while (in->n_started < in->n_files && in->files[in->n_started].object.size == 0) {
                        in->n_started++;
                        in->n_fetched++;
                }
                if (in->n_started == in->n_files)
                        break;
                r = start_lane(in, &in->lanes[i], &in->files[in->n_started]);
                in->n_started++;
        }
        if (r < 0)
                return r;
        return in->n_fetched == in->n_files ? in->context.fetched(NULL, in->context.userdata) : 0;
}

/* On the disk of the worker's folder, or where that cannot be, in memory. */
static int open_spool(const char *folder)
{
        int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
                fd = memfd_create("input", MFD_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int fetch_all(S3Input *in)
{
        uint64_t offset = 0;

        in->spool_fd = open_spool(in->context.spool_folder);
        if (in->spool_fd < 0)
                return fail(in, strdup("this worker has no room for the input"));
        for (size_t i = 0; i < in->n_files; i++) {
                in->files[i].offset = offset;
                offset += in->files[i].object.size;
        }
        return fetch_more(in);
}

/* The list, when it is whole. */

/* By path, where '/' comes before all else: then what a file's path and a folder's share lies
 * side by side. */
static int compare_files(const void *a, const void *b)
{
        const char *x = ((const S3File *) a)->path, *y = ((const S3File *) b)->path;

        while (*x && *x == *y) {
                x++;
                y++;
        }
        return (*x == '/' ? 1 : (uint8_t) *x) - (*y == '/' ? 1 : (uint8_t) *y);
}

static int check_collisions(S3Input *in)
{
        qsort(in->files, in->n_files, sizeof(S3File), compare_files);
        for (size_t i = 1; i < in->n_files; i++) {
                const char *rest = string_after(in->files[i].path, in->files[i - 1].path);

                if (rest && *rest == '\0')
                        return fail_object(in, &in->files[i].object, "is listed twice", NULL);
                if (rest && *rest == '/')
                        return fail_object(in, &in->files[i - 1].object, "is a file and a folder", NULL);
        }
        return 1;
}

static int when_listed(S3Input *in)
{
        int r;

        if (in->n_files == 0)
                return fail(in, strdup("the input has no files"));
        r = check_collisions(in);
        return r > 0 ? fetch_all(in) : r;
}

/* One page. */

static int grow_files(S3Input *in)
{
        S3File *larger;

        if (in->n_files < in->n_allocated)
                return 0;
        larger = reallocarray(in->files, in->n_allocated + OBJECTS_GROWTH, sizeof(S3File));
        if (!larger)
                return -ENOMEM;
        in->files = larger;
        in->n_allocated += OBJECTS_GROWTH;
        return 0;
}

/* Takes the object. 1 where it was taken, 0 where the input failed by it. */
static int add_object(S3Input *in, S3Object *object)
{
        const S3Settings *settings = s3_client_settings(in->context.s3);
        const char *path, *error;
        int r = s3_key_check(object->key, object->key_size, object->size, in->place.prefix, &path, &error);

        if (r == S3_KEY_BAD)
                return fail_object(in, object, error, NULL);
        if (++in->n_listed > in->context.n_files_max)
                return fail(in, string_format("the input has more than %" PRIu64 " files",
                                              in->context.n_files_max));
        if (r == S3_KEY_FOLDER)
                return 1;
        if (object->size > settings->object_size_max)
                return fail_object(in, object, "is larger than this worker allows", NULL);
        if (object->size > in->context.size_max - in->size)
                return fail(in, string_format("the input is larger than %" PRIu64 " bytes",
                                              in->context.size_max));
        r = grow_files(in);
        if (r < 0)
                return r;
        in->size += object->size;
        in->files[in->n_files++] = (S3File){ .object = *object, .path = path };
        *object = (S3Object){};
        return 1;
}

static int list_page(S3Input *in);

static int take_page(S3Input *in, S3Page *page)
{
        for (size_t i = 0; i < page->n_objects; i++) {
                int r = add_object(in, &page->objects[i]);

                if (r <= 0)
                        return r;
        }
        if (!page->next)
                return when_listed(in);
        if (++in->n_pages == PAGES_MAX)
                return fail(in, strdup("the input's listing has no end"));
        free(in->next);
        in->next = TAKE_PTR(page->next);
        return list_page(in);
}

static int on_page(S3Request *request, const Buffer *body, const char *error, void *userdata)
{
        _cleanup_(s3_page_done) S3Page page = {};
        const char *malformed;
        S3Input *in = userdata;
        int r;

        if (error)
                return fail(in, string_format("the input cannot be listed: %s", error));
        r = s3_page_parse((const char *) body->data, body->size, &page, &malformed);
        if (r == S3_XML_BAD)
                return fail(in, string_format("the input cannot be listed: S3's answer is malformed: %s",
                                              malformed));
        if (r < 0)
                return r;
        in->listing = s3_request_free(request);
        return take_page(in, &page);
}

static int list_page(S3Input *in)
{
        const char *const pairs[] = {
                "list-type",
                "2",
                "encoding-type",
                "url",
                "max-keys",
                PAGE_SIZE_TEXT,
                "prefix",
                in->place.prefix,
                "continuation-token",
                in->next,
                NULL,
        };
        S3Get get = { .bucket = in->place.bucket, .query = in->query, .size_max = S3_XML_SIZE_MAX };

        memcpy(in->query, pairs, sizeof(pairs));
        if (!in->next)
                in->query[8] = NULL;
        return s3_request_new(in->context.s3, &get, on_page, in, &in->listing);
}

static int s3_input_open(const char *rest, const InputContext *context, Input **ret, char **ret_error)
{
        _cleanup_(s3_input_freep) S3Input *in = calloc(1, sizeof(S3Input));
        const char *error;
        int r;

        if (!in)
                return -ENOMEM;
        in->spool_fd = -EBADF;
        in->context = *context;
        in->context.n_files_max = MIN(context->n_files_max, INPUT_FILES_MAX);
        if (!context->s3)
                return error_set(ret_error, INPUT_BAD, "%s", context->no_s3);
        r = s3_place_parse(rest, &in->place, &error);
        if (r == S3_URI_BAD)
                return error_set(ret_error, INPUT_BAD, "%s", error);
        if (r < 0)
                return r;
        if (!s3_place_is_allowed(&in->place, s3_client_settings(context->s3)->allowed))
                return error_set(ret_error, INPUT_BAD, "this worker may not read inputs there");
        r = list_page(in);
        if (r < 0)
                return r;
        *ret = &TAKE_PTR(in)->input;
        return INPUT_FETCHING;
}

static char *s3_input_progress(const Input *input)
{
        const S3Input *in = CONTAINER_OF(input, S3Input, input);
        const char *fault = in->listing ? s3_request_fault(in->listing) : NULL;

        for (size_t i = 0; !fault && i < PARALLEL_MAX; i++)
                if (in->lanes[i].request)
                        fault = s3_request_fault(in->lanes[i].request);
        if (in->listing)
                return string_format("the input is being listed%s%s", fault ? ": " : "", fault ?: "");
        return string_format("%zu of the input's %zu files are fetched%s%s", in->n_fetched, in->n_files,
                             fault ? ": " : "", fault ?: "");
}

/* Framing, when all is there. */

static int next_file(S3Input *in, Buffer *out)
{
        const S3File *file = &in->files[in->n_filled];

        in->is_open = file->object.size > 0;
        in->offset = 0;
        if (!in->is_open)
                in->n_filled++;
        return frame_append_file(out, 0, file->object.size, file->path, SIZE_MAX);
}

static int next_data(S3Input *in, Buffer *out, char **ret_error)
{
        const S3File *file = &in->files[in->n_filled];
        uint8_t data[DATA_SIZE];
        size_t wanted = (size_t) MIN(file->object.size - in->offset, (uint64_t) sizeof(data));
        ssize_t n = pread(in->spool_fd, data, wanted, (off_t) (file->offset + in->offset));

        if (n <= 0)
                return error_set(ret_error, INPUT_BAD, "what was fetched cannot be read again");
        in->offset += (uint64_t) n;
        if (in->offset == file->object.size) {
                in->n_filled++;
                in->is_open = false;
        }
        return frame_append(out, FRAME_DATA, 0, data, (size_t) n, SIZE_MAX);
}

static int s3_input_fill(Input *input, Buffer *out, size_t size_max, char **ret_error)
{
        S3Input *in = CONTAINER_OF(input, S3Input, input);
        size_t margin = FRAME_HEADER_SIZE + DATA_SIZE;
        int r = 0;

        while (r == 0 && in->n_filled < in->n_files) {
                if (out->size + margin > size_max)
                        return 0;
                r = in->is_open ? next_data(in, out, ret_error) : next_file(in, out);
        }
        if (r != 0)
                return r;
        r = frame_append(out, FRAME_INPUT_END, 0, NULL, 0, SIZE_MAX);
        return r < 0 ? r : INPUT_COMPLETE;
}

const InputScheme input_s3 = {
        .prefix = "s3://",
        .open = s3_input_open,
        .fill = s3_input_fill,
        .free = s3_input_free,
        .progress = s3_input_progress,
};
