/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All cells are kept until the table is printed, because the last may be the widest. */

#include "ctl-table.h"

#include "basic/string-util.h"

#include <errno.h>
#include <stdio.h>

#define CELL_SIZE_MAX 512U
#define GAP           2

void ctl_table_done(CtlTable *table)
{
        strv_free(table->cells);
}

int ctl_table_add(CtlTable *table, const char *const *texts)
{
        for (size_t i = 0; i < table->n_columns; i++) {
                const char *text = texts[i] && texts[i][0] != '\0' ? texts[i] : "-";
                _cleanup_free_ char *cell = string_escape(text, strlen(text), CELL_SIZE_MAX);
                int r = cell ? strv_extend(&table->cells, cell) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* How many columns of a terminal it takes, near enough: every character one. */
static size_t width_of(const char *s)
{
        size_t width = 0;

        for (; *s; s++)
                width += (*s & 0xc0) != 0x80;
        return width;
}

static size_t column_width(const CtlTable *table, size_t column)
{
        size_t width = 0, n = strv_length(table->cells);

        for (size_t i = column; i < n; i += table->n_columns)
                width = MAX(width, width_of(table->cells[i]));
        return width;
}

void ctl_table_print(const Ctl *ctl, const CtlTable *table)
{
        size_t n = strv_length(table->cells);

        for (size_t i = 0; i < n && n > table->n_columns; i++) {
                size_t column = i % table->n_columns;
                bool is_head = i < table->n_columns, is_last = column + 1 == table->n_columns;
                int pad =
                        is_last ? 0 : (int) (column_width(table, column) - width_of(table->cells[i])) + GAP;

                printf("%s%s%s%*s%s", is_head ? ctl_style(ctl, CTL_BOLD) : "", table->cells[i],
                       is_head ? ctl_style(ctl, CTL_NORMAL) : "", pad, "", is_last ? "\n" : "");
        }
}
