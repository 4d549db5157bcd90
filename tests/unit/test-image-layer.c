/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers: hashed, decompressed, scanned and written in one pass; whatever is not what it is said to be is
 * refused, and bombs end at the limit. */

#include "sandboxd/image-layer.h"

#include "basic/digest.h"
#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define BLOCK 512U

/* Making layers */

static void append(Buffer *buffer, const void *data, size_t size)
{
        assert_int_equal(buffer_append(buffer, data, size, SIZE_MAX), 0);
}

static void append_entry(Buffer *tar, const char *name, char kind, const char *content, size_t size)
{
        static const char zeros[BLOCK];
        char header[BLOCK] = {};
        unsigned sum = 0;

        (void) snprintf(header, 100, "%s", name);
        (void) snprintf(header + 100, 8, "%07o", 0644);
        (void) snprintf(header + 124, 12, "%011o", (unsigned) size & 0xfffffffU);
        memset(header + 148, ' ', 8);
        header[156] = kind;
        memcpy(header + 257,
               "ustar\0"
               "00",
               8);
        for (size_t i = 0; i < BLOCK; i++)
                sum += (uint8_t) header[i];
        (void) snprintf(header + 148, 8, "%06o", sum);
        append(tar, header, BLOCK);
        append(tar, content, size);
        append(tar, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

static void append_end(Buffer *tar)
{
        static const char zeros[2 * BLOCK];

        append(tar, zeros, sizeof(zeros));
}

static void gzip(const Buffer *plain, Buffer *ret)
{
        z_stream z = {};
        uint8_t out[65536];
        int r;

        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = plain->data;
        z.avail_in = (unsigned) plain->size;
        do {
                z.next_out = out;
                z.avail_out = sizeof(out);
                r = deflate(&z, Z_FINISH);
                append(ret, out, sizeof(out) - z.avail_out);
        } while (r == Z_OK);
        assert_int_equal(r, Z_STREAM_END);
        deflateEnd(&z);
}

static void zstd(const Buffer *plain, Buffer *ret)
{
        size_t size = ZSTD_compressBound(plain->size);
        _cleanup_free_ uint8_t *out = malloc(size);

        size = ZSTD_compress(out, size, plain->data, plain->size, 3);
        assert_false(ZSTD_isError(size));
        append(ret, out, size);
}

static char *digest_of(const Buffer *bytes)
{
        char hex[65];
        uint8_t hash[32];

        assert_int_equal(EVP_Digest(bytes->data, bytes->size, hash, NULL, EVP_sha256(), NULL), 1);
        hex_encode(hash, sizeof(hash), hex);
        return string_format(DIGEST_PREFIX "%s", hex);
}

static int file_of(const Buffer *bytes)
{
        int fd = memfd_create("layer", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes->data, bytes->size), 0);
        return fd;
}

/* Reading them */

typedef struct Given {
        const Buffer *packed, *plain;
        ImageCompression compression;
        uint64_t size_max;  /* 0: those of images */
        TarUse use_max;     /* likewise, each */
        uint64_t said_size; /* 0: what it is */
        const char *said_digest, *said_diff_id;
} Given;

/* Reads a layer; NULL where it was accepted, else the error. What was written must be the plain tar. */
static char *read_layer(const Given *given)
{
        _cleanup_free_ char *digest = digest_of(given->packed), *diff_id = digest_of(given->plain);
        _cleanup_close_ int fd = file_of(given->packed), tar_fd = memfd_create("tar", MFD_CLOEXEC);
        _cleanup_free_ uint8_t *written = malloc(given->plain->size + 1);
        ImageBudget budget = {
                .size = given->size_max ?: IMAGE_UNPACKED_SIZE_MAX,
                .tar = { given->use_max.entries ?: IMAGE_ENTRIES_MAX,
                         given->use_max.name_bytes ?: IMAGE_NAME_BYTES_MAX },
        };
        ImageBlob layer = {
                .digest = given->said_digest ? (char *) given->said_digest : digest,
                .size = given->said_size ?: given->packed->size,
                .compression = given->compression,
        };
        char *error = NULL;
        int r;

        r = image_read_layer(fd, &layer, given->said_diff_id ?: diff_id, 3, tar_fd, &budget, &error);
        if (r == IMAGE_BAD) {
                assert_non_null(error);
                return error;
        }
        assert_int_equal(r, 0);
        assert_int_equal(pread(tar_fd, written, given->plain->size + 1, 0), given->plain->size);
        assert_memory_equal(written, given->plain->data, given->plain->size);
        assert_int_equal((given->size_max ?: IMAGE_UNPACKED_SIZE_MAX) - budget.size, given->plain->size);
        return NULL;
}

static void expect_error(const Given *given, const char *wanted)
{
        _cleanup_free_ char *error = read_layer(given);

        assert_non_null(error);
        if (!strstr(error, wanted))
                fail_msg("\"%s\" says nothing of \"%s\"", error, wanted);
}

typedef struct Fixture {
        Buffer plain, gzip, zstd;
} Fixture;

static int set_up(void **state)
{
        static Fixture fixture;
        char content[3000];

        memset(content, 'c', sizeof(content));
        append_entry(&fixture.plain, "bin/", '5', "", 0);
        append_entry(&fixture.plain, "bin/run.sh", '0', content, sizeof(content));
        append_entry(&fixture.plain, "bin/link", '2', "", 0);
        append_end(&fixture.plain);
        gzip(&fixture.plain, &fixture.gzip);
        zstd(&fixture.plain, &fixture.zstd);
        *state = &fixture;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *fixture = *state;

        buffer_done(&fixture->plain);
        buffer_done(&fixture->gzip);
        buffer_done(&fixture->zstd);
        return 0;
}

static void every_compression(void **state)
{
        const Fixture *fixture = *state;
        const Given cases[] = {
                { .packed = &fixture->plain, .plain = &fixture->plain, .compression = IMAGE_TAR },
                { .packed = &fixture->gzip, .plain = &fixture->plain, .compression = IMAGE_TAR_GZIP },
                { .packed = &fixture->zstd, .plain = &fixture->plain, .compression = IMAGE_TAR_ZSTD },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_null(read_layer(&cases[i]));
}

static void members_that_follow_each_other(void **state)
{
        const Fixture *fixture = *state;
        const Buffer first = { fixture->plain.data, 1000, 0 },
                     second = { fixture->plain.data + 1000, fixture->plain.size - 1000, 0 };
        _cleanup_(buffer_done) Buffer gzipped = {}, zstds = {};

        gzip(&first, &gzipped);
        gzip(&second, &gzipped);
        zstd(&first, &zstds);
        zstd(&second, &zstds);
        assert_null(read_layer(
                &(Given){ .packed = &gzipped, .plain = &fixture->plain, .compression = IMAGE_TAR_GZIP }));
        assert_null(read_layer(
                &(Given){ .packed = &zstds, .plain = &fixture->plain, .compression = IMAGE_TAR_ZSTD }));
}

static void bytes_behind_the_end(void **state)
{
        const Fixture *fixture = *state;
        _cleanup_(buffer_done) Buffer gzipped = {}, zstds = {};

        append(&gzipped, fixture->gzip.data, fixture->gzip.size);
        append(&gzipped, "garbage behind", 14);
        append(&zstds, fixture->zstd.data, fixture->zstd.size);
        append(&zstds, "garbage behind", 14);
        expect_error(&(Given){ .packed = &gzipped, .plain = &fixture->plain, .compression = IMAGE_TAR_GZIP },
                     "corrupt");
        expect_error(&(Given){ .packed = &zstds, .plain = &fixture->plain, .compression = IMAGE_TAR_ZSTD },
                     "corrupt");
}

static void bytes_that_are_missing(void **state)
{
        const Fixture *fixture = *state;
        const Buffer gzipped = { fixture->gzip.data, fixture->gzip.size - 9, 0 },
                     zstds = { fixture->zstd.data, fixture->zstd.size - 9, 0 },
                     plain = { fixture->plain.data, 700, 0 };

        expect_error(&(Given){ .packed = &gzipped, .plain = &fixture->plain, .compression = IMAGE_TAR_GZIP },
                     "too early");
        expect_error(&(Given){ .packed = &zstds, .plain = &fixture->plain, .compression = IMAGE_TAR_ZSTD },
                     "too early");
        expect_error(&(Given){ .packed = &plain, .plain = &plain, .compression = IMAGE_TAR },
                     "middle of an entry");
}

static void lies(void **state)
{
        const Fixture *fixture = *state;
        const Given honest = { .packed = &fixture->gzip,
                               .plain = &fixture->plain,
                               .compression = IMAGE_TAR_GZIP };
        _cleanup_free_ char *other = digest_of(&(Buffer){ (uint8_t *) "x", 1, 0 });
        Given given = honest;

        given.said_digest = other;
        expect_error(&given, "layer 3 is not what its digest");
        given = honest;
        given.said_diff_id = other;
        expect_error(&given, "diff id");
        given = honest;
        given.said_size = fixture->gzip.size - 1;
        expect_error(&given, "bytes that the manifest says");
        given.said_size = fixture->gzip.size + 1;
        expect_error(&given, "bytes that the manifest says");
        given = honest;
        given.compression = IMAGE_TAR_ZSTD;
        expect_error(&given, "corrupt");
}

static void bombs_end_at_the_limit(void **state)
{
        const size_t size = 64U << 20;
        _cleanup_(buffer_done) Buffer plain = {}, gzipped = {}, zstds = {};
        _cleanup_free_ char *zeros = calloc(1, size);

        append_entry(&plain, "zeros", '0', zeros, size);
        append_end(&plain);
        gzip(&plain, &gzipped);
        zstd(&plain, &zstds);
        assert_true(gzipped.size < size / 100);
        expect_error(&(Given){ .packed = &gzipped,
                               .plain = &plain,
                               .compression = IMAGE_TAR_GZIP,
                               .size_max = size },
                     "bytes unpacked");
        expect_error(
                &(Given){
                        .packed = &zstds, .plain = &plain, .compression = IMAGE_TAR_ZSTD, .size_max = size },
                "bytes unpacked");
        assert_null(read_layer(&(Given){ .packed = &gzipped,
                                         .plain = &plain,
                                         .compression = IMAGE_TAR_GZIP,
                                         .size_max = plain.size }));
}

static void too_many_entries(void **state)
{
        const Fixture *fixture = *state;

        expect_error(&(Given){ .packed = &fixture->plain, .plain = &fixture->plain, .use_max.entries = 2 },
                     "more than 2 entries");
        assert_null(read_layer(
                &(Given){ .packed = &fixture->plain, .plain = &fixture->plain, .use_max.entries = 3 }));
}

static void names_without_end(void **state)
{
        static const char path[] = "16 path=bin/run\n";
        const struct {
                char kind;
                const char *content;
                uint64_t bytes;
        } cases[] = {
                { '0', "x", 4 },
                { 'x', path, 4 + strlen(path) },
                { 'L', "a-long-name", 15 },
                { 'K', "link", 8 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buffer_done) Buffer tar = {};
                Given given = { .packed = &tar, .plain = &tar };

                append_entry(&tar, "name", cases[i].kind, cases[i].content, strlen(cases[i].content));
                append_entry(&tar, "more", '0', "x", 1);
                append_end(&tar);
                given.use_max.name_bytes = cases[i].bytes + 3;
                expect_error(&given, "bytes of names");
                given.use_max.name_bytes = cases[i].bytes + 4;
                assert_null(read_layer(&given));
        }
}

/* A tar of one entry that images may not hold. */
static void expect_refused(const char *name, char kind, const char *content, const char *wanted)
{
        _cleanup_(buffer_done) Buffer tar = {};

        append_entry(&tar, name, kind, content, strlen(content));
        append_entry(&tar, "file", '0', "x", 1);
        append_end(&tar);
        expect_error(&(Given){ .packed = &tar, .plain = &tar }, wanted);
}

static void entries_that_no_image_may_hold(void **state)
{
        expect_refused("./dev/sda", '4', "", "device ./dev/sda");
        expect_refused("./dev/null", '3', "", "device ./dev/null");
        expect_refused("./sparse", 'S', "", "sparse file ./sparse");
        expect_refused("x", 'x', "22 GNU.sparse.major=1\n", "sparse");
        expect_refused("x", 'x', "999 path=x\n", "pax header is malformed");
        expect_refused("x", 'x', "path=x\n", "pax header is malformed");
        expect_refused("x", 'x', "9 size=x\n", "size is malformed");
        expect_refused("x", 'g', "9 size=1\n", "global pax header");
        expect_refused("folder/", '\0', "content", "folder/ in an old form");
        expect_refused("x", 'V', "", "of no known kind");
        expect_refused("x", 'x', "11 size=-1\n", "size is malformed");
        expect_refused("\x1b[31m", '3', "", "device \\x1b[31m");
}

/* A device that is no entry to who takes it for the content of what is before it. */
static void append_hidden(Buffer *tar)
{
        append_entry(tar, "hidden", '4', "", 0);
        append_end(tar);
}

/* What umoci unpacks is seen, whatever is said of how long it is. */
static void entries_that_hide(void **state)
{
        _cleanup_(buffer_done) Buffer forged = {}, twice = {}, named = {};

        append_entry(&twice, "pax", 'x', "12 size=512\n", 12);
        append_entry(&twice, "pax", 'x', "13 comment=a\n", 13);
        append_entry(&twice, "cover", '0', "", 0);
        append_hidden(&twice);
        expect_error(&(Given){ .packed = &twice, .plain = &twice }, "device hidden");

        append_entry(&forged, "forged", '0', (const char[2 * BLOCK]){}, 2 * BLOCK);
        append_entry(&named, "pax", 'x', "9 size=0\n", 9);
        append_entry(&named, "././@LongLink", 'L', (const char *) forged.data, BLOCK);
        append_entry(&named, "cover", '0', "", 0);
        append_hidden(&named);
        expect_error(&(Given){ .packed = &named, .plain = &named }, "device hidden");
}

/* What its pax header says of the size of an entry goes before its own. */
static void sizes_in_pax_headers(void **state)
{
        _cleanup_(buffer_done) Buffer tar = {};
        char hidden[BLOCK];

        memset(hidden, 0xff, sizeof(hidden));
        append_entry(&tar, "x", 'x', "12 size=512\n", 12);
        append_entry(&tar, "file", '0', "", 0);
        append(&tar, hidden, sizeof(hidden));
        append_end(&tar);
        assert_null(read_layer(&(Given){ .packed = &tar, .plain = &tar }));
}

static void blobs_that_are_read_whole(void **state)
{
        const Buffer blob = { (uint8_t *) "{}", 2, 0 };
        _cleanup_free_ char *digest = digest_of(&blob), *text = NULL, *error = NULL, *size_error = NULL;
        _cleanup_close_ int fd = file_of(&blob);
        size_t size;

        assert_int_equal(image_read_blob(fd, digest, 2, "the manifest", &text, &size, &error), 0);
        assert_string_equal(text, "{}");
        assert_int_equal(size, 2);
        assert_int_equal(image_read_blob(fd, digest, 1, "the manifest", &text, &size, &size_error),
                         IMAGE_BAD);
        assert_non_null(strstr(size_error, "the manifest has more than 1 bytes"));
        digest[DIGEST_SIZE - 1] ^= 1;
        assert_int_equal(image_read_blob(fd, digest, 2, "the manifest", &text, &size, &error), IMAGE_BAD);
        assert_non_null(strstr(error, "the manifest is not what its digest"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_compression),
                cmocka_unit_test(members_that_follow_each_other),
                cmocka_unit_test(bytes_behind_the_end),
                cmocka_unit_test(bytes_that_are_missing),
                cmocka_unit_test(lies),
                cmocka_unit_test(bombs_end_at_the_limit),
                cmocka_unit_test(too_many_entries),
                cmocka_unit_test(names_without_end),
                cmocka_unit_test(entries_that_no_image_may_hold),
                cmocka_unit_test(entries_that_hide),
                cmocka_unit_test(sizes_in_pax_headers),
                cmocka_unit_test(blobs_that_are_read_whole),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
