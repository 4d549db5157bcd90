/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* JSON objects and structs, by one table for both directions: a message is described once, as a list of
 * members with their place in the struct, form and range; reading, writing and freeing follow from it.
 * Unknown members are passed over: that is how protocols grow. */

#include "json-check.h"

#include <json-c/json.h>

/* The positive answer of everything here: what came is not what was agreed. */
enum {
        JSON_BAD = 1,
};

typedef struct JsonField JsonField;

/* How a kind of member is read, written and freed. */
typedef struct FieldType {
        /* 0, -ENOMEM, or JSON_BAD with what is wrong in *ret_error: "must be …", or ".member must be …". */
        int (*read)(const JsonField *field, json_object *value, void *member, char **ret_error);
        /* 0 or -ENOMEM; *ret may stay NULL for JSON's null. */
        int (*write)(const JsonField *field, const void *member, json_object **ret);
        void (*done)(const JsonField *field, void *member); /* NULL: nothing to free */
} FieldType;

typedef struct JsonTable {
        const JsonField *fields;
        size_t n_fields;
        size_t size; /* of the struct */
} JsonTable;

struct JsonField {
        const char *name;
        const FieldType *type;
        size_t offset;
        /* May be missing or null: then the struct's member stays as it was. */
        bool optional;
        /* Texts: their form (NULL: any without NUL), and its name for people: "a version". */
        bool (*is_valid)(const char *);
        const char *form;
        /* Numbers: their range; texts: their length; lists: their number of members (max 0: 1 Mi). */
        uint64_t min, max;
        /* Structs and lists of structs; and of lists, where their count is. */
        const JsonTable *table;
        size_t count_offset;
};

extern const FieldType field_text;    /* char *, owned */
extern const FieldType field_uint;    /* uint64_t */
extern const FieldType field_bool;    /* bool */
extern const FieldType field_texts;   /* char **, owned, NULL-ended; JSON's null is NULL */
extern const FieldType field_struct;  /* a struct in its place, by `table` */
extern const FieldType field_list;    /* an owned array of structs, by `table` */
extern const FieldType field_object;  /* json_object *, an owned reference to an object */
extern const FieldType field_channel; /* Channel */

#define JSON_TABLE(type_, fields_)                                                          \
        {                                                                                   \
                .fields = (fields_), .n_fields = ARRAY_SIZE(fields_), .size = sizeof(type_) \
        }

/* Bytes to an object: RFC 8259, an object at the top, at most JSON_CHECK_DEPTH_MAX deep. 0, -ENOMEM, or
 * JSON_BAD with what is wrong. */
int json_object_from_bytes(const void *data, size_t size, json_object **ret, char **ret_error) _warn_unused_;
/* An object to text, compact; owned by the object; NULL without memory. */
const char *json_object_text(json_object *object);

/* The struct must be zero-initialised or hold defaults. 0, -ENOMEM, or JSON_BAD with the member's path and
 * what it must be; then what was read so far is freed. */
int json_read(const JsonTable *table, json_object *object, void *ret, char **ret_error) _warn_unused_;
/* For what must not grow: JSON_BAD where the object, or a struct in it, has a member that the table does
 * not name. */
int json_refuse_unknown(const JsonTable *table, json_object *object, char **ret_error) _warn_unused_;
/* Whether each number of `limits` is at most that of `ceilings`: two structs of a table that has numbers
 * alone. JSON_BAD with the first that is not, and its ceiling. */
int json_check_ceilings(const JsonTable *table, const void *limits, const void *ceilings,
                        char **ret_error) _warn_unused_;
/* A new object, NULL without memory. */
json_object *json_write(const JsonTable *table, const void *value);
/* Frees what the struct owns and zeroes it. */
void json_done(const JsonTable *table, void *value);

/* Adds, taking `value` (NULL is JSON's null only where `value` was meant so). 0 or -ENOMEM; frees `value`
 * then. */
int json_add(json_object *object, const char *key, json_object *value) _warn_unused_;
/* Adds a text; NULL adds null. */
int json_add_text(json_object *object, const char *key, const char *text) _warn_unused_;
int json_add_uint(json_object *object, const char *key, uint64_t value) _warn_unused_;
int json_add_bool(json_object *object, const char *key, bool value) _warn_unused_;

/* The text of a member, borrowed; NULL where it is missing, no text, or holds NUL. */
const char *json_text(json_object *object, const char *key);

static inline void json_object_putp(json_object **object)
{
        json_object_put(*object);
}

#define _cleanup_json_ _cleanup_(json_object_putp)
