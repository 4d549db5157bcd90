/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the router asks about the registry: which digest a version has, and what there is. Each question is
 * one run of the program that asks; several may be under way. */

#include "manager-private.h"

#include "basic/string-util.h"
#include "shared/registry.h"

#include <errno.h>

#define QUESTIONS_MAX 16U

typedef struct Question {
        ListLink link;
        Manager *manager;
        PeerType answer_type;
        char *id;
        RegistryCall *call;
} Question;

static Question *question_free(Question *question)
{
        list_remove(&question->manager->questions, &question->link);
        registry_call_free(question->call);
        free(question->id);
        free(question);
        return NULL;
}

void manager_drop_questions(Manager *m)
{
        LIST_FOREACH(Question, question, &m->questions, link)
                question_free(question);
}

/* `images` and texts are borrowed. */
static int say(Manager *m, PeerType type, const char *id, const RegistryAnswer *from)
{
        /* A version that cannot be used is no better than one that is not there. */
        unsigned code = from->code == STATUS_SETUP_FAILED || from->code == STATUS_BAD_INPUT
                                ? STATUS_BAD_INPUT
                        : from->code == 0 ? 0
                                          : STATUS_NO_WORKER;
        const Answer answer = {
                .query = (char *) id,
                .digest = (char *) from->digest,
                .images = from->images,
                .code = code,
                .error = (char *) from->error,
        };

        return router_link_send(m->link, type, answer_to_json(&answer), NULL, 0);
}

static int on_answer(RegistryCall *call, const RegistryAnswer *answer, void *userdata)
{
        Question *question = userdata;
        RegistryAnswer checked = *answer;
        int r;

        if (answer->code == 0 && question->answer_type == PEER_RESOLVED &&
            !digest_is_valid(answer->digest ?: ""))
                checked = (RegistryAnswer){ .code = STATUS_NO_WORKER,
                                            .error = "the registry gives no digest" };
        r = say(question->manager, question->answer_type, question->id, &checked);
        question_free(question);
        return r;
}

static const RegistryHandlers handlers = { .ended = on_answer };

static int ask(Manager *m, const Query *query, PeerType answer_type)
{
        const RegistryQuestion asked = {
                .verb = answer_type == PEER_RESOLVED ? REGISTRY_RESOLVE : REGISTRY_LIST,
                .channel = channel_to_string(query->channel),
                .track = query->track,
                .version = answer_type == PEER_RESOLVED ? query->version : NULL,
        };
        Question *question = calloc(1, sizeof(Question));
        int r;

        if (!question)
                return -ENOMEM;
        question->manager = m;
        question->answer_type = answer_type;
        list_append(&m->questions, &question->link);
        question->id = strdup(query->query);
        r = question->id ? registry_call_new(m->event, &m->settings->registry, &asked, &handlers, question,
                                             &question->call)
                         : -ENOMEM;
        if (r < 0)
                question_free(question);
        return r;
}

static int on_query(Manager *m, json_object *body, PeerType answer_type, char **ret_error)
{
        _cleanup_(query_done) Query query = {};
        const RegistryAnswer busy = { .code = STATUS_NO_WORKER,
                                      .error = "this worker has too many questions about the registry" },
                             none = { .code = STATUS_NO_WORKER,
                                      .error = "the program that asks the registry cannot be started" };
        int r;

        r = query_from_json(body, &query, ret_error);
        if (r != 0)
                return r;
        if (answer_type == PEER_RESOLVED && !query.version)
                return error_set(ret_error, JSON_BAD, "member version is missing");
        if (m->questions.n_members >= QUESTIONS_MAX)
                return say(m, answer_type, query.query, &busy);
        r = ask(m, &query, answer_type);
        return r < 0 && r != -ENOMEM ? say(m, answer_type, query.query, &none) : r;
}

int manager_on_resolve(Manager *m, json_object *body, char **ret_error)
{
        return on_query(m, body, PEER_RESOLVED, ret_error);
}

int manager_on_list(Manager *m, json_object *body, char **ret_error)
{
        return on_query(m, body, PEER_LISTED, ret_error);
}
