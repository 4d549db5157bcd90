/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outcome-frames.h"

#include "basic/string-util.h"

#include <errno.h>

static const char *const part_names[PEER_N_PARTS_MAX] = {
        [OUTCOME_RESPONSE] = "response",
        [OUTCOME_CONTEXT] = "context",
        [OUTCOME_ERROR_DETAIL] = "error_detail",
};

static int append_part(Buffer *out, const char *name, const Buffer *part)
{
        int r = frame_append_file(out, 0, part->size, name, SIZE_MAX);

        for (size_t at = 0; r >= 0 && at < part->size; at += FRAME_PAYLOAD_MAX)
                r = frame_append(out, FRAME_DATA, 0, part->data + at,
                                 MIN(part->size - at, (size_t) FRAME_PAYLOAD_MAX), SIZE_MAX);
        return r;
}

int outcome_text_encode(const OutcomeText *text, Buffer *out)
{
        _cleanup_json_ json_object *body = outcome_to_json(&text->outcome);
        const char *line = body ? json_object_text(body) : NULL;
        int r;

        if (!line)
                return -ENOMEM;
        if (strlen(line) > FRAME_PAYLOAD_MAX)
                return -E2BIG;
        r = frame_append(out, FRAME_ANSWER, 0, line, strlen(line), SIZE_MAX);
        for (size_t i = 0; r >= 0 && i < PEER_N_PARTS_MAX; i++)
                r = append_part(out, part_names[i], &text->parts[i]);
        return r;
}

/* Frames in their order. */
typedef struct Decoder {
        OutcomeText *text;
        size_t n_parts;
        uint64_t left; /* of the part at hand */
} Decoder;

static int take_body(Decoder *decoder, const Frame *frame)
{
        _cleanup_json_ json_object *body = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        if (decoder->text->outcome.job)
                return OUTCOME_BAD;
        r = json_object_from_bytes(frame->payload, frame->size, &body, &error);
        return r == 0 ? outcome_from_json(body, &decoder->text->outcome, &error) : r;
}

static int take_part(Decoder *decoder, const Frame *frame)
{
        const char *name;
        FrameFile file;

        if (decoder->n_parts == PEER_N_PARTS_MAX || decoder->left > 0 || frame_parse_file(frame, &file) != 0)
                return OUTCOME_BAD;
        name = part_names[decoder->n_parts++];
        decoder->left = file.size;
        return file.path_size == strlen(name) && memcmp(file.path, name, file.path_size) == 0 &&
                               file.size <= PEER_PART_SIZE_MAX
                       ? 0
                       : OUTCOME_BAD;
}

static int take_data(Decoder *decoder, const Frame *frame)
{
        if (decoder->n_parts == 0 || frame->size > decoder->left)
                return OUTCOME_BAD;
        decoder->left -= frame->size;
        return buffer_append(&decoder->text->parts[decoder->n_parts - 1], frame->payload, frame->size,
                             PEER_PART_SIZE_MAX);
}

static int take_frame(Decoder *decoder, const Frame *frame)
{
        switch (frame->type) {
        case FRAME_ANSWER:
                return take_body(decoder, frame);
        case FRAME_FILE:
                return take_part(decoder, frame);
        case FRAME_DATA:
                return take_data(decoder, frame);
        default:
                return OUTCOME_BAD;
        }
}

int outcome_text_decode(const uint8_t *data, size_t size, OutcomeText *ret)
{
        Decoder decoder = { .text = ret };
        int r = 0;

        while (r == 0 && size > 0) {
                Frame frame;

                if (frame_parse(data, size, &frame) != 0)
                        return OUTCOME_BAD;
                r = take_frame(&decoder, &frame);
                data += frame_total_size(&frame);
                size -= frame_total_size(&frame);
        }
        if (r == 0 && (decoder.n_parts < PEER_N_PARTS_MAX || decoder.left > 0 || !ret->outcome.job))
                r = OUTCOME_BAD;
        return r;
}
