/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: main for a fuzz target where there is no libFuzzer: runs each file it is given and names it first, so that
 * the last name is the culprit's.
 */
#include <errno.h>

#include "base/mem.h"
#include "fuzz.h"

#define INPUT_MAX (1024 * 1024)

static bool replay(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    uint8_t *room = mem_alloc(INPUT_MAX);
    size_t size = fread(room, 1, INPUT_MAX, file);
    bool whole = !ferror(file) && fgetc(file) == EOF;
    fclose(file);
    if (whole) {
        /* Of that very size, so that a sanitizer sees every step too far. */
        uint8_t *data = mem_alloc(size);
        memcpy(data, room, size);
        LLVMFuzzerTestOneInput(data, size);
        mem_free(data);
    } else {
        fprintf(stderr, "%s: unreadable, or larger than %d bytes\n", path, INPUT_MAX);
    }
    mem_free(room);
    return whole;
}

int main(int argc, char **argv)
{
    bool good = true;
    for (int i = 1; i < argc; i++) {
        printf("%s\n", argv[i]);
        fflush(stdout);
        good = replay(argv[i]) && good;
    }
    return good ? 0 : 1;
}
