/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The handful of macros every file may use: cleanup attributes, handing over, sizes, one exit status. */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(f)         __attribute__((cleanup(f)))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _warn_unused_        __attribute__((warn_unused_result))
#define _unused_             __attribute__((unused))

/* Beside EXIT_SUCCESS and EXIT_FAILURE: the command line was not understood. */
#define EXIT_USAGE 2

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define CONTAINER_OF(ptr, type, member) ((type *) ((char *) (ptr) -offsetof(type, member)))

#define MIN(a, b)                              \
        __extension__({                        \
                __typeof__(a) min_a = (a);     \
                __typeof__(b) min_b = (b);     \
                min_a < min_b ? min_a : min_b; \
        })

#define MAX(a, b)                              \
        __extension__({                        \
                __typeof__(a) max_a = (a);     \
                __typeof__(b) max_b = (b);     \
                max_a > max_b ? max_a : max_b; \
        })

/* Hands over what a variable owns: the value is returned, the variable no longer owns anything. */
#define TAKE_PTR(p)                           \
        __extension__({                       \
                __typeof__(p) take_ptr = (p); \
                (p) = NULL;                   \
                take_ptr;                     \
        })

#define TAKE_FD(fd)                 \
        __extension__({             \
                int take_fd = (fd); \
                (fd) = -EBADF;      \
                take_fd;            \
        })

/* Defines `FUNCp(TYPE *p)` for _cleanup_(): calls FUNC on what the variable holds, unless it is NULL. */
#define DEFINE_CLEANUP(type, func)          \
        static inline void func##p(type *p) \
        {                                   \
                if (*p)                     \
                        func(*p);           \
        }

static inline void freep(void *p)
{
        free(*(void **) p);
}

#define _cleanup_free_ _cleanup_(freep)
