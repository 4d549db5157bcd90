/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* YAML files, walked by tables: each known key has a handler, a place in a struct and a range.
 * What is wrong is told with line, column and the path of the key; nothing is taken from a file
 * that has something wrong. */

#include "basic/macro.h"

#include <yaml.h>

#define CONF_SIZE_MAX (8U * 1024U * 1024U)

enum {
        CONF_BAD = 1,
};

typedef struct ConfError {
        size_t line, column; /* from 1 */
        char *path;          /* "workers.test_runners.ruby", owned; NULL: the file as a whole */
        char *message;       /* owned */
} ConfError;

void conf_error_done(ConfError *error);
/* "FILE:LINE:COLUMN: PATH: MESSAGE", a new string; NULL without memory. */
char *conf_error_text(const ConfError *error, const char *file);

/* Where the walk is: a chain of keys on the stack, and what it was started with. */
typedef struct ConfWalk ConfWalk;
typedef struct ConfKey ConfKey;

struct ConfKey {
        const char *key;       /* NULL, last in its table: any other key */
        yaml_node_type_t type; /* what the value must be; YAML_NO_NODE: anything */
        /* Reads `node` into `target` (the struct's member at `offset`, or for key NULL the struct itself).
         * 0, CONF_BAD by conf_bad(), or -errno. NULL: the key is known and means nothing. */
        int (*handler)(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target);
        size_t offset;
        uint64_t min, max;    /* range where the handler has one; max 0: none */
        const ConfKey *table; /* conf_mapping: the keys below */
        size_t n_table;
};

struct ConfWalk {
        yaml_document_t *document;
        const ConfWalk *parent;
        const char *key; /* borrowed from the document */
        ConfError *error;
        void *userdata;
        /* A key no table has, and that was passed over: kept when the file is written again. */
        void (*on_unknown)(const ConfWalk *walk, const yaml_node_t *key);
};

/* Text to a document (delete it with yaml_document_delete). CONF_BAD where it is not YAML, not a mapping at
 * the top, or has a second document. An empty file is an empty mapping. */
int conf_parse(const char *text, size_t size, yaml_document_t *ret, ConfError *ret_error) _warn_unused_;
/* Walks a mapping by a table. */
int conf_walk(ConfWalk *walk, yaml_node_t *mapping, const ConfKey *table, size_t n_table,
              void *target) _warn_unused_;

/* Says what is wrong with a node: CONF_BAD, or -ENOMEM. */
int conf_bad(ConfWalk *walk, const yaml_node_t *node, const char *format, ...) _printf_(3, 4);
/* "a.b.c", a new string; NULL without memory. */
char *conf_path(const ConfWalk *walk);

/* The text of a scalar, borrowed; NULL where the node is none, or holds NUL. */
const char *conf_scalar(const yaml_node_t *node);
/* The value of a key in a mapping, or NULL. */
yaml_node_t *conf_get(yaml_document_t *document, const yaml_node_t *mapping, const char *key);

/* Handlers */
int conf_mapping(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target);
int conf_uint(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target);  /* uint64_t */
int conf_size(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target);  /* uint64_t, 3G */
int conf_span(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target);  /* usec_t, 20s */
int conf_texts(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target); /* char **, owned */
