/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message is a table of members. Each kind of member knows how to read, write and free itself; what is
 * wrong is told with the path of the member, built on the way back up. */

#include "json-fields.h"

#include "name.h"

#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>

#define N_MEMBERS_DEFAULT (1024U * 1024U)

static void *at(const void *value, size_t offset)
{
        return (uint8_t *) value + offset;
}

/* Texts */

static bool text_fits(const JsonField *field, json_object *value)
{
        const char *s;
        size_t length;

        if (!json_object_is_type(value, json_type_string))
                return false;
        s = json_object_get_string(value);
        length = (size_t) json_object_get_string_len(value);
        return strlen(s) == length && (field->max == 0 || length <= field->max) &&
               (!field->is_valid || field->is_valid(s));
}

static int bad_text(const JsonField *field, char **ret_error, const char *many)
{
        if (field->max > 0)
                return error_set(ret_error, JSON_BAD, " must be %s%s of at most %" PRIu64 " bytes", many,
                                 field->form ?: "text without NUL", field->max);
        return error_set(ret_error, JSON_BAD, " must be %s%s", many, field->form ?: "text without NUL");
}

static int text_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        if (!text_fits(field, value))
                return bad_text(field, ret_error, "");
        *(char **) member = strdup(json_object_get_string(value));
        return *(char **) member ? 0 : -ENOMEM;
}

static int text_write(const JsonField *field, const void *member, json_object **ret)
{
        const char *s = *(char *const *) member;

        *ret = s ? json_object_new_string(s) : NULL;
        return s && !*ret ? -ENOMEM : 0;
}

static void text_done(const JsonField *field, void *member)
{
        free(*(char **) member);
}

const FieldType field_text = { text_read, text_write, text_done };

/* Numbers, booleans */

static int uint_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        uint64_t max = field->max > 0 ? field->max : INT64_MAX, number;

        number = json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0
                         ? json_object_get_uint64(value)
                         : UINT64_MAX;
        if (number < field->min || number > max)
                return error_set(ret_error, JSON_BAD, " must be a whole number from %" PRIu64 " to %" PRIu64,
                                 field->min, max);
        *(uint64_t *) member = number;
        return 0;
}

static int uint_write(const JsonField *field, const void *member, json_object **ret)
{
        *ret = json_object_new_uint64(*(const uint64_t *) member);
        return *ret ? 0 : -ENOMEM;
}

const FieldType field_uint = { uint_read, uint_write, NULL };

static int bool_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        if (!json_object_is_type(value, json_type_boolean))
                return error_set(ret_error, JSON_BAD, " must be true or false");
        *(bool *) member = json_object_get_boolean(value);
        return 0;
}

static int bool_write(const JsonField *field, const void *member, json_object **ret)
{
        *ret = json_object_new_boolean(*(const bool *) member);
        return *ret ? 0 : -ENOMEM;
}

const FieldType field_bool = { bool_read, bool_write, NULL };

/* Arrays of texts: `max` is their number, the form that of each. */

static int texts_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        JsonField item = *field;
        size_t n;
        int r;

        item.max = 0;
        if (!json_object_is_type(value, json_type_array))
                return bad_text(&item, ret_error, "an array, each of it ");
        n = json_object_array_length(value);
        if (n > (field->max ?: N_MEMBERS_DEFAULT))
                return error_set(ret_error, JSON_BAD, " has more than %" PRIu64 " members", field->max);
        for (size_t i = 0; i < n; i++) {
                json_object *text = json_object_array_get_idx(value, i);

                if (!text_fits(&item, text))
                        return bad_text(&item, ret_error, "an array, each of it ");
                r = strv_extend(member, json_object_get_string(text));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int texts_write(const JsonField *field, const void *member, json_object **ret)
{
        _cleanup_json_ json_object *array = NULL;
        char *const *texts = *(char **const *) member;

        *ret = NULL;
        if (!texts && field->optional)
                return 0;
        array = json_object_new_array();
        if (!array)
                return -ENOMEM;
        for (; texts && *texts; texts++) {
                json_object *text = json_object_new_string(*texts);

                if (!text || json_object_array_add(array, text) < 0) {
                        json_object_put(text);
                        return -ENOMEM;
                }
        }
        *ret = TAKE_PTR(array);
        return 0;
}

static void texts_done(const JsonField *field, void *member)
{
        strv_free(*(char ***) member);
}

const FieldType field_texts = { texts_read, texts_write, texts_done };

/* Structs, and arrays of structs */

static int struct_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (!json_object_is_type(value, json_type_object))
                return error_set(ret_error, JSON_BAD, " must be an object");
        r = json_read(field->table, value, member, &error);
        return r == JSON_BAD ? error_set(ret_error, JSON_BAD, ".%s", error) : r;
}

static int struct_write(const JsonField *field, const void *member, json_object **ret)
{
        *ret = json_write(field->table, member);
        return *ret ? 0 : -ENOMEM;
}

static void struct_done(const JsonField *field, void *member)
{
        json_done(field->table, member);
}

const FieldType field_struct = { struct_read, struct_write, struct_done };

static size_t *list_count(const JsonField *field, const void *member)
{
        return at(member, field->count_offset - field->offset);
}

static int list_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        size_t n, *count = list_count(field, member);
        int r;

        if (!json_object_is_type(value, json_type_array))
                return error_set(ret_error, JSON_BAD, " must be an array");
        n = json_object_array_length(value);
        if (n > (field->max ?: N_MEMBERS_DEFAULT))
                return error_set(ret_error, JSON_BAD, " has more than %" PRIu64 " members", field->max);
        *(void **) member = calloc(n ?: 1, field->table->size);
        if (!*(void **) member)
                return -ENOMEM;
        for (*count = 0; *count < n; (*count)++) {
                _cleanup_free_ char *error = NULL;

                r = struct_read(field, json_object_array_get_idx(value, *count),
                                at(*(void **) member, *count * field->table->size), &error);
                if (r != 0)
                        return r < 0 ? r : error_set(ret_error, JSON_BAD, "[%zu]%s", *count, error);
        }
        return 0;
}

static int list_write(const JsonField *field, const void *member, json_object **ret)
{
        _cleanup_json_ json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < *list_count(field, member); i++) {
                json_object *item =
                        json_write(field->table, at(*(void *const *) member, i * field->table->size));

                if (!item || json_object_array_add(array, item) < 0) {
                        json_object_put(item);
                        return -ENOMEM;
                }
        }
        *ret = TAKE_PTR(array);
        return *ret ? 0 : -ENOMEM;
}

static void list_done(const JsonField *field, void *member)
{
        for (size_t i = 0; i < *list_count(field, member); i++)
                json_done(field->table, at(*(void **) member, i * field->table->size));
        free(*(void **) member);
}

const FieldType field_list = { list_read, list_write, list_done };

/* Objects as they are, channels */

static int object_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        if (!json_object_is_type(value, json_type_object))
                return error_set(ret_error, JSON_BAD, " must be an object");
        *(json_object **) member = json_object_get(value);
        return 0;
}

static int object_write(const JsonField *field, const void *member, json_object **ret)
{
        *ret = json_object_get(*(json_object *const *) member);
        return 0;
}

static void object_done(const JsonField *field, void *member)
{
        json_object_put(*(json_object **) member);
}

const FieldType field_object = { object_read, object_write, object_done };

static int channel_read(const JsonField *field, json_object *value, void *member, char **ret_error)
{
        Channel channel = _CHANNEL_INVALID;

        if (json_object_is_type(value, json_type_string))
                channel = channel_from_string(json_object_get_string(value));
        if (channel == _CHANNEL_INVALID)
                return error_set(ret_error, JSON_BAD, " must be a channel");
        *(Channel *) member = channel;
        return 0;
}

static int channel_write(const JsonField *field, const void *member, json_object **ret)
{
        Channel channel = *(const Channel *) member;

        if (channel == _CHANNEL_INVALID)
                return 0;
        *ret = json_object_new_string(channel_to_string(channel));
        return *ret ? 0 : -ENOMEM;
}

const FieldType field_channel = { channel_read, channel_write, NULL };

/* Whole objects */

static int read_field(const JsonField *field, json_object *object, void *value, char **ret_error)
{
        _cleanup_free_ char *error = NULL;
        json_object *member = json_object_object_get(object, field->name);
        int r;

        if (!member)
                return field->optional
                               ? 0
                               : error_set(ret_error, JSON_BAD, "%s is missing or null", field->name);
        r = field->type->read(field, member, at(value, field->offset), &error);
        return r == JSON_BAD ? error_set(ret_error, JSON_BAD, "%s%s", field->name, error) : r;
}

int json_read(const JsonTable *table, json_object *object, void *ret, char **ret_error)
{
        int r = 0;

        for (size_t i = 0; i < table->n_fields && r == 0; i++)
                r = read_field(&table->fields[i], object, ret, ret_error);
        if (r != 0)
                json_done(table, ret);
        return r;
}

static const JsonField *find_field(const JsonTable *table, const char *name)
{
        for (size_t i = 0; i < table->n_fields; i++)
                if (strcmp(table->fields[i].name, name) == 0)
                        return &table->fields[i];
        return NULL;
}

int json_refuse_unknown(const JsonTable *table, json_object *object, char **ret_error)
{
        json_object_object_foreach(object, name, value)
        {
                const JsonField *field = find_field(table, name);
                int r = 0;

                if (!field)
                        return error_set(ret_error, JSON_BAD, "%s is no member that may be said", name);
                if (field->type == &field_struct && json_object_is_type(value, json_type_object))
                        r = json_refuse_unknown(field->table, value, ret_error);
                if (r != 0)
                        return r;
        }
        return 0;
}

int json_check_ceilings(const JsonTable *table, const void *limits, const void *ceilings, char **ret_error)
{
        for (size_t i = 0; i < table->n_fields; i++) {
                const JsonField *field = &table->fields[i];
                uint64_t ceiling = *(const uint64_t *) at(ceilings, field->offset);

                assert(field->type == &field_uint);
                if (*(const uint64_t *) at(limits, field->offset) > ceiling)
                        return error_set(ret_error, JSON_BAD,
                                         "limits.%s must be at most %" PRIu64 ", the ceiling of this host",
                                         field->name, ceiling);
        }
        return 0;
}

json_object *json_write(const JsonTable *table, const void *value)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        for (size_t i = 0; object && i < table->n_fields; i++) {
                const JsonField *field = &table->fields[i];
                json_object *member;

                if (field->type->write(field, at(value, field->offset), &member) < 0 ||
                    json_add(object, field->name, member) < 0)
                        return NULL;
        }
        return TAKE_PTR(object);
}

/* From the last one on: a struct is zeroed, and with it what a later field has placed in it. */
void json_done(const JsonTable *table, void *value)
{
        for (size_t i = table->n_fields; i-- > 0;)
                if (table->fields[i].type->done)
                        table->fields[i].type->done(&table->fields[i], at(value, table->fields[i].offset));
        memset(value, 0, table->size);
}

int json_object_from_bytes(const void *data, size_t size, json_object **ret, char **ret_error)
{
        _cleanup_json_ json_object *object = NULL;
        struct json_tokener *tokener;
        JsonReport report;

        if (json_check(data, size, INT32_MAX, JSON_CHECK_DEPTH_MAX, &report) != 0)
                return error_set(ret_error, JSON_BAD, "is not JSON: %s (at byte %zu)", report.reason,
                                 report.offset);
        if (report.kind != JSON_KIND_OBJECT)
                return error_set(ret_error, JSON_BAD, "is not an object");
        tokener = json_tokener_new_ex(JSON_CHECK_DEPTH_MAX + 1);
        if (!tokener)
                return -ENOMEM;
        object = json_tokener_parse_ex(tokener, data, (int) size);
        json_tokener_free(tokener);
        if (!object)
                return error_set(ret_error, JSON_BAD, "is JSON that cannot be represented here");
        *ret = TAKE_PTR(object);
        return 0;
}

const char *json_object_text(json_object *object)
{
        return json_object_to_json_string_ext(object,
                                              JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

int json_add(json_object *object, const char *key, json_object *value)
{
        if (json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

int json_add_text(json_object *object, const char *key, const char *text)
{
        json_object *value = text ? json_object_new_string(text) : NULL;

        return text && !value ? -ENOMEM : json_add(object, key, value);
}

int json_add_uint(json_object *object, const char *key, uint64_t number)
{
        json_object *value = json_object_new_uint64(number);

        return value ? json_add(object, key, value) : -ENOMEM;
}

int json_add_bool(json_object *object, const char *key, bool truth)
{
        json_object *value = json_object_new_boolean(truth);

        return value ? json_add(object, key, value) : -ENOMEM;
}

const char *json_text(json_object *object, const char *key)
{
        json_object *value = json_object_object_get(object, key);
        const char *s;

        if (!json_object_is_type(value, json_type_string))
                return NULL;
        s = json_object_get_string(value);
        return strlen(s) == (size_t) json_object_get_string_len(value) ? s : NULL;
}
