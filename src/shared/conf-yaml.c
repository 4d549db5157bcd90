/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libyaml gives a document: nodes in one array, with their marks. It is walked with a table for each level;
 * the path of a key is the chain of walks on the stack, written only when there is something to say. */

#include "conf-yaml.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void conf_error_done(ConfError *error)
{
        free(error->path);
        free(error->message);
        *error = (ConfError){};
}

char *conf_error_text(const ConfError *error, const char *file)
{
        bool has_path = error->path && error->path[0] != '\0';

        return string_format("%s:%zu:%zu: %s%s%s", file, error->line, error->column,
                             has_path ? error->path : "", has_path ? ": " : "", error->message);
}

char *conf_path(const ConfWalk *walk)
{
        _cleanup_free_ char *before = NULL, *escaped = NULL;

        if (!walk->key)
                return walk->parent ? conf_path(walk->parent) : strdup("");
        before = walk->parent ? conf_path(walk->parent) : strdup("");
        escaped = string_escape(walk->key, strlen(walk->key), 128);
        if (!before || !escaped)
                return NULL;
        return string_format("%s%s%s", before, *before ? "." : "", escaped);
}

int conf_bad(ConfWalk *walk, const yaml_node_t *node, const char *format, ...)
{
        char *message = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&message, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        *walk->error = (ConfError){
                .line = node->start_mark.line + 1,
                .column = node->start_mark.column + 1,
                .path = conf_path(walk),
                .message = message,
        };
        return walk->error->path ? CONF_BAD : -ENOMEM;
}

const char *conf_scalar(const yaml_node_t *node)
{
        if (node->type != YAML_SCALAR_NODE)
                return NULL;
        if (strlen((const char *) node->data.scalar.value) != node->data.scalar.length)
                return NULL;
        return (const char *) node->data.scalar.value;
}

yaml_node_t *conf_get(yaml_document_t *document, const yaml_node_t *node, const char *key)
{
        if (node->type != YAML_MAPPING_NODE)
                return NULL;
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
             pair++) {
                const char *name = conf_scalar(yaml_document_get_node(document, pair->key));

                if (name && streq(name, key))
                        return yaml_document_get_node(document, pair->value);
        }
        return NULL;
}

/* Reading */

static int parser_error(const yaml_parser_t *parser, ConfError *ret_error)
{
        if (parser->error == YAML_MEMORY_ERROR)
                return -ENOMEM;
        *ret_error = (ConfError){
                .line = parser->problem_mark.line + 1,
                .column = parser->problem_mark.column + 1,
                .message = string_format("%s%s%s", parser->problem ?: "not YAML",
                                         parser->context ? ", " : "", parser->context ?: ""),
        };
        return ret_error->message ? CONF_BAD : -ENOMEM;
}

static int document_error(const yaml_node_t *node, const char *message, ConfError *ret_error)
{
        *ret_error = (ConfError){
                .line = node ? node->start_mark.line + 1 : 1,
                .column = node ? node->start_mark.column + 1 : 1,
                .message = strdup(message),
        };
        return ret_error->message ? CONF_BAD : -ENOMEM;
}

/* Whether nothing but the end of the stream follows. */
static int check_end(yaml_parser_t *parser, ConfError *ret_error)
{
        yaml_document_t next;
        int r;

        if (!yaml_parser_load(parser, &next))
                return parser_error(parser, ret_error);
        r = yaml_document_get_root_node(&next)
                    ? document_error(yaml_document_get_root_node(&next), "a second document", ret_error)
                    : 0;
        yaml_document_delete(&next);
        return r;
}

/* An empty file, or one of comments: an empty mapping. */
static int make_root(yaml_document_t *document)
{
        return yaml_document_add_mapping(document, NULL, YAML_BLOCK_MAPPING_STYLE) > 0 ? 0 : -ENOMEM;
}

static int load(yaml_parser_t *parser, yaml_document_t *document, ConfError *ret_error)
{
        yaml_node_t *root = yaml_document_get_root_node(document);

        if (!root)
                return make_root(document);
        if (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0)
                return document_error(root, "a file with nothing but an empty value", ret_error);
        if (root->type != YAML_MAPPING_NODE)
                return document_error(root, "must be a mapping of keys to values", ret_error);
        return check_end(parser, ret_error);
}

int conf_parse(const char *text, size_t size, yaml_document_t *ret, ConfError *ret_error)
{
        yaml_parser_t parser;
        yaml_document_t document;
        int r;

        if (size > CONF_SIZE_MAX)
                return document_error(NULL, "larger than 8 MiB", ret_error);
        if (!yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
        if (!yaml_parser_load(&parser, &document))
                r = parser_error(&parser, ret_error);
        else {
                r = load(&parser, &document, ret_error);
                if (r == 0)
                        *ret = document;
                else
                        yaml_document_delete(&document);
        }
        yaml_parser_delete(&parser);
        return r;
}

/* Walking */

static const ConfKey *find_key(const ConfKey *table, size_t n_table, const char *name)
{
        for (size_t i = 0; i < n_table; i++)
                if (!table[i].key || streq(table[i].key, name))
                        return &table[i];
        return NULL;
}

static const char *type_name(yaml_node_type_t type)
{
        switch (type) {
        case YAML_SCALAR_NODE:
                return "a single value";
        case YAML_SEQUENCE_NODE:
                return "a list";
        case YAML_MAPPING_NODE:
                return "a mapping of keys to values";
        default:
                return "anything";
        }
}

static bool is_null(const yaml_node_t *node)
{
        const char *s = conf_scalar(node);

        return s && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               (streq(s, "") || streq(s, "~") || streq(s, "null"));
}

static int refuse_key(ConfWalk *walk, const ConfKey *table, size_t n_table)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_free_ char *known = NULL;

        for (size_t i = 0; i < n_table; i++)
                if (strv_extend(&names, table[i].key) < 0)
                        return -ENOMEM;
        known = strv_join(names, ", ");
        return known ? conf_bad(walk, walk->key_node, "there is no such key; there are %s", known) : -ENOMEM;
}

static int walk_pair(ConfWalk *walk, const ConfKey *table, size_t n_table, yaml_node_pair_t *pair,
                     void *target)
{
        yaml_node_t *key_node = yaml_document_get_node(walk->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
        const char *name = conf_scalar(key_node);
        ConfWalk below = *walk;
        const ConfKey *key;

        if (!name)
                return conf_bad(walk, key_node, "a key must be a single value");
        below.parent = walk;
        below.key = name;
        below.key_node = key_node;
        key = find_key(table, n_table, name);
        if (!key)
                return refuse_key(&below, table, n_table);
        if (!key->handler || (key->key && key->type != YAML_SCALAR_NODE && is_null(value)))
                return 0;
        if (key->type != YAML_NO_NODE && value->type != key->type)
                return conf_bad(&below, value, "must be %s", type_name(key->type));
        return key->handler(&below, key, value, (uint8_t *) target + key->offset);
}

int conf_walk(ConfWalk *walk, yaml_node_t *node, const ConfKey *table, size_t n_table, void *target)
{
        int r = 0;

        if (is_null(node))
                return 0;
        if (node->type != YAML_MAPPING_NODE)
                return conf_bad(walk, node, "must be %s", type_name(YAML_MAPPING_NODE));
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top && r == 0; pair++) {
                yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
                yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
                const char *name = conf_scalar(key);

                if (name && conf_get(walk->document, node, name) != value)
                        return conf_bad(walk, key, "the key stands here twice");
                r = walk_pair(walk, table, n_table, pair, target);
        }
        return r;
}

/* Handlers */

int conf_mapping(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        return conf_walk(walk, node, key->table, key->n_table, target);
}

/* Units, the largest first; the last has size 1. */
typedef struct Unit {
        const char *name;
        uint64_t size;
} Unit;

static const Unit no_units[] = { { "", 1 } };
static const Unit size_units[] = {
        { "T", UINT64_C(1) << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 }
};
static const Unit span_units[] = { { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC },
                                   { "min", 60 * USEC_PER_SEC },  { "s", USEC_PER_SEC },
                                   { "ms", USEC_PER_MSEC },       { "us", 1 } };

/* A value in the largest unit that it is a multiple of. */
static char *value_text(uint64_t value, const Unit *units)
{
        while (units->size > 1 && (value == 0 || value % units->size != 0))
                units++;
        return string_format("%" PRIu64 "%s", value / units->size, units->name);
}

static int refuse_value(ConfWalk *walk, const ConfKey *key, const yaml_node_t *node, const Unit *units)
{
        _cleanup_free_ char *min = value_text(key->min, units), *max = value_text(key->max, units);

        return min && max ? conf_bad(walk, node, "is out of range: %s to %s", min, max) : -ENOMEM;
}

static int conf_number(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target,
                       int (*parse)(const char *s, uint64_t *ret), const Unit *units, const char *form)
{
        const char *s = conf_scalar(node);
        uint64_t value;
        int r = s ? parse(s, &value) : -EINVAL;

        if (r == -EINVAL)
                return conf_bad(walk, node, "must be %s", form);
        if (r < 0 || value < key->min || (key->max > 0 && value > key->max))
                return refuse_value(walk, key, node, units);
        *(uint64_t *) target = value;
        return 0;
}

static int parse_any_uint64(const char *s, uint64_t *ret)
{
        return parse_uint64(s, 0, UINT64_MAX, ret);
}

int conf_uint(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        return conf_number(walk, key, node, target, parse_any_uint64, no_units, "a whole number");
}

int conf_size(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        return conf_number(walk, key, node, target, parse_size, size_units,
                           "a size like 500K, 3G or a number of bytes");
}

int conf_span(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        return conf_number(walk, key, node, target, parse_time_span, span_units,
                           "a time like 20s, 500ms, 2min or a number of seconds");
}

int conf_texts(ConfWalk *walk, const ConfKey *key, yaml_node_t *node, void *target)
{
        _cleanup_(strv_freep) char **texts = NULL;

        for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top;
             item++) {
                yaml_node_t *value = yaml_document_get_node(walk->document, *item);
                const char *s = conf_scalar(value);
                int r;

                if (!s)
                        return conf_bad(walk, value, "must be a list of texts");
                if (key->max > 0 && strv_length(texts) >= key->max)
                        return conf_bad(walk, value, "has more than %" PRIu64 " members", key->max);
                r = strv_extend(&texts, s);
                if (r < 0)
                        return r;
        }
        strv_free(*(char ***) target);
        *(char ***) target = TAKE_PTR(texts);
        return 0;
}
