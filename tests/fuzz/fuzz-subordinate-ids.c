/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/subuid: what was found stands there for this user; sharing it out gives away nothing else, and
 * nothing twice. */

#include "fuzz.h"

#include "rootless/identity.h"

#include "basic/string-util.h"

#define NAME "pipeline-sandbox"
#define UID  977U

/* NAME:0*START:0*COUNT as a line of the text. */
static bool line_says(const char *line, size_t size, const char *who, const uint32_t numbers[2])
{
        _cleanup_free_ char *copy = strndup(line, size);
        const char *rest = copy ? string_after(copy, who) : NULL;

        for (size_t i = 0; i < 2 && rest; i++) {
                _cleanup_free_ char *wanted = string_format("%u", numbers[i]);

                expect(wanted);
                rest = *rest == ':' ? string_after(rest + 1 + strspn(rest + 1, "0"), wanted) : NULL;
        }
        return rest && *rest == '\0';
}

static bool text_says(const char *text, uint32_t start, uint32_t count)
{
        const uint32_t numbers[] = { start, count };

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                size_t size = strcspn(line, "\n");

                if (line_says(line, size, NAME, numbers) || line_says(line, size, "977", numbers))
                        return true;
        }
        return false;
}

static void check_layout(uint32_t start, uint32_t count)
{
        uint64_t end = (uint64_t) start + count, at = start;
        uint32_t container = 0;
        IdLayout layout;
        int r = id_layout_init(start, count, &layout);

        expect(r == 0 || r == IDENTITY_TOO_FEW);
        if (r != 0)
                return;
        expect(layout.n_image > 0 && layout.n_image <= IDENTITY_EXTENTS_MAX);
        for (size_t i = 0; i < layout.n_image; i++) { /* in their order, one behind the other */
                expect(layout.image[i].host == at && layout.image[i].container >= container);
                at += layout.image[i].count;
                container = layout.image[i].container + layout.image[i].count;
        }
        expect(container <= IDENTITY_IMAGE_IDS);
        expect(layout.first_guest == at && layout.n_guests > 0 && at + layout.n_guests <= end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size), *copy = NULL;
        uint32_t start = 0, count = 0;
        int r;

        copy = text ? strdup(text) : NULL;
        expect(copy);
        r = id_range_find(copy, NAME, UID, &start, &count);
        expect(r == 0 || r == IDENTITY_NO_RANGE);
        if (r != 0)
                return 0;
        expect(start > 0 && count > 0 && count <= UINT32_MAX - start); /* the last one is no id */
        expect(text_says(text, start, count));
        check_layout(start, count);
        return 0;
}
