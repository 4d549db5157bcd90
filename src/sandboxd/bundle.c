/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration is one text with four gaps: the root file system, the mount of pipeline-init, and the
 * two id maps. Container root exists for pipeline-init alone, with what it needs to mount, to write the
 * input, to take from the guest what guests must not have, and to become the guest; it gives all of that
 * away before a guest runs.
 *
 * Pseudo-terminals are counted for the whole host, so each sandbox has a few and no more.
 *
 * There is no /sys, and no seccomp filter: the filter is the guest's, so pipeline-init loads it. /proc/sys
 * is left writable, for pipeline-init lowers the counts in /proc/sys/user; a guest is not its owner. */

#include "bundle.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define INIT_PATH "/.pipeline-init"

#define CAPABILITIES                                                                                        \
        "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FOWNER\",\"CAP_KILL\",\"CAP_NET_ADMIN\",\"CAP_SETGID\"," \
        "\"CAP_SETPCAP\",\"CAP_SETUID\",\"CAP_SYS_ADMIN\",\"CAP_SYS_RESOURCE\"]"

static const char config_text[] =
        "{\"ociVersion\":\"1.0.2\","
        " \"hostname\":\"sandbox\","
        " \"process\":{"
        "  \"terminal\":false,"
        "  \"user\":{\"uid\":0,\"gid\":0},"
        "  \"args\":[\"" INIT_PATH "\"],"
        "  \"env\":[],"
        "  \"cwd\":\"/\","
        "  \"noNewPrivileges\":true,"
        "  \"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":1}],"
        "  \"capabilities\":{"
        "   \"bounding\":" CAPABILITIES ","
        "   \"effective\":" CAPABILITIES ","
        "   \"permitted\":" CAPABILITIES "}},"
        " \"root\":{\"readonly\":true},"
        " \"mounts\":["
        "  {\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
        "   \"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
        "  {\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
        "   \"options\":[\"nosuid\",\"noexec\",\"strictatime\",\"mode=755\",\"size=64k\"]},"
        "  {\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
        "   \"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"max=64\",\"ptmxmode=0666\","
        "    \"mode=0620\",\"gid=5\"]},"
        "  {\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
        "   \"options\":[\"nosuid\",\"nodev\",\"mode=755\",\"size=4k\"]}],"
        " \"linux\":{"
        "  \"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"},"
        "   {\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"cgroup\"}],"
        "  \"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\","
        "   \"/proc/keys\",\"/proc/latency_stats\",\"/proc/pressure\",\"/proc/sched_debug\","
        "   \"/proc/scsi\",\"/proc/timer_list\",\"/proc/timer_stats\"],"
        "  \"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sysrq-trigger\"]}}";

static json_object *member(json_object *object, const char *key)
{
        json_object *value = NULL;

        (void) json_object_object_get_ex(object, key, &value);
        return value;
}

static int add_text_to(json_object *list, const char *text)
{
        json_object *value = json_object_new_string(text);

        if (!value || json_object_array_add(list, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static int add_init_mount(json_object *config, const char *program)
{
        static const char *const options[] = { "bind", "ro", "nosuid", "nodev" };
        _cleanup_json_ json_object *mount = json_object_new_object(), *list = json_object_new_array();

        if (!mount || !list)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (add_text_to(list, options[i]) < 0)
                        return -ENOMEM;
        if (json_add_text(mount, "destination", INIT_PATH) < 0 || json_add_text(mount, "type", "bind") < 0 ||
            json_add_text(mount, "source", program) < 0 || json_add(mount, "options", TAKE_PTR(list)) < 0 ||
            json_object_array_add(member(config, "mounts"), mount) < 0)
                return -ENOMEM;
        (void) TAKE_PTR(mount);
        return 0;
}

static int add_extent(json_object *list, const IdExtent *extent)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        if (!object || json_add_uint(object, "containerID", extent->container) < 0 ||
            json_add_uint(object, "hostID", extent->host) < 0 ||
            json_add_uint(object, "size", extent->count) < 0 || json_object_array_add(list, object) < 0)
                return -ENOMEM;
        (void) TAKE_PTR(object);
        return 0;
}

static int add_map(json_object *config, const char *key, const IdLayout *layout, uint32_t guest)
{
        _cleanup_json_ json_object *list = json_object_new_array();
        const IdExtent own = { IDENTITY_GUEST_ID, layout->first_guest + guest, 1 };

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < layout->n_image; i++)
                if (add_extent(list, &layout->image[i]) < 0)
                        return -ENOMEM;
        if (add_extent(list, &own) < 0)
                return -ENOMEM;
        return json_add(member(config, "linux"), key, TAKE_PTR(list));
}

static int add_user_namespace(json_object *config, const Identity *identity, uint32_t guest)
{
        _cleanup_json_ json_object *namespace = json_object_new_object();

        if (!namespace || json_add_text(namespace, "type", "user") < 0 ||
            json_object_array_add(member(member(config, "linux"), "namespaces"), namespace) < 0)
                return -ENOMEM;
        (void) TAKE_PTR(namespace);
        if (add_map(config, "uidMappings", &identity->uids, guest) < 0)
                return -ENOMEM;
        return add_map(config, "gidMappings", &identity->gids, guest);
}

int bundle_format(const Bundle *bundle, char **ret)
{
        _cleanup_json_ json_object *config = json_tokener_parse(config_text);
        const char *text;

        if (!config || json_add_text(member(config, "root"), "path", bundle->rootfs) < 0 ||
            add_init_mount(config, bundle->init_program) < 0)
                return -ENOMEM;
        if (!bundle->is_entered && add_user_namespace(config, bundle->identity, bundle->guest) < 0)
                return -ENOMEM;
        if (bundle->cgroup && json_add_text(member(config, "linux"), "cgroupsPath", bundle->cgroup) < 0)
                return -ENOMEM;
        text = json_object_text(config);
        *ret = text ? strdup(text) : NULL;
        return *ret ? 0 : -ENOMEM;
}

/* A runtime that is root of the container already owns its bundle. */
static int hand_over(const Bundle *bundle, const char *folder, int fd)
{
        uid_t uid = bundle->identity->uids.image[0].host;
        gid_t gid = bundle->identity->gids.image[0].host;

        return fchown(fd, uid, gid) < 0 || chown(folder, uid, gid) < 0 ? -errno : 0;
}

int bundle_write(const Bundle *bundle, const char *folder)
{
        _cleanup_free_ char *path = string_format("%s/config.json", folder), *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!path)
                return -ENOMEM;
        r = bundle_format(bundle, &text);
        if (r < 0)
                return r;
        if (mkdir(folder, 0700) < 0)
                return -errno;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        return r < 0 || !bundle->is_entered ? r : hand_over(bundle, folder, fd);
}
