/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expat calls back for each element; a table says what a leaf's text is for, by the path of elements that
 * leads to it. What is not in the table is passed over. Keys come encoded as in URLs, where that was asked
 * for and the answer says so: XML has no way to write a control character. */

#include "s3-list.h"

#include "basic/parse-util.h"
#include "basic/percent.h"
#include "basic/string-util.h"
#include "shared/aws-sign.h"

#include <errno.h>
#include <expat.h>

#define DEPTH_MAX     8U
#define PATH_SIZE_MAX 128U
#define CODE_SIZE_MAX 64U
#define ETAG_SIZE_MAX 256U

#define CODE_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

typedef struct Reader Reader;

typedef struct Leaf {
        const char *path;
        /* 0, -ENOMEM, S3_XML_BAD (`wrong` is set) */
        int (*take)(Reader *reader, const char *text, size_t size);
} Leaf;

struct Reader {
        XML_Parser parser;
        const Leaf *leaves;
        size_t n_leaves;
        const char *root;        /* the outermost element must be this; NULL: any */
        const char *object_path; /* an element that begins a new object; NULL: none does */
        char path[PATH_SIZE_MAX];
        unsigned depth;
        const Leaf *leaf; /* its text comes */
        char text[S3_TEXT_SIZE_MAX + S3_TOKEN_SIZE_MAX];
        size_t text_size;
        int error;
        const char *wrong;
        S3Page page;
        bool is_encoded, is_truncated;
        S3Error failure;
};

void s3_object_done(S3Object *object)
{
        free(object->key);
        free(object->etag);
        *object = (S3Object){};
}

void s3_page_done(S3Page *page)
{
        for (size_t i = 0; i < page->n_objects; i++)
                s3_object_done(&page->objects[i]);
        free(page->objects);
        free(page->next);
        *page = (S3Page){};
}

void s3_error_done(S3Error *error)
{
        free(error->code);
        free(error->region);
        *error = (S3Error){};
}

/* Reading. */

static void stop(Reader *reader, int error, const char *wrong)
{
        if (reader->error == 0) {
                reader->error = error;
                reader->wrong = wrong;
        }
        (void) XML_StopParser(reader->parser, XML_FALSE);
}

static int wrong(Reader *reader, const char *what)
{
        reader->wrong = what;
        return S3_XML_BAD;
}

static int add_object(Reader *reader)
{
        S3Page *page = &reader->page;

        if (page->n_objects == S3_PAGE_OBJECTS_MAX)
                return wrong(reader, "a page has more objects than were asked for");
        if (!page->objects)
                page->objects = calloc(S3_PAGE_OBJECTS_MAX, sizeof(S3Object));
        if (!page->objects)
                return -ENOMEM;
        page->n_objects++;
        return 0;
}

static void on_start(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
        Reader *reader = userdata;
        size_t length = strlen(reader->path);
        int r = 0;

        reader->leaf = NULL;
        if (++reader->depth > DEPTH_MAX || length + strlen(name) + 2 > sizeof(reader->path)) {
                stop(reader, S3_XML_BAD, "its elements lie too deep");
                return;
        }
        if (reader->depth == 1 && reader->root && !streq(name, reader->root)) {
                stop(reader, S3_XML_BAD, "it is no listing");
                return;
        }
        reader->path[length] = '/';
        strcpy(reader->path + length + 1, name);
        for (size_t i = 0; i < reader->n_leaves; i++)
                if (streq(reader->leaves[i].path, reader->path))
                        reader->leaf = &reader->leaves[i];
        reader->text_size = 0;
        if (reader->object_path && streq(reader->path, reader->object_path))
                r = add_object(reader);
        if (r != 0)
                stop(reader, r, reader->wrong);
}

static void on_text(void *userdata, const XML_Char *text, int size)
{
        Reader *reader = userdata;

        if (!reader->leaf)
                return;
        if (reader->text_size + (size_t) size >= sizeof(reader->text)) {
                stop(reader, S3_XML_BAD, "it has a text that is too long");
                return;
        }
        memcpy(reader->text + reader->text_size, text, (size_t) size);
        reader->text_size += (size_t) size;
}

static void on_end(void *userdata, const XML_Char *name)
{
        Reader *reader = userdata;
        char *slash = strrchr(reader->path, '/');
        int r = 0;

        reader->text[reader->text_size] = '\0';
        if (reader->leaf)
                r = reader->leaf->take(reader, reader->text, reader->text_size);
        reader->leaf = NULL;
        if (slash)
                *slash = '\0';
        reader->depth--;
        if (r != 0)
                stop(reader, r, reader->wrong);
}

static void on_doctype(void *userdata, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int has_subset)
{
        stop(userdata, S3_XML_BAD, "it has a document type");
}

static int read_xml(Reader *reader, const char *xml, size_t size)
{
        enum XML_Status status = XML_STATUS_ERROR;

        if (size > S3_XML_SIZE_MAX)
                return wrong(reader, "it is too large");
        reader->parser = XML_ParserCreate("UTF-8");
        if (!reader->parser)
                return -ENOMEM;
        XML_SetUserData(reader->parser, reader);
        XML_SetElementHandler(reader->parser, on_start, on_end);
        XML_SetCharacterDataHandler(reader->parser, on_text);
        XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
        status = XML_Parse(reader->parser, xml ?: "", (int) size, XML_TRUE);
        if (status != XML_STATUS_OK && reader->error == 0) {
                reader->error =
                        XML_GetErrorCode(reader->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : S3_XML_BAD;
                reader->wrong = "it is no XML";
        }
        XML_ParserFree(reader->parser);
        return reader->error;
}

/* A page. */

static S3Object *last_object(Reader *reader)
{
        return &reader->page.objects[reader->page.n_objects - 1];
}

static int set_text(char **place, const char *text)
{
        free(*place);
        *place = strdup(text);
        return *place ? 0 : -ENOMEM;
}

static int take_key(Reader *reader, const char *text, size_t size)
{
        S3Object *object = last_object(reader);

        if (object->key)
                return wrong(reader, "an object has two keys");
        object->key = malloc(size + 1);
        if (!object->key)
                return -ENOMEM;
        memcpy(object->key, text, size + 1);
        object->key_size = size;
        return 0;
}

static int take_size(Reader *reader, const char *text, size_t size)
{
        if (parse_uint64(text, 0, INT64_MAX, &last_object(reader)->size) < 0)
                return wrong(reader, "an object has a size that is no number");
        return 0;
}

/* It goes into a header. */
static int take_etag(Reader *reader, const char *text, size_t size)
{
        if (size == 0)
                return 0;
        if (!aws_text_is_valid(text, ETAG_SIZE_MAX))
                return wrong(reader, "an object has an ETag that is malformed");
        return set_text(&last_object(reader)->etag, text);
}

static int take_truncated(Reader *reader, const char *text, size_t size)
{
        reader->is_truncated = streq(text, "true");
        return 0;
}

static int take_next(Reader *reader, const char *text, size_t size)
{
        if (size == 0 || size > S3_TOKEN_SIZE_MAX)
                return wrong(reader, "its token of the next page is malformed");
        return set_text(&reader->page.next, text);
}

static int take_encoding(Reader *reader, const char *text, size_t size)
{
        reader->is_encoded = streq(text, "url");
        return 0;
}

static const Leaf page_leaves[] = {
        { "/ListBucketResult/Contents/Key", take_key },
        { "/ListBucketResult/Contents/Size", take_size },
        { "/ListBucketResult/Contents/ETag", take_etag },
        { "/ListBucketResult/IsTruncated", take_truncated },
        { "/ListBucketResult/NextContinuationToken", take_next },
        { "/ListBucketResult/EncodingType", take_encoding },
};

/* A `+` is a blank, as in forms: that is how keys are encoded there. */
static int decode_key(S3Object *object)
{
        for (char *s = object->key; *s; s++)
                if (*s == '+')
                        *s = ' ';
        return percent_decode(object->key, &object->key_size);
}

static int check_page(Reader *reader)
{
        S3Page *page = &reader->page;

        for (size_t i = 0; i < page->n_objects; i++) {
                S3Object *object = &page->objects[i];

                if (!object->key || (reader->is_encoded && decode_key(object) < 0))
                        return wrong(reader, "an object has no key that can be read");
                /* Thousands of them may be kept: no more than they need. */
                object->key = realloc(object->key, object->key_size + 1) ?: object->key;
        }
        if (!reader->is_truncated) {
                free(page->next);
                page->next = NULL;
        } else if (!page->next)
                return wrong(reader, "it goes on, and does not say how");
        return 0;
}

int s3_page_parse(const char *xml, size_t size, S3Page *ret, const char **ret_error)
{
        _cleanup_free_ Reader *reader = calloc(1, sizeof(Reader));
        int r;

        if (!reader)
                return -ENOMEM;
        reader->leaves = page_leaves;
        reader->n_leaves = ARRAY_SIZE(page_leaves);
        reader->root = "ListBucketResult";
        reader->object_path = "/ListBucketResult/Contents";
        r = read_xml(reader, xml, size);
        if (r == 0)
                r = check_page(reader);
        if (r == 0) {
                *ret = reader->page;
                return 0;
        }
        s3_page_done(&reader->page);
        *ret_error = reader->wrong;
        return r;
}

/* An error. */

static int take_code(Reader *reader, const char *text, size_t size)
{
        if (size == 0 || size > CODE_SIZE_MAX || text[strspn(text, CODE_CHARACTERS)] != '\0')
                return 0;
        return set_text(&reader->failure.code, text);
}

static int take_region(Reader *reader, const char *text, size_t size)
{
        return aws_region_is_valid(text) ? set_text(&reader->failure.region, text) : 0;
}

static const Leaf error_leaves[] = {
        { "/Error/Code", take_code },
        { "/Error/Region", take_region },
};

int s3_error_parse(const char *xml, size_t size, S3Error *ret)
{
        _cleanup_free_ Reader *reader = calloc(1, sizeof(Reader));
        int r;

        if (!reader)
                return -ENOMEM;
        reader->leaves = error_leaves;
        reader->n_leaves = ARRAY_SIZE(error_leaves);
        r = read_xml(reader, xml, size);
        if (r < 0) {
                s3_error_done(&reader->failure);
                return r;
        }
        *ret = reader->failure;
        return 0;
}
