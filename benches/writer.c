/* The writer of noise.py: writer FILES DIRECTORIES EVERY PAUSE_US
 *
 * Creates, writes and closes FILES files in the current directory; every EVERY-th is a hook.
 * Waits PAUSE_US after each. Prints the duration in nanoseconds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    long files = atol(argv[1]), directories = atol(argv[2]), every = atol(argv[3]), pause = atol(argv[4]);
    struct timespec start, end, rest = {0, pause * 1000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < files; i++) {
        char path[128];
        if (i % every)
            snprintf(path, sizeof path, "noise/%ld/file-%ld.o", i % directories, i);
        else if (i / every % 2)
            snprintf(path, sizeof path, "venv/%ld/lib/python3/site-packages/sitecustomize.py", i / every);
        else
            snprintf(path, sizeof path, "lib/python3/site-packages/x%ld.pth", i / every);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (fd < 0 || write(fd, "import os\n", 10) != 10 || close(fd)) {
            perror(path);
            return 1;
        }
        if (pause)
            nanosleep(&rest, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
    return 0;
}
