/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives a fuzzer without an engine: gives it the empty input, and every file of the folder it is started
 * with, whole and cut short. */

#include "fuzz.h"

#include "basic/fd-util.h"
#include "basic/io-util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define CORPUS_FILE_SIZE_MAX (16U * 1024U * 1024U)

/* A copy of its own size, so that a sanitizer sees a read behind the end. */
static void try(const char *data, size_t size)
{
        _cleanup_free_ uint8_t *copy = malloc(size ?: 1);

        if (!copy)
                abort();
        memcpy(copy, data, size);
        if (LLVMFuzzerTestOneInput(copy, size) != 0)
                abort();
}

int main(int argc, char **argv)
{
        DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
        struct dirent *entry;
        size_t n = 0;

        if (!folder) {
                (void) fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
                return EXIT_FAILURE;
        }
        try("", 0);
        while ((entry = readdir(folder))) {
                _cleanup_free_ char *data = NULL;
                size_t size;

                if (entry->d_name[0] == '.')
                        continue;
                if (read_file_at(dirfd(folder), entry->d_name, CORPUS_FILE_SIZE_MAX, &data, &size) < 0) {
                        perror(entry->d_name);
                        return EXIT_FAILURE;
                }
                for (size_t part = 0; part <= 16; part++)
                        try(data, size * part / 16);
                n++;
        }
        (void) closedir(folder);
        (void) printf("%zu inputs\n", n);
        return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* a corpus that is not there tests nothing */
}
