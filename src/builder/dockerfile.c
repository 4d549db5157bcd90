/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Three kinds of lines name images: FROM, and COPY and ADD with --from=. A FROM may use the ARGs that stand
 * before the first of them, by their defaults. The options of a RUN may not lead out of the place that
 * buildah keeps such things in (CVE-2024-9675: a cache by the name ../../..). What else a line says is not
 * looked at. */

#include "dockerfile.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define NAME_MAX_ 512U
#define ARGS_MAX  128U

typedef struct Parser {
        Buffer out;
        char **bases, **stages; /* names; a stage without one is "" */
        char **arguments;       /* NAME=VALUE, before the first FROM */
        Buffer instruction;     /* the one that is being read, as one line */
        unsigned line;
        char *error;
} Parser;

void dockerfile_done(Dockerfile *dockerfile)
{
        free(dockerfile->text);
        strv_free(dockerfile->bases);
        *dockerfile = (Dockerfile){};
}

static void parser_done(Parser *p)
{
        buffer_done(&p->out);
        buffer_done(&p->instruction);
        strv_free(p->bases);
        strv_free(p->stages);
        strv_free(p->arguments);
        free(p->error);
}

static int bad(Parser *p, const char *what)
{
        free(p->error);
        p->error = string_format("line %u: %s", p->line, what);
        return p->error ? DOCKERFILE_BAD : -ENOMEM;
}

static int put(Parser *p, const char *text, size_t size)
{
        return buffer_append(&p->out, text, size, 2 * DOCKERFILE_SIZE_MAX);
}

static const char *argument(const Parser *p, const char *name, size_t size)
{
        for (char **a = p->arguments; a && *a; a++)
                if (strncmp(*a, name, size) == 0 && (*a)[size] == '=')
                        return *a + size + 1;
        return NULL;
}

/* One $NAME, ${NAME} or ${NAME:-default} at `*at`, which moves behind it. */
static int expand_one(Parser *p, const char **at, Buffer *out)
{
        const char *name = *at + 1, *value, *fallback = "";
        size_t size, fallback_size = 0;
        bool braced = *name == '{';

        name += braced;
        size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        *at = name + size;
        if (braced && strncmp(*at, ":-", 2) == 0) {
                fallback = *at + 2;
                fallback_size = strcspn(fallback, "}");
                *at = fallback + fallback_size;
        }
        if (size == 0 || (braced && *(*at)++ != '}'))
                return bad(p, "a variable that is none");
        value = argument(p, name, size);
        if (value && *value)
                return buffer_append(out, value, strlen(value), NAME_MAX_);
        return buffer_append(out, fallback, fallback_size, NAME_MAX_);
}

/* A word with its variables replaced, a new string. */
static int expand(Parser *p, const char *word, char **ret)
{
        _cleanup_(buffer_done) Buffer out = {};
        int r = 0;

        while (r == 0 && *word) {
                if (*word == '$')
                        r = expand_one(p, &word, &out);
                else if (*word == '"' || *word == '\'')
                        word++;
                else
                        r = buffer_append(&out, word++, 1, NAME_MAX_);
        }
        if (r == 0)
                r = buffer_append(&out, "", 1, NAME_MAX_ + 1);
        if (r == 0)
                *ret = (char *) TAKE_PTR(out.data);
        return r == -ENOBUFS ? bad(p, "the name of an image is too long") : r;
}

static bool image_is_valid(const char *s)
{
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:@");

        return n > 0 && s[n] == '\0' && isalnum((unsigned char) s[0]) && !strstr(s, "..") &&
               !strstr(s, "//");
}

/* Writes what an image is called now. Stages and `scratch` keep their names. */
static int put_image(Parser *p, const char *name)
{
        char called[48];
        size_t n = 0;

        if (!image_is_valid(name))
                return bad(p, "this is no name of an image");
        if (streq(name, "scratch") || strv_contains(p->stages, name))
                return put(p, name, strlen(name));
        while (p->bases && p->bases[n] && !streq(p->bases[n], name))
                n++;
        if (n == DOCKERFILE_BASES_MAX)
                return bad(p, "too many base images");
        if (n == strv_length(p->bases) && strv_extend(&p->bases, name) < 0)
                return -ENOMEM;
        return put(p, called, (size_t) snprintf(called, sizeof(called), "localhost/base:%zu", n));
}

/* The next word of `*at`, a new string, or NULL at the end; `*at` moves behind it. */
static int next_word(const char **at, char **ret)
{
        size_t n;

        *at += strspn(*at, " \t\r");
        n = strcspn(*at, " \t\r");
        *ret = n > 0 ? strndup(*at, n) : NULL;
        if (n > 0 && !*ret)
                return -ENOMEM;
        *at += n;
        return 0;
}

static int take_argument(Parser *p, const char *rest)
{
        _cleanup_free_ char *word = NULL, *value = NULL;
        int r = next_word(&rest, &word);

        if (r < 0 || !word || strv_length(p->stages) > 0 || !strchr(word, '='))
                return r;
        if (strv_length(p->arguments) >= ARGS_MAX)
                return bad(p, "too many ARGs");
        r = expand(p, word, &value);
        return r == 0 ? strv_extend(&p->arguments, value) : r;
}

/* FROM [--platform=…] IMAGE [AS NAME] */
static int take_from(Parser *p, const char *rest)
{
        _cleanup_free_ char *word = NULL, *image = NULL, *as = NULL, *name = NULL, *more = NULL;
        int r = next_word(&rest, &word);

        if (r == 0 && word && string_after(word, "--platform=")) {
                free(word);
                r = next_word(&rest, &word);
        }
        if (r == 0 && !word)
                return bad(p, "FROM without an image");
        if (r == 0)
                r = expand(p, word, &image);
        if (r == 0)
                r = next_word(&rest, &as);
        if (r == 0)
                r = next_word(&rest, &name);
        if (r == 0)
                r = next_word(&rest, &more); /* a backslash, too: the line is written anew as one */
        if (r == 0 && (more || (as && (strcasecmp(as, "as") != 0 || !name || !image_is_valid(name)))))
                return bad(p, "after the image only AS and a name may come");
        if (r == 0)
                r = put(p, "FROM ", 5);
        if (r == 0)
                r = put_image(p, image);
        if (r == 0 && name)
                r = put(p, " AS ", 4) ?: put(p, name, strlen(name));
        return r != 0 ? r : strv_extend(&p->stages, name ?: "");
}

/* The number of a stage, as COPY may call it. */
static bool is_stage_number(const char *s)
{
        return *s && strspn(s, "0123456789") == strlen(s);
}

/* COPY and ADD: --from=IMAGE may stand among the options. */
static int take_copy(Parser *p, const char *verb, const char *rest)
{
        int r = put(p, verb, strlen(verb));

        for (;;) {
                _cleanup_free_ char *word = NULL;
                const char *at = rest, *from;

                if (r == 0)
                        r = next_word(&at, &word);
                if (r != 0 || !word || !string_after(word, "--"))
                        break;
                from = string_after(word, "--from=");
                r = put(p, " ", 1);
                if (r == 0 && from && !is_stage_number(from))
                        r = put(p, "--from=", 7) ?: put_image(p, from);
                else if (r == 0)
                        r = put(p, word, strlen(word));
                rest = at;
        }
        return r != 0 ? r : put(p, rest, strlen(rest));
}

/* A line of an instruction; `is_first`: it does not go on from the one above. */
static int take_line(Parser *p, const char *line, bool is_first)
{
        _cleanup_free_ char *verb = NULL;
        const char *rest = line;
        int r = next_word(&rest, &verb);

        if (r < 0)
                return r;
        if (!is_first || !verb || verb[0] == '#')
                r = put(p, line, strlen(line));
        else if (strcasecmp(verb, "FROM") == 0)
                r = take_from(p, rest);
        else if (strcasecmp(verb, "COPY") == 0 || strcasecmp(verb, "ADD") == 0)
                r = take_copy(p, verb, rest);
        else {
                if (strcasecmp(verb, "ARG") == 0)
                        r = take_argument(p, rest);
                if (r == 0)
                        r = put(p, line, strlen(line));
        }
        return r != 0 ? r : put(p, "\n", 1);
}

static bool goes_on(const char *line)
{
        size_t n = strlen(line);

        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                n--;
        return n > 0 && line[n - 1] == '\\';
}

static bool is_comment(const char *line)
{
        return line[strspn(line, " \t")] == '#';
}

static bool is_blank(const char *line)
{
        return line[strspn(line, " \t")] == '\0';
}

/* Where a line begins and whether it goes on must be what buildah thinks, too: no line is of bytes, or under
 * a directive, that it might read otherwise. */
static int check_line(Parser *p, const char *line)
{
        const char *s = line + strspn(line, " \t");

        for (const char *c = line; *c != '\0'; c++)
                if (((unsigned char) *c < ' ' && *c != '\t') || *c == 0x7f)
                        return bad(p, "a control character");
        if ((unsigned char) *s > '~')
                return bad(p, "it begins with something else than ASCII");
        if (*s != '#')
                return 0;
        s += 1 + strspn(s + 1, " \t");
        if (strncasecmp(s, "escape", 6) != 0)
                return 0;
        s += 6 + strspn(s + 6, " \t");
        return *s == '=' && s[1 + strspn(s + 1, " \t")] != '\\' ? bad(p, "another escape than \\") : 0;
}

/* A word of RUN's that begins with `--`; by another's count of blanks it may be several. */
static int check_option(Parser *p, const char *word)
{
        if (strpbrk(word, "\\\"'"))
                return bad(p, "an option of RUN with a quote or a backslash");
        if (strstr(word, "--mount") && strchr(word, '$'))
                return bad(p, "a mount of RUN with a variable");
        return strstr(word, "..") ? bad(p, "an option of RUN that leads out with ..") : 0;
}

/* What is no ASCII may be a blank for others. */
static const char *skip_blanks(const char *s)
{
        while (*s != '\0' && (*s <= ' ' || *s > '~'))
                s++;
        return s;
}

/* The instruction is whole. */
static int check_instruction(Parser *p)
{
        const char *at;
        int r = buffer_append(&p->instruction, "", 1, DOCKERFILE_SIZE_MAX + 1);

        if (r < 0)
                return r;
        at = skip_blanks((const char *) p->instruction.data);
        while (strncasecmp(at, "ONBUILD", 7) == 0)
                at = skip_blanks(at + 7);
        if (strncasecmp(at, "RUN", 3) == 0)
                at = skip_blanks(at + 3);
        while (r == 0 && string_after(at, "--")) {
                _cleanup_free_ char *word = NULL;

                r = next_word(&at, &word);
                if (r == 0)
                        r = check_option(p, word);
                at = skip_blanks(at);
        }
        buffer_done(&p->instruction);
        return r;
}

/* A part of the instruction that is no comment and not blank. */
static int take_part(Parser *p, const char *line)
{
        bool is_last = !goes_on(line);
        size_t n = is_last ? strlen(line) : (size_t) (strrchr(line, '\\') - line);
        int r = buffer_append(&p->instruction, line, n, DOCKERFILE_SIZE_MAX);

        return r == 0 && is_last ? check_instruction(p) : r;
}

static char *without_return(char *line)
{
        size_t n = strlen(line);

        if (n > 0 && line[n - 1] == '\r')
                line[n - 1] = '\0';
        return line;
}

int dockerfile_parse(const char *text, size_t size, Dockerfile *ret, char **ret_error)
{
        _cleanup_free_ char *copy = strndup(text, size);
        _cleanup_(parser_done) Parser p = {};
        bool is_first = true;
        int r = 0;

        if (!copy)
                return -ENOMEM;
        if (strlen(copy) != size)
                r = bad(&p, "a NUL byte");
        for (char *rest = copy, *line; r == 0 && (line = strsep(&rest, "\n"));) {
                p.line++;
                r = check_line(&p, without_return(line));
                if (r == 0)
                        r = take_line(&p, line, is_first);
                if (is_comment(line) || is_blank(line))
                        continue;
                is_first = !goes_on(line);
                if (r == 0)
                        r = take_part(&p, line);
        }
        if (r == 0)
                r = check_instruction(&p);
        if (r == 0 && strv_length(p.stages) == 0)
                r = bad(&p, "it has no FROM");
        if (r == 0)
                r = put(&p, "", 1);
        if (r > 0)
                *ret_error = TAKE_PTR(p.error);
        if (r != 0)
                return r;
        *ret = (Dockerfile){ (char *) TAKE_PTR(p.out.data), TAKE_PTR(p.bases) };
        return 0;
}
