/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options and arguments of one verb: a table of what every verb takes, a table of the verb's own. Options
 * may stand anywhere; `--name VALUE` and `--name=VALUE` are the same. */

#include "ctl.h"

#include "basic/string-util.h"

#include <stdio.h>

#define N_COMMON 6U

typedef struct Parser {
        const CtlVerb *verb;
        CtlOption common[N_COMMON];
        const CtlOption *own; /* borrowed */
        size_t n_own;
        bool wants_help, wants_plain;
} Parser;

static void parser_init(Parser *parser, Ctl *ctl, const CtlVerb *verb, const CtlOption *own, size_t n_own)
{
        const CtlOption common[N_COMMON] = {
                { "json", CTL_FLAG, &ctl->json, NULL, "print JSON, and nothing else" },
                { "router", CTL_TEXT, &ctl->router, "ADDRESS", "where the router is" },
                { "key", CTL_TEXT, &ctl->key, "FILE", "the key for a router beyond this host" },
                { "registry", CTL_TEXT, &ctl->registry, "FOLDER", "where pushed versions are" },
                { "no-color", CTL_FLAG, &parser->wants_plain, NULL, "no colours" },
                { "help", CTL_FLAG, &parser->wants_help, NULL, "this" },
        };

        *parser = (Parser){ .verb = verb, .own = own, .n_own = n_own };
        memcpy(parser->common, common, sizeof(common));
}

static const CtlOption *parser_find(const Parser *parser, const char *name, size_t name_size)
{
        const struct {
                const CtlOption *options;
                size_t n;
        } tables[] = { { parser->own, parser->n_own }, { parser->common, N_COMMON } };

        for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
                for (size_t i = 0; i < tables[t].n; i++)
                        if (strlen(tables[t].options[i].name) == name_size &&
                            memcmp(tables[t].options[i].name, name, name_size) == 0)
                                return &tables[t].options[i];
        return NULL;
}

static int take_value(const CtlOption *option, const char *value)
{
        switch (option->kind) {
        case CTL_FLAG:
                *(bool *) option->value = true;
                return 0;
        case CTL_TEXT:
                *(const char **) option->value = value;
                return 0;
        case CTL_LIST:
                return strv_extend((char ***) option->value, value);
        }
        return 0;
}

/* The option at argv[i]; returns how many words it took. */
static int take_option(const Parser *parser, char **argv, int i)
{
        const char *name = argv[i] + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
        size_t name_size = equals ? (size_t) (equals - name) : strlen(name);
        const CtlOption *option;
        int r, n = 1;

        if (streq(argv[i], "-h"))
                option = parser_find(parser, "help", strlen("help"));
        else
                option = string_after(argv[i], "--") ? parser_find(parser, name, name_size) : NULL;
        if (!option)
                return -ctl_fail(parser->verb, CTL_USAGE, "there is no option %s (see --help)", argv[i]);
        if (option->kind == CTL_FLAG && value)
                return -ctl_fail(parser->verb, CTL_USAGE, "--%s takes no value", option->name);
        if (option->kind != CTL_FLAG && !value) {
                value = argv[i + n++];
                if (!value)
                        return -ctl_fail(parser->verb, CTL_USAGE, "--%s wants a %s", option->name,
                                         option->metavar);
        }
        r = take_value(option, value);
        return r < 0 ? -ctl_fail(parser->verb, CTL_FAILED, "%s", strerror(-r)) : n;
}

/* How many arguments a verb wants, from the words of its line; `...` behind the last allows more. */
static void count_arguments(const char *arguments, int *ret_min, int *ret_max)
{
        bool is_optional = false;

        *ret_min = *ret_max = 0;
        for (const char *p = arguments; *p;) {
                size_t n = strcspn(p, " ");

                is_optional |= *p == '[';
                (*ret_max)++;
                *ret_min += !is_optional;
                if (n > 3 && memmem(p, n, "...", 3))
                        *ret_max = INT32_MAX;
                p += n;
                p += strspn(p, " ");
        }
}

static void print_options(const CtlOption *options, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *left =
                        string_format("--%s %s", options[i].name, options[i].metavar ?: "");

                printf("  %-24s %s\n", left ?: options[i].name, options[i].help);
        }
}

static int print_help(const Parser *parser)
{
        printf("pipelinectl %s %s\n\n%s.\n\n", parser->verb->name, parser->verb->arguments,
               parser->verb->summary);
        print_options(parser->own, parser->n_own);
        print_options(parser->common, N_COMMON);
        return CTL_HELP;
}

int ctl_parse(Ctl *ctl, const CtlVerb *verb, int argc, char **argv, const CtlOption *options,
              size_t n_options, int *ret_argc)
{
        bool is_verbatim = false;
        int n = 1, n_min, n_max;
        Parser parser;

        parser_init(&parser, ctl, verb, options, n_options);
        for (int i = 1; i < argc;) {
                int taken;

                if (is_verbatim || argv[i][0] != '-' || argv[i][1] == '\0') {
                        argv[n++] = argv[i++];
                        continue;
                }
                if (streq(argv[i], "--")) {
                        is_verbatim = true;
                        i++;
                        continue;
                }
                taken = take_option(&parser, argv, i);
                if (taken < 0)
                        return -taken;
                i += taken;
        }
        if (parser.wants_help)
                return print_help(&parser);
        if (parser.wants_plain || ctl->json)
                ctl->color = false;
        count_arguments(verb->arguments, &n_min, &n_max);
        if (n - 1 < n_min || n - 1 > n_max)
                return ctl_fail(verb, CTL_USAGE, "usage: pipelinectl %s %s", verb->name, verb->arguments);
        *ret_argc = n;
        return 0;
}
