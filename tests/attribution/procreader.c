/* The plain reader that most tools are: a fanotify group, and /proc/PID/exe read when the event is seen.
 *
 *   procreader DIRECTORY
 *
 * Watches the filesystem of DIRECTORY until it is killed. For each record of a hook it prints the path, the pid
 * and what the link says (nothing if it cannot be read), separated by tabs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static void report(const struct fanotify_event_metadata *event, int mount) {
    struct fanotify_event_info_fid *fid = (struct fanotify_event_info_fid *)(event + 1);
    struct file_handle *handle = (struct file_handle *)fid->handle;
    const char *name = (const char *)handle->f_handle + handle->handle_bytes;
    if (!ends_with(name, ".pth") && !ends_with(name, "sitecustomize.py"))
        return;
    char link[64], exe[4096], directory[4096] = "";
    snprintf(link, sizeof link, "/proc/%d/exe", event->pid);
    ssize_t length = readlink(link, exe, sizeof exe - 1);
    exe[length > 0 ? length : 0] = 0;
    int fd = open_by_handle_at(mount, handle, O_PATH);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, directory, sizeof directory - 1);
    directory[length > 0 ? length : 0] = 0;
    if (fd >= 0)
        close(fd);
    printf("%s/%s\t%d\t%s\n", directory, name, event->pid, exe);
}

int main(int argc, char **argv) {
    static char buffer[65536] __attribute__((aligned(8)));
    int group = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_UNLIMITED_QUEUE | FAN_CLOEXEC, O_RDONLY);
    int mount = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    unsigned long mask = FAN_CREATE | FAN_CLOSE_WRITE | FAN_MOVED_TO;
    if (group < 0 || mount < 0 || fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, mount, NULL)) {
        perror("procreader");
        return 1;
    }
    printf("ready\n");
    for (;;) {
        fflush(stdout);
        ssize_t length = read(group, buffer, sizeof buffer);
        if (length <= 0)
            return 1;
        struct fanotify_event_metadata *event = (void *)buffer;
        for (; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length))
            if (event->event_len > sizeof *event)
                report(event, mount);
    }
}
