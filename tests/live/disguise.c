// Writes to a file as a process that has the kernel show another executable as its own.
//
// It says "written" when it has.
//
//     disguise SHOWN FILE [WORD...]
//
// WORD, any of:
//     memory   runs a copy of itself that lies in memory only (an exec without a record)
//     failed   begins to start SHOWN, which fails (a record without an exec)
//     wait     after it has written, lives until standard input ends
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/prctl.h>

static void must(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static int has(char **words, const char *word) {
    for (; *words; words++)
        if (!strcmp(*words, word))
            return 1;
    return 0;
}

// The executable can be set only while no mapping of the old one is left.
static void leave_executable(void) {
    char own[4096], line[8192];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    must(length > 0, "readlink");
    own[length] = 0;
    struct { unsigned long from, to; int access; } found[64];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    must(maps != NULL, "maps");
    while (fgets(line, sizeof line, maps) && count < 64) {
        char access[5];
        if (strstr(line, own) && sscanf(line, "%lx-%lx %4s", &found[count].from, &found[count].to, access) == 3) {
            found[count].access = (access[0] == 'r' ? PROT_READ : 0) | (access[1] == 'w' ? PROT_WRITE : 0)
                | (access[2] == 'x' ? PROT_EXEC : 0);
            count++;
        }
    }
    fclose(maps);
    for (int i = 0; i < count; i++) {
        size_t size = found[i].to - found[i].from;
        void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(copy != MAP_FAILED, "mmap");
        memcpy(copy, (void *)found[i].from, size);
        must(!mprotect(copy, size, found[i].access), "mprotect");
        void *to = (void *)found[i].from;
        must(mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
    }
}

static void show(const char *path) {
    must(!unshare(CLONE_NEWUSER), "unshare");
    leave_executable();
    char text[8192];
    int stat = open("/proc/self/stat", O_RDONLY);
    ssize_t length = read(stat, text, sizeof text - 1);
    must(length > 0, "stat");
    close(stat);
    text[length] = 0;
    unsigned long long fields[64] = {0};
    int number = 3;
    for (char *word = strtok(strrchr(text, ')') + 2, " "); word && number < 64; word = strtok(NULL, " "))
        fields[number++] = strtoull(word, NULL, 10);
    struct prctl_mm_map map = {
        .start_code = fields[26], .end_code = fields[27], .start_stack = fields[28],
        .start_data = fields[45], .end_data = fields[46], .start_brk = fields[47],
        .brk = (unsigned long)sbrk(0), .arg_start = fields[48], .arg_end = fields[49],
        .env_start = fields[50], .env_end = fields[51], .exe_fd = open(path, O_RDONLY),
    };
    must(!prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0), "PR_SET_MM_MAP");
}

// Too many bytes of arguments: the file has been opened by then.
static void fail_to_start(const char *path) {
    char *word = malloc(200000);
    memset(word, 'x', 199999);
    word[199999] = 0;
    execv(path, (char *[]){word, NULL});
    must(errno == E2BIG, "a start that fails");
    free(word);
}

static void run_in_memory(char **words) {
    int own = open("/proc/self/exe", O_RDONLY), memory = memfd_create("copy", 0);
    struct stat size;
    must(!fstat(own, &size) && sendfile(memory, own, NULL, size.st_size) == size.st_size, "copy");
    fexecve(memory, words, environ);
    must(0, "fexecve");
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    char *shown = words[1], *file = words[2], **options = words + 3;
    if (has(options, "memory") && strncmp(words[0], "again", 5)) {
        words[0] = "again";
        run_in_memory(words);
    }
    if (has(options, "failed"))
        fail_to_start(shown);
    show(shown);
    int out = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(out >= 0 && write(out, "import os\n", 10) == 10 && !close(out), file);
    puts("written");
    fflush(stdout);
    char byte;
    if (has(options, "wait"))
        while (read(0, &byte, 1) > 0) {}
    return 0;
}
