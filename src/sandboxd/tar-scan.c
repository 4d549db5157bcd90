/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tar is a sequence of blocks: a header, then the content it announces, padded. Before an entry may come a
 * pax header, whose records (`LENGTH KEY=VALUE\n`) override what the entry's own header says. Two blocks of
 * zeros end it. Refused are devices, and sparse files, whose few bytes unpack to as many as they like.
 *
 * What is read here must be what umoci reads, which is what Go's archive/tar does: else an entry could hide
 * in what only one of the two takes for content. So whatever there is more than one opinion of is refused.
 */

#include "tar-scan.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>

#define EXTENDED_SIZE_MAX (1024U * 1024U)
#define NAME_SIZE_MAX     200U

/* The fields of a header that are of interest. */
#define NAME_AT       0U
#define NAME_SIZE     100U
#define SIZE_AT       124U
#define SIZE_SIZE     12U
#define CHECKSUM_AT   148U
#define CHECKSUM_SIZE 8U
#define KIND_AT       156U
#define PREFIX_AT     345U
#define PREFIX_SIZE   155U

void tar_scan_done(TarScan *scan)
{
        buffer_done(&scan->extended);
}

/* Octal digits between blanks, or, with the top bit set, a big-endian number. */
static bool parse_number(const uint8_t *field, size_t size, uint64_t *ret)
{
        uint64_t value = 0;
        size_t i = 0;

        if (field[0] & 0x80) {
                value = field[0] & 0x7f;
                for (i = 1; i < size; i++) {
                        if (value >> 55 != 0)
                                return false;
                        value = value << 8 | field[i];
                }
                *ret = value;
                return true;
        }
        while (i < size && field[i] == ' ')
                i++;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
                value = value << 3 | (uint64_t) (field[i] - '0');
        for (; i < size; i++)
                if (field[i] != ' ' && field[i] != '\0')
                        return false;
        *ret = value;
        return true;
}

static bool checksum_is_right(const uint8_t *block)
{
        uint64_t said, sum = 0;

        for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
                sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_SIZE ? ' ' : block[i];
        return parse_number(block + CHECKSUM_AT, CHECKSUM_SIZE, &said) && said == sum;
}

static uint64_t padded(uint64_t size)
{
        return (size + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE * TAR_BLOCK_SIZE;
}

static bool is_zero(const uint8_t *block)
{
        return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_SIZE - 1) == 0;
}

static char *entry_name(const uint8_t *block)
{
        const char *name = (const char *) block + NAME_AT;

        return string_escape(name, strnlen(name, NAME_SIZE), NAME_SIZE_MAX);
}

/* One record of a pax header: its end, or NULL where it is none. */
static char *next_record(char *record, char *end, char **ret_key, char **ret_value)
{
        char *blank = memchr(record, ' ', (size_t) (end - record)), *equals;
        uint64_t length;

        if (!blank)
                return NULL;
        *blank = '\0';
        if (parse_uint64(record, (uint64_t) (blank - record) + 4, (uint64_t) (end - record), &length) < 0 ||
            record[length - 1] != '\n')
                return NULL;
        record[length - 1] = '\0';
        equals = strchr(blank + 1, '=');
        if (!equals)
                return NULL;
        *equals = '\0';
        *ret_key = blank + 1;
        *ret_value = equals + 1;
        return record + length;
}

static int take_extended(TarScan *scan, char **ret_error)
{
        char *record = (char *) scan->extended.data, *end = record + scan->extended.size, *key, *value;

        while (record && record < end) {
                record = next_record(record, end, &key, &value);
                if (!record)
                        return error_set(ret_error, TAR_BAD, "is no tar: a pax header is malformed");
                if (string_after(key, "GNU.sparse."))
                        return error_set(ret_error, TAR_BAD,
                                         "holds a sparse file: make the tar without --sparse");
                if (!streq(key, "size"))
                        continue;
                if (parse_uint64(value, 0, INT64_MAX, &scan->size_override) < 0)
                        return error_set(ret_error, TAR_BAD, "is no tar: a pax header's size is malformed");
                scan->has_override = true;
        }
        scan->extended.size = 0;
        return 0;
}

static size_t text_length(const uint8_t *block, size_t at, size_t size)
{
        return strnlen((const char *) block + at, size);
}

/* pax headers, and the long names of GNU tar. */
static bool is_about_next(char kind)
{
        return kind == 'x' || kind == 'L' || kind == 'K';
}

static int count(TarScan *scan, char kind, uint64_t size, const TarUse *limits, char **ret_error)
{
        scan->use.name_bytes += text_length(scan->block, NAME_AT, NAME_SIZE) +
                                text_length(scan->block, PREFIX_AT, PREFIX_SIZE);
        if (is_about_next(kind))
                scan->use.name_bytes += MIN(size, (uint64_t) INT64_MAX);
        else
                scan->use.entries++;
        if (scan->use.entries > limits->entries)
                return error_set(ret_error, TAR_BAD, "holds more than %" PRIu64 " entries", limits->entries);
        if (scan->use.name_bytes > limits->name_bytes)
                return error_set(ret_error, TAR_BAD, "holds more than %" PRIu64 " bytes of names",
                                 limits->name_bytes);
        return 0;
}

/* What is left of kinds is read alike by everybody. */
static int check_kind(char kind, uint64_t size, const char *name, char **ret_error)
{
        if (kind == '3' || kind == '4')
                return error_set(ret_error, TAR_BAD,
                                 "holds the device %s: images may hold none (tar has --exclude=./dev/*)",
                                 name);
        if (kind == 'S')
                return error_set(ret_error, TAR_BAD,
                                 "holds the sparse file %s: make the tar without --sparse", name);
        if (kind == 'g')
                return error_set(ret_error, TAR_BAD,
                                 "holds a global pax header, as git archive writes: unpack it, and make "
                                 "the tar with tar");
        if (kind == '\0' && size > 0) /* a folder, if its name ends in a slash: then nothing follows */
                return error_set(ret_error, TAR_BAD,
                                 "holds the file %s in an old form: make the tar with --format=pax", name);
        if (kind != '\0' && (kind < '0' || kind > '6') && !is_about_next(kind))
                return error_set(ret_error, TAR_BAD, "holds %s, which is of no known kind", name);
        return 0;
}

/* Of pax headers the last before an entry holds, and names in between are none. */
static uint64_t take_override(TarScan *scan, char kind, uint64_t size)
{
        if (is_about_next(kind)) {
                scan->has_override = scan->has_override && kind != 'x';
                return size;
        }
        if (scan->has_override)
                size = scan->size_override;
        scan->has_override = false;
        return size;
}

static int expect_content(TarScan *scan, char kind, uint64_t size, char **ret_error)
{
        if (kind == 'x' && size > EXTENDED_SIZE_MAX)
                return error_set(ret_error, TAR_BAD, "has a pax header of more than %u bytes",
                                 EXTENDED_SIZE_MAX);
        /* Links, folders, pipes have no content whatever their size says. */
        scan->skip = kind >= '1' && kind <= '6' ? 0 : padded(MIN(size, (uint64_t) INT64_MAX));
        if (kind == 'x') {
                scan->extended_left = size;
                scan->skip -= size;
        }
        return 0;
}

/* A complete header. */
static int take_header(TarScan *scan, const TarUse *limits, char **ret_error)
{
        _cleanup_free_ char *name = entry_name(scan->block);
        char kind = (char) scan->block[KIND_AT];
        uint64_t size;
        int r;

        if (!name)
                return -ENOMEM;
        if (is_zero(scan->block)) {
                scan->is_ended = true;
                return 0;
        }
        if (!checksum_is_right(scan->block) || !parse_number(scan->block + SIZE_AT, SIZE_SIZE, &size))
                return error_set(ret_error, TAR_BAD,
                                 "is no tar: the header after %" PRIu64 " entries is malformed",
                                 scan->use.entries);
        size = take_override(scan, kind, size);
        r = count(scan, kind, size, limits, ret_error);
        if (r == 0)
                r = check_kind(kind, size, name, ret_error);
        return r == 0 ? expect_content(scan, kind, size, ret_error) : r;
}

int tar_scan_feed(TarScan *scan, const uint8_t *data, size_t size, const TarUse *limits, char **ret_error)
{
        int r = 0;

        while (r == 0 && size > 0 && !scan->is_ended) {
                size_t n;

                if (scan->extended_left > 0) {
                        n = MIN(size, scan->extended_left);
                        r = buffer_append(&scan->extended, data, n, EXTENDED_SIZE_MAX);
                        scan->extended_left -= n;
                        if (r == 0 && scan->extended_left == 0)
                                r = take_extended(scan, ret_error);
                } else if (scan->skip > 0) {
                        n = MIN(size, scan->skip);
                        scan->skip -= n;
                } else {
                        n = MIN(size, TAR_BLOCK_SIZE - scan->block_size);
                        memcpy(scan->block + scan->block_size, data, n);
                        scan->block_size += n;
                        if (scan->block_size == TAR_BLOCK_SIZE) {
                                scan->block_size = 0;
                                r = take_header(scan, limits, ret_error);
                        }
                }
                data += n;
                size -= n;
        }
        return r;
}

int tar_scan_finish(const TarScan *scan, char **ret_error)
{
        if (scan->block_size > 0 || scan->skip > 0 || scan->extended_left > 0)
                return error_set(ret_error, TAR_BAD, "is no whole tar: it ends in the middle of an entry");
        return 0;
}
