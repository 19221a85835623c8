/* The writers of the attribution gate and the program that starts them, in one source.
 *
 *   writers APPLET ARGUMENTS
 *
 * The applets that write put one hook file at a path and end; each file starts with "# pid N". The drivers
 * start COUNT writers one after another, replace @ in the arguments by the number, print "NUMBER PID" for each
 * process they start, and wait until it and everything that it left behind is dead and reaped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int fine, const char *what) {
    if (!fine) {
        fprintf(stderr, "writers: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

/* Writing */

static int content(char *buffer, size_t size) {
    return snprintf(buffer, size, "# pid %d\nimport os\n", getpid());
}

static int write_hook(const char *path) {
    char text[64];
    int length = content(text, sizeof text);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (fd < 0)
        return 1;
    int failed = write(fd, text, length) != length;
    return close(fd) || failed;
}

static void *write_in_thread(void *path) {
    return (void *)(intptr_t)write_hook(path);
}

static int in_thread(const char *path) {
    pthread_t thread;
    void *failed;
    must(!pthread_create(&thread, NULL, write_in_thread, (void *)path), "pthread_create");
    pthread_join(thread, &failed);
    return failed != NULL;
}

static void *write_after_main(void *path) {
    char stat[64] = "", name[64];
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", getpid());
    /* The main thread is dead when it is a zombie: "PID (COMM) Z". */
    while (!strstr(stat, ") Z")) {
        int fd = open(name, O_RDONLY);
        ssize_t length = read(fd, stat, sizeof stat - 1);
        stat[length > 0 ? length : 0] = 0;
        close(fd);
        sched_yield();
    }
    exit(write_hook(path));
}

static int after_main(const char *path) {
    pthread_t thread;
    must(!pthread_create(&thread, NULL, write_after_main, (void *)path), "pthread_create");
    pthread_exit(NULL);
}

/* A daemon of the old school: it writes when nobody of its own is left. */
static int as_daemon(const char *path) {
    pid_t child = fork();
    if (child)
        return child < 0;
    setsid();
    pid_t parent = getpid();
    child = fork();
    if (child)
        _exit(child < 0);
    while (getppid() == parent)
        sched_yield();
    _exit(write_hook(path));
}

static int write_and_exit(void *path) {
    _exit(write_hook(path));
}

static char stack[256 * 1024] __attribute__((aligned(16)));

static int in_clone(const char *path, int flags) {
    pid_t child = clone(write_and_exit, stack + sizeof stack, flags | SIGCHLD, (void *)path);
    must(child > 0, "clone");
    if (flags & CLONE_PARENT)
        return 0;
    int status;
    must(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static int in_vfork(const char *program, char *path) {
    pid_t child = vfork();
    if (!child) {
        execl(program, program, "write", path, NULL);
        _exit(1);
    }
    int status;
    must(waitpid(child, &status, 0) == child, "vfork");
    return status != 0;
}

static int copy(const char *from, const char *to) {
    char buffer[65536];
    ssize_t length;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
    must(in >= 0 && out >= 0, to);
    while ((length = read(in, buffer, sizeof buffer)) > 0)
        must(write(out, buffer, length) == length, to);
    must(!length && !close(in) && !close(out), to);
    return 0;
}

static int in_memfd(char *path) {
    int memory = memfd_create("gate", MFD_CLOEXEC), self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char buffer[65536];
    ssize_t length;
    while ((length = read(self, buffer, sizeof buffer)) > 0)
        must(write(memory, buffer, length) == length, "memfd");
    char *arguments[] = {"gate", "write", path, NULL};
    fexecve(memory, arguments, environ);
    must(0, "fexecve");
    return 1;
}

static int replace_self(const char *other, const char *path) {
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    must(length > 0, "readlink");
    self[length] = 0;
    must(!(other ? rename(other, self) : unlink(self)), self);
    return write_hook(path);
}

/* io_uring without a library */

struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

static void *map(int fd, size_t size, off_t offset) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    must(at != MAP_FAILED, "mmap of the ring");
    return at;
}

static struct ring ring_open(void) {
    struct io_uring_params params = {0};
    struct ring ring;
    ring.fd = syscall(SYS_io_uring_setup, 4, &params);
    must(ring.fd >= 0, "io_uring_setup");
    char *sq = map(ring.fd, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = map(ring.fd, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    ring.sqes = map(ring.fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring.sq_tail = (unsigned *)(sq + params.sq_off.tail);
    ring.sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
    ring.sq_array = (unsigned *)(sq + params.sq_off.array);
    ring.cq_head = (unsigned *)(cq + params.cq_off.head);
    ring.cq_tail = (unsigned *)(cq + params.cq_off.tail);
    ring.cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
    return ring;
}

static int ring_do(struct ring *ring, struct io_uring_sqe work) {
    unsigned tail = *ring->sq_tail, index = tail & *ring->sq_mask;
    ring->sqes[index] = work;
    ring->sq_array[index] = index;
    __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
    while (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        must(errno == EINTR, "io_uring_enter");
    unsigned head = *ring->cq_head;
    must(head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE), "a completion");
    int result = ring->cqes[head & *ring->cq_mask].res;
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return result;
}

static int through_ring(const char *path, int flags) {
    struct ring ring = ring_open();
    char text[64];
    int length = content(text, sizeof text);
    struct io_uring_sqe open = {.opcode = IORING_OP_OPENAT, .flags = flags, .fd = AT_FDCWD, .addr = (uintptr_t)path};
    open.open_flags = O_CREAT | O_WRONLY | O_TRUNC;
    open.len = 0644;
    int fd = ring_do(&ring, open);
    if (fd < 0)
        return 1;
    struct io_uring_sqe write = {.opcode = IORING_OP_WRITE, .flags = flags, .fd = fd, .addr = (uintptr_t)text};
    write.len = length;
    struct io_uring_sqe close = {.opcode = IORING_OP_CLOSE, .flags = flags, .fd = fd};
    return ring_do(&ring, write) != length || ring_do(&ring, close) != 0;
}

/* Drivers */

static char *with_number(const char *pattern, long number) {
    static char texts[16][4096];
    static int next;
    char *text = texts[next++ % 16], *to = text, *end = text + sizeof texts[0] - 32;
    for (; *pattern && to < end; pattern++)
        to += *pattern == '@' ? sprintf(to, "%ld", number) : (*to = *pattern, 1);
    *to = 0;
    return text;
}

/* Everything that was started is dead and reaped after it. The first process must have ended well. */
static void reap_all(pid_t first) {
    int status;
    pid_t pid;
    while ((pid = wait(&status)) > 0 || errno == EINTR)
        if (pid == first && status) {
            fprintf(stderr, "writers: process %d ended with %#x\n", first, status);
            exit(1);
        }
}

static void drive_one(long number, char **command) {
    char *arguments[16];
    int count = 0;
    for (; command[count] && count < 15; count++)
        arguments[count] = with_number(command[count], number);
    arguments[count] = NULL;
    pid_t pid = vfork();
    if (!pid) {
        execv(arguments[0], arguments);
        _exit(127);
    }
    must(pid > 0, "vfork");
    printf("%ld %d\n", number, pid);
    reap_all(pid);
}

static int drive(long count, char **command) {
    must(!prctl(PR_SET_CHILD_SUBREAPER, 1), "subreaper");
    for (long number = 0; number < count; number++)
        drive_one(number, command);
    return 0;
}

/* Copies the program to PATTERN before each start; a second copy to the same path with ".new" if wanted. */
static int drive_copies(const char *program, int second, long count, char **command) {
    must(!prctl(PR_SET_CHILD_SUBREAPER, 1), "subreaper");
    for (long number = 0; number < count; number++) {
        char *to = with_number(command[0], number), other[4200];
        copy(program, to);
        snprintf(other, sizeof other, "%s.new", to);
        if (second)
            copy(program, other);
        drive_one(number, command);
    }
    return 0;
}

/* The first program writes and ends; then the second gets its pid, or a copy of this process without one. */
static int drive_recycled(long pairs, char *first, char *second, char *path) {
    for (long number = 0; number < pairs; number++) {
        char *one[] = {first, "write", with_number(path, 2 * number), NULL};
        char *two[] = {second, "write", with_number(path, 2 * number + 1), NULL};
        pid_t pid = vfork();
        if (!pid) {
            execv(first, one);
            _exit(127);
        }
        reap_all(pid);
        struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
        pid_t again;
        /* Somebody else may hold the number for a moment. */
        for (int tries = 0; (again = syscall(SYS_clone3, &args, sizeof args)) < 0 && tries < 5000; tries++) {
            must(errno == EEXIST, "clone3 with a pid");
            usleep(1000);
        }
        if (!again) {
            if (!second)
                _exit(write_hook(two[2]));
            execv(second, two);
            _exit(127);
        }
        must(again == pid, "the same pid");
        printf("%ld %d\n%ld %d\n", 2 * number, pid, 2 * number + 1, pid);
        reap_all(again);
    }
    return 0;
}

/* A container as run-times make them: own pid and mount namespace, the root an overlay. */
static int drive_container(char *layers, long count, char **command) {
    char options[8192], merged[4096];
    snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", layers, layers, layers);
    snprintf(merged, sizeof merged, "%s/merged", layers);
    must(!unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare");
    must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    must(!mount("overlay", merged, "overlay", 0, options), "overlay");
    pid_t init = fork();
    if (init) {
        reap_all(init);
        return 0;
    }
    must(!chdir(merged) && !syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) && !chdir("/"), "pivot_root");
    exit(drive(count, command));
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && !close(fd), path);
}

/* What any user may do where user namespaces are allowed: a shell that is /usr/local/bin/pip3. */
static int drive_user_namespace(long count, char **command) {
    char map[64], groups[64];
    snprintf(map, sizeof map, "0 %d 1", geteuid());
    snprintf(groups, sizeof groups, "0 %d 1", getegid());
    must(!unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", map);
    put("/proc/self/gid_map", groups);
    must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    must(!mount("tmpfs", "/usr/local/bin", "tmpfs", 0, NULL), "tmpfs");
    copy("/bin/sh", "/usr/local/bin/pip3");
    return drive(count, command);
}

/* A program on a filesystem that only this mount namespace has: nobody else can have marked it. */
static int drive_private(const char *at, const char *program, const char *to, long count, char **command) {
    must(!unshare(CLONE_NEWNS), "unshare");
    must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    must(!mount("tmpfs", at, "tmpfs", 0, NULL), "tmpfs");
    copy(program, to);
    return drive(count, command);
}

/* The flood: COUNT processes that do nothing, but the one in the middle writes. */
static int flood(volatile long count, char *program, char *path) {
    char *nothing[] = {program, "nothing", NULL}, *hook[] = {program, "write", path, NULL};
    for (volatile long number = 0; number < count; number++) {
        pid_t pid = vfork();
        if (!pid) {
            execv(program, number == count / 2 ? hook : nothing);
            _exit(127);
        }
        int status;
        must(waitpid(pid, &status, 0) == pid && !status, program);
    }
    return 0;
}

/* Load until it is killed */

static void burn(void) {
    for (volatile unsigned long turns = 0;; turns++)
        ;
}

static void noise(const char *directory) {
    char path[4096];
    for (long number = 0;; number++) {
        snprintf(path, sizeof path, "%s/%ld.o", directory, number % 1000);
        int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
        must(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd), path);
        usleep(200);
    }
}

int main(int argc, char **argv) {
    const char *applet = argc > 1 ? argv[1] : "";
    char **rest = argv + 2;
    int count = argc - 2;
#define IS(name, arguments) (!strcmp(applet, name) && count >= arguments)
    if (IS("nothing", 0))
        return 0;
    if (IS("write", 1))
        return write_hook(rest[0]);
    if (IS("rename-self", 1)) {
        must(!prctl(PR_SET_NAME, "pip3"), "a name");
        return write_hook(rest[0]);
    }
    if (IS("rename", 2))
        return rename(rest[0], rest[1]) != 0;
    if (IS("link", 2))
        return link(rest[0], rest[1]) != 0;
    if (IS("thread", 1))
        return in_thread(rest[0]);
    if (IS("after-main", 1))
        return after_main(rest[0]);
    if (IS("daemon", 1))
        return as_daemon(rest[0]);
    if (IS("clone-parent", 1))
        return in_clone(rest[0], CLONE_PARENT);
    if (IS("clone-vm", 1))
        return in_clone(rest[0], CLONE_VM);
    if (IS("vfork", 2))
        return in_vfork(rest[0], rest[1]);
    if (IS("write-exec", 2)) {
        if (write_hook(rest[0]))
            return 1;
        execv(rest[1], rest + 1);
        return 1;
    }
    if (IS("failed-exec", 2)) {
        execv(rest[1], rest + 1);
        return write_hook(rest[0]);
    }
    if (IS("memfd", 1))
        return in_memfd(rest[0]);
    if (IS("unlink-self", 1))
        return replace_self(NULL, rest[0]);
    if (IS("replace-self", 2))
        return replace_self(rest[0], rest[1]);
    if (IS("ring", 1))
        return through_ring(rest[0], 0);
    if (IS("ring-worker", 1))
        return through_ring(rest[0], IOSQE_ASYNC);
    if (IS("drive", 2))
        return drive(atol(rest[0]), rest + 1);
    if (IS("drive-copies", 3))
        return drive_copies(rest[0], 0, atol(rest[1]), rest + 2);
    if (IS("drive-replaced", 3))
        return drive_copies(rest[0], 1, atol(rest[1]), rest + 2);
    if (IS("drive-recycled", 4))
        return drive_recycled(atol(rest[0]), rest[1], rest[2], rest[3]);
    if (IS("drive-recycled-fork", 3))
        return drive_recycled(atol(rest[0]), rest[1], NULL, rest[2]);
    if (IS("drive-container", 3))
        return drive_container(rest[0], atol(rest[1]), rest + 2);
    if (IS("drive-user-namespace", 2))
        return drive_user_namespace(atol(rest[0]), rest + 1);
    if (IS("drive-private", 5))
        return drive_private(rest[0], rest[1], rest[2], atol(rest[3]), rest + 4);
    if (IS("flood", 3))
        return flood(atol(rest[0]), rest[1], rest[2]);
    if (IS("burn", 0))
        burn();
    if (IS("noise", 1))
        noise(rest[0]);
    fprintf(stderr, "writers: unknown use\n");
    return 2;
}
