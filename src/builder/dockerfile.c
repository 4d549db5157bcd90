/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An instruction is read as buildah reads it: its lines joined, without comments. It is written anew as one
 * line, so that there is no second opinion on where it begins and ends. Two kinds name images: FROM, and
 * COPY with --from=. A FROM may use the ARGs that stand before the first of them, by their defaults. The
 * options of FROM, COPY, ADD and RUN are a list of what may be. What else an instruction says is not looked
 * at. */

#include "dockerfile.h"

#include "dockerfile-mount.h"

#include "basic/io-util.h"
#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define NAME_MAX_ 512U
#define ARGS_MAX  128U
/* buildah takes a longer line for the end of the file. */
#define LINE_SIZE_MAX 65534U
/* What an image or a cache is called now may be longer. */
#define OUT_SIZE_MAX (4 * DOCKERFILE_SIZE_MAX)

typedef struct Parser {
        Buffer out;
        char **bases, **stages; /* names; a stage without one is "" */
        char **arguments;       /* NAME=VALUE, before the first FROM */
        Buffer instruction;     /* the one that is being read, as one line */
        unsigned line, begins;  /* of the file; the line that the instruction begins in */
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

static int bad_at(Parser *p, unsigned line, const char *what)
{
        free(p->error);
        p->error = string_format("line %u: %s", line, what);
        return p->error ? DOCKERFILE_BAD : -ENOMEM;
}

static int bad(Parser *p, const char *what)
{
        return bad_at(p, p->begins, what);
}

static int put(Parser *p, const char *text, size_t size)
{
        return buffer_append(&p->out, text, size, OUT_SIZE_MAX);
}

static int put_text(Parser *p, const char *text)
{
        return put(p, text, strlen(text));
}

/* The last definition is the one that holds. */
static const char *argument(const Parser *p, const char *name, size_t size)
{
        const char *value = NULL;

        for (char **a = p->arguments; a && *a; a++)
                if (strncmp(*a, name, size) == 0 && (*a)[size] == '=')
                        value = *a + size + 1;
        return value;
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
        char quote = '\0';
        int r = 0;

        while (r == 0 && *word) {
                if (*word == '$' && quote != '\'')
                        r = expand_one(p, &word, &out);
                else if (quote ? *word == quote : *word == '"' || *word == '\'')
                        quote = quote ? '\0' : *word, word++;
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

static bool stage_is_valid(const char *s)
{
        return image_is_valid(s) && !strpbrk(s, "/:@");
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

#define BLANKS " \t"

/* The next word of `*at`, a new string, or NULL at the end; `*at` moves behind it. */
static int next_word(const char **at, char **ret)
{
        size_t n;

        *at += strspn(*at, BLANKS);
        n = strcspn(*at, BLANKS);
        *ret = n > 0 ? strndup(*at, n) : NULL;
        if (n > 0 && !*ret)
                return -ENOMEM;
        *at += n;
        return 0;
}

/* The same, where blanks in quotes are of the word. */
static int next_value(const char **at, char **ret)
{
        char quote = '\0';
        size_t n = 0;

        *at += strspn(*at, BLANKS);
        for (const char *s = *at; s[n] != '\0' && (quote || !strchr(BLANKS, s[n])); n++)
                if (quote ? s[n] == quote : s[n] == '"' || s[n] == '\'')
                        quote = quote ? '\0' : s[n];
        *ret = n > 0 ? strndup(*at, n) : NULL;
        if (n > 0 && !*ret)
                return -ENOMEM;
        *at += n;
        return 0;
}

/* The next word if it is an option, else NULL. Other programs count other bytes as blanks, and take away
 * quotes: none of these may be where an option is, or could be. */
static int next_option(Parser *p, const char **at, char **ret)
{
        *at += strspn(*at, BLANKS);
        *ret = NULL;
        if ((unsigned char) **at > '~')
                return bad(p, "after the options comes something else than ASCII");
        if (!string_after(*at, "--"))
                return 0;
        if (next_word(at, ret) < 0)
                return -ENOMEM;
        for (const char *s = *ret; *s; s++)
                if (*s < '!' || *s > '~' || strchr("\\\"'", *s))
                        return bad(p, "an option is of ASCII, without quotes and backslash");
        return 0;
}

/* FROM [--platform=…] IMAGE [AS NAME] */
static int take_from(Parser *p, const char *rest)
{
        _cleanup_free_ char *option = NULL, *word = NULL, *image = NULL, *as = NULL, *name = NULL,
                            *more = NULL;
        int r = next_option(p, &rest, &option);

        if (r == 0 && option && !string_after(option, "--platform="))
                return bad(p, "FROM has no option but --platform=");
        if (r == 0)
                r = next_word(&rest, &word);
        if (r == 0 && !word)
                return bad(p, "FROM without an image");
        if (r == 0)
                r = expand(p, word, &image);
        if (r == 0)
                r = next_word(&rest, &as);
        if (r == 0)
                r = next_word(&rest, &name);
        if (r == 0)
                r = next_word(&rest, &more);
        if (r == 0 && (more || (as && (strcasecmp(as, "as") != 0 || !name || !stage_is_valid(name)))))
                return bad(p, "after the image only AS and a name may come");
        if (r == 0)
                r = put_text(p, "FROM ");
        if (r == 0)
                r = put_image(p, image);
        if (r == 0 && name)
                r = put_text(p, " AS ") ?: put_text(p, name);
        return r != 0 ? r : strv_extend(&p->stages, name ?: "");
}

/* ARG before the first FROM: NAME[=VALUE]… */
static int take_argument(Parser *p, const char *rest)
{
        int r = put_text(p, "ARG") ?: put_text(p, rest);

        if (r == 0 && strv_length(p->stages) == 0 && strchr(rest, '\\'))
                return bad(p, "an ARG before FROM has no backslash");
        while (r == 0 && strv_length(p->stages) == 0) {
                _cleanup_free_ char *word = NULL, *value = NULL;

                r = next_value(&rest, &word);
                if (r < 0 || !word)
                        return r;
                if (word[0] == '-')
                        return bad(p, "ARG has no options");
                if (!strchr(word, '='))
                        continue;
                if (strv_length(p->arguments) >= ARGS_MAX)
                        return bad(p, "too many ARGs");
                r = expand(p, word, &value);
                if (r == 0)
                        r = strv_extend(&p->arguments, value);
        }
        return r;
}

/* The number of a stage, as COPY may call it. */
static bool is_stage_number(const char *s)
{
        return *s && strspn(s, "0123456789") == strlen(s);
}

/* An instruction whose options are looked at one by one, and what follows them not. */
static int take_options(Parser *p, const char *verb, int (*put_option)(Parser *p, const char *option),
                        const char *rest)
{
        int r = put_text(p, verb);

        while (r == 0) {
                _cleanup_free_ char *option = NULL;

                r = next_option(p, &rest, &option);
                if (r == 0)
                        r = put_text(p, " ");
                if (r == 0 && !option)
                        return put_text(p, rest);
                if (r == 0)
                        r = put_option(p, option);
        }
        return r;
}

/* buildah looks for --from in all of a word. */
static int put_owner_option(Parser *p, const char *option, const char *others)
{
        if (!string_after(option, "--chown=") && !string_after(option, "--chmod="))
                return bad(p, others);
        return strstr(option + 2, "--") ? bad(p, "an option within another") : put_text(p, option);
}

static int put_copy_option(Parser *p, const char *option)
{
        const char *from = string_after(option, "--from=");

        if (!from)
                return put_owner_option(p, option, "COPY has no options but --from=, --chown= and --chmod=");
        if (is_stage_number(from))
                return put_text(p, option);
        return put_text(p, "--from=") ?: put_image(p, from);
}

static int take_copy(Parser *p, const char *rest)
{
        return take_options(p, "COPY", put_copy_option, rest);
}

static int put_add_option(Parser *p, const char *option)
{
        return put_owner_option(p, option, "ADD has no options but --chown= and --chmod=");
}

static int take_add(Parser *p, const char *rest)
{
        return take_options(p, "ADD", put_add_option, rest);
}

static int put_run_option(Parser *p, const char *option)
{
        _cleanup_free_ char *mount = NULL;
        const char *text = string_after(option, "--mount="), *reason;
        int r;

        if (!text)
                return bad(p, "RUN has no option but --mount=");
        r = dockerfile_mount_rewrite(text, p->stages, &mount, &reason);
        if (r == MOUNT_BAD)
                return bad(p, reason);
        return r != 0 ? r : put_text(p, "--mount=") ?: put_text(p, mount);
}

static int take_run(Parser *p, const char *rest)
{
        return take_options(p, "RUN", put_run_option, rest);
}

/* Nobody sees the steps that it would bring to another Dockerfile, and OCI has no place for them. */
static int take_onbuild(Parser *p, const char *rest)
{
        return bad(p, "ONBUILD is not taken: its steps belong into the Dockerfile that needs them");
}

static const struct {
        const char *verb;
        int (*take)(Parser *p, const char *rest); /* NULL: as it is */
} instructions[] = {
        { "FROM", take_from },  { "ARG", take_argument },    { "COPY", take_copy },   { "ADD", take_add },
        { "RUN", take_run },    { "ONBUILD", take_onbuild }, { "CMD", NULL },         { "ENTRYPOINT", NULL },
        { "ENV", NULL },        { "EXPOSE", NULL },          { "HEALTHCHECK", NULL }, { "LABEL", NULL },
        { "MAINTAINER", NULL }, { "SHELL", NULL },           { "STOPSIGNAL", NULL },  { "USER", NULL },
        { "VOLUME", NULL },     { "WORKDIR", NULL },
};

static bool goes_on(const char *line)
{
        size_t n = strlen(line);

        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                n--;
        return n > 0 && line[n - 1] == '\\';
}

static int dispatch(Parser *p, const char *text)
{
        _cleanup_free_ char *verb = NULL;
        const char *rest = text;
        int r = next_word(&rest, &verb);

        if (r < 0 || !verb)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(instructions); i++)
                if (strcasecmp(verb, instructions[i].verb) == 0)
                        return instructions[i].take ? instructions[i].take(p, rest) : put_text(p, text);
        return bad(p, "there is no such instruction");
}

/* The instruction is whole. */
static int take_instruction(Parser *p)
{
        size_t before = p->out.size;
        int r = buffer_append(&p->instruction, "", 1, DOCKERFILE_SIZE_MAX + 1);
        const char *text = (const char *) p->instruction.data;

        if (r == 0 && goes_on(text))
                return bad(p, "a backslash at the end that nothing comes after");
        if (r == 0)
                r = dispatch(p, text);
        if (r == 0 && p->out.size - before > LINE_SIZE_MAX)
                return bad(p, "65535 bytes or more: put it into a script");
        buffer_done(&p->instruction);
        return r != 0 ? r : put_text(p, "\n");
}

static bool is_comment(const char *line)
{
        return line[strspn(line, BLANKS)] == '#';
}

static bool is_blank(const char *line)
{
        return line[strspn(line, BLANKS)] == '\0';
}

/* Where a line begins and whether it goes on must be what buildah thinks, too: no line is of bytes, or under
 * a directive, that it might read otherwise. */
static int check_line(Parser *p, const char *line)
{
        const char *s = line + strspn(line, BLANKS);

        if (strlen(line) > LINE_SIZE_MAX)
                return bad_at(p, p->line, "65535 bytes or more: put it into a script");
        for (const char *c = line; *c != '\0'; c++)
                if (((unsigned char) *c < ' ' && *c != '\t') || *c == 0x7f)
                        return bad_at(p, p->line, "a control character");
        if ((unsigned char) *s > '~')
                return bad_at(p, p->line, "it begins with something else than ASCII");
        if (*s != '#')
                return 0;
        s += 1 + strspn(s + 1, BLANKS);
        if (strncasecmp(s, "escape", 6) != 0)
                return 0;
        s += 6 + strspn(s + 6, BLANKS);
        return *s == '=' && s[1 + strspn(s + 1, BLANKS)] != '\\'
                       ? bad_at(p, p->line, "another escape than \\")
                       : 0;
}

/* A line that is no comment and not blank. */
static int take_part(Parser *p, const char *line)
{
        bool is_last = !goes_on(line);
        size_t n = is_last ? strlen(line) : (size_t) (strrchr(line, '\\') - line);
        int r;

        if (p->begins == 0)
                p->begins = p->line;
        r = buffer_append(&p->instruction, line, n, DOCKERFILE_SIZE_MAX);
        if (r == 0 && is_last) {
                r = take_instruction(p);
                p->begins = 0;
        }
        return r;
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
        int r = 0;

        if (!copy)
                return -ENOMEM;
        if (strlen(copy) != size)
                r = bad_at(&p, 1, "a NUL byte");
        for (char *rest = copy, *line; r == 0 && (line = strsep(&rest, "\n"));) {
                p.line++;
                r = check_line(&p, without_return(line));
                if (r == 0 && !is_comment(line) && !is_blank(line))
                        r = take_part(&p, line);
        }
        if (r == 0 && p.begins > 0)
                r = take_instruction(&p);
        if (r == 0 && strv_length(p.stages) == 0)
                r = bad_at(&p, p.line, "it has no FROM");
        if (r == 0)
                r = put(&p, "", 1);
        if (r > 0)
                *ret_error = TAKE_PTR(p.error);
        if (r != 0)
                return r;
        *ret = (Dockerfile){ (char *) TAKE_PTR(p.out.data), TAKE_PTR(p.bases) };
        return 0;
}
