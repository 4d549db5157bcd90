/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames: a header of eight bytes (payload's length, type, flags; little-endian), then the payload. Both
 * ends treat the other as hostile: a length is checked before anything is waited for or allocated. */

#include "frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static uint64_t get_u64(const uint8_t *p)
{
        uint64_t value;

        memcpy(&value, p, sizeof(value));
        return le64toh(value);
}

static uint8_t *put_u64(uint8_t *p, uint64_t value)
{
        value = htole64(value);
        return mempcpy(p, &value, sizeof(value));
}

int frame_parse(const uint8_t *data, size_t size, Frame *ret)
{
        uint32_t length;
        uint16_t type, flags;

        if (size < FRAME_HEADER_SIZE)
                return FRAME_INCOMPLETE;
        memcpy(&length, data, sizeof(length));
        memcpy(&type, data + 4, sizeof(type));
        memcpy(&flags, data + 6, sizeof(flags));
        length = le32toh(length);
        type = le16toh(type);
        if (length > FRAME_PAYLOAD_MAX || type < FRAME_ORDER || type >= _FRAME_TYPE_MAX)
                return FRAME_MALFORMED;
        if (size - FRAME_HEADER_SIZE < length)
                return FRAME_INCOMPLETE;
        *ret = (Frame){
                .type = type,
                .flags = le16toh(flags),
                .payload = data + FRAME_HEADER_SIZE,
                .size = length,
        };
        return 0;
}

int frame_append(Buffer *buffer, FrameType type, uint16_t flags, const void *payload, size_t size,
                 size_t size_max)
{
        uint32_t length = htole32((uint32_t) size);
        uint16_t little_type = htole16((uint16_t) type), little_flags = htole16(flags);
        uint8_t header[FRAME_HEADER_SIZE];
        int r;

        assert(size <= FRAME_PAYLOAD_MAX);
        if (buffer->size > size_max || size_max - buffer->size < FRAME_HEADER_SIZE + size)
                return -ENOBUFS;
        memcpy(header, &length, sizeof(length));
        memcpy(header + 4, &little_type, sizeof(little_type));
        memcpy(header + 6, &little_flags, sizeof(little_flags));
        r = buffer_append(buffer, header, sizeof(header), size_max);
        if (r < 0)
                return r;
        return buffer_append(buffer, payload, size, size_max);
}

/* A name at the end of a payload: not empty, no NUL inside. */
static int parse_name(const Frame *frame, size_t at, const char **ret, size_t *ret_size)
{
        if (frame->size <= at || memchr(frame->payload + at, '\0', frame->size - at))
                return FRAME_MALFORMED;
        *ret = (const char *) frame->payload + at;
        *ret_size = frame->size - at;
        return 0;
}

int frame_parse_file(const Frame *frame, FrameFile *ret)
{
        FrameFile file = {};
        int r;

        r = parse_name(frame, 8, &file.path, &file.path_size);
        if (r != 0)
                return r;
        file.size = get_u64(frame->payload);
        *ret = file;
        return 0;
}

int frame_append_file(Buffer *buffer, uint16_t flags, uint64_t size, const char *path, size_t size_max)
{
        uint8_t payload[8 + 4096];
        size_t path_size = strlen(path);

        if (path_size > sizeof(payload) - 8)
                return -ENAMETOOLONG;
        memcpy(put_u64(payload, size), path, path_size);
        return frame_append(buffer, FRAME_FILE, flags, payload, 8 + path_size, size_max);
}

int frame_parse_result(const Frame *frame, FrameResult *ret)
{
        FrameResult result = {};
        int r;

        r = parse_name(frame, 9, &result.name, &result.name_size);
        if (r != 0)
                return r;
        if (frame->payload[0] >= _RESULT_STATE_MAX)
                return FRAME_MALFORMED;
        result.state = frame->payload[0];
        result.size = get_u64(frame->payload + 1);
        *ret = result;
        return 0;
}

int frame_append_result(Buffer *buffer, ResultState state, uint64_t size, const char *name, size_t size_max)
{
        uint8_t payload[9 + 256];
        size_t name_size = strlen(name);

        if (name_size > sizeof(payload) - 9)
                return -ENAMETOOLONG;
        payload[0] = (uint8_t) state;
        memcpy(put_u64(payload + 1, size), name, name_size);
        return frame_append(buffer, FRAME_RESULT, 0, payload, 9 + name_size, size_max);
}

/* A payload of so many numbers, and back. */
static int parse_numbers(const Frame *frame, uint64_t *const *fields, size_t n)
{
        if (frame->size != n * 8)
                return FRAME_MALFORMED;
        for (size_t i = 0; i < n; i++)
                *fields[i] = get_u64(frame->payload + 8 * i);
        return 0;
}

static int append_numbers(Buffer *buffer, FrameType type, const uint64_t *numbers, size_t n, size_t size_max)
{
        uint8_t payload[INIT_EXIT_SIZE], *p = payload;

        assert(n * 8 <= sizeof(payload));
        for (size_t i = 0; i < n; i++)
                p = put_u64(p, numbers[i]);
        return frame_append(buffer, type, 0, payload, n * 8, size_max);
}

int frame_parse_setup(const Frame *frame, InitSetup *ret)
{
        InitSetup s = {};
        uint64_t *const fields[] = { &s.wall_usec, &s.output_size, &s.result_size, &s.written_size,
                                     &s.inodes,    &s.open_files,  &s.guest_id };
        int r = parse_numbers(frame, fields, ARRAY_SIZE(fields));

        if (r == 0)
                *ret = s;
        return r;
}

int frame_append_setup(Buffer *buffer, const InitSetup *setup, size_t size_max)
{
        const uint64_t numbers[] = { setup->wall_usec,    setup->output_size, setup->result_size,
                                     setup->written_size, setup->inodes,      setup->open_files,
                                     setup->guest_id };

        return append_numbers(buffer, FRAME_SETUP, numbers, ARRAY_SIZE(numbers), size_max);
}

int frame_parse_exit(const Frame *frame, InitExit *ret)
{
        InitExit e = {};
        uint64_t *const fields[] = { &e.cause,     &e.status,      &e.wall_usec,
                                     &e.user_usec, &e.system_usec, &e.written_size,
                                     &e.inodes,    &e.stdout_size, &e.stderr_size };
        int r = parse_numbers(frame, fields, ARRAY_SIZE(fields));

        if (r != 0)
                return r;
        if (e.cause >= _EXIT_CAUSE_MAX || e.status > 255)
                return FRAME_MALFORMED;
        *ret = e;
        return 0;
}

int frame_append_exit(Buffer *buffer, const InitExit *exit, size_t size_max)
{
        const uint64_t numbers[] = { exit->cause,     exit->status,      exit->wall_usec,
                                     exit->user_usec, exit->system_usec, exit->written_size,
                                     exit->inodes,    exit->stdout_size, exit->stderr_size };

        return append_numbers(buffer, FRAME_EXIT, numbers, ARRAY_SIZE(numbers), size_max);
}

int frame_parse_strings(const Frame *frame, size_t n_max, char ***ret)
{
        size_t n = 0;
        char **strings, *text;

        if (frame->size > 0 && frame->payload[frame->size - 1] != '\0')
                return FRAME_MALFORMED;
        for (size_t i = 0; i < frame->size; i++)
                n += frame->payload[i] == '\0';
        if (n > n_max)
                return FRAME_MALFORMED;
        strings = malloc((n + 1) * sizeof(char *) + frame->size);
        if (!strings)
                return -ENOMEM;
        text = (char *) (strings + n + 1);
        if (frame->size > 0)
                memcpy(text, frame->payload, frame->size);
        for (size_t i = 0; i < n; text += strlen(text) + 1)
                strings[i++] = text;
        strings[n] = NULL;
        *ret = strings;
        return 0;
}

int frame_append_strings(Buffer *buffer, FrameType type, char *const *strings, size_t size_max)
{
        _cleanup_(buffer_done) Buffer payload = {};
        int r;

        for (; strings && *strings; strings++) {
                r = buffer_append(&payload, *strings, strlen(*strings) + 1, FRAME_PAYLOAD_MAX);
                if (r < 0)
                        return r == -ENOBUFS ? -E2BIG : r;
        }
        return frame_append(buffer, type, 0, payload.data, payload.size, size_max);
}
