/* A disk that loses what was not synced. Loaded by LD_PRELOAD into the web server under test (see powercut.py).
 *
 * For each file whose path begins with $POWERCUT_DATABASE (the database, its WAL, its journal, not the shared memory) a
 * file FILE.durable holds what would be found after a power cut: the state at the last fsync or fdatasync of FILE. What
 * is written in between is remembered as ranges and copied at the next sync. A sync that is cut short leaves a part of
 * the ranges, as a real one may. Directories count as synced.
 *
 * The copy is read through the descriptor that is synced: opening and closing the file once more would drop SQLite's
 * locks on it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST_FILES 16
#define MOST_DESCRIPTORS 4096

struct range { off_t from; size_t length; };
struct file { char path[PATH_MAX]; struct range *dirty; size_t count, room; };

static struct file files[MOST_FILES];
static int known_files;
static int file_of[MOST_DESCRIPTORS]; /* index + 1; 0 for files that are none of ours */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static const char *prefix;

__attribute__((constructor)) static void prepare(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_openat = dlsym(RTLD_NEXT, "openat64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    prefix = getenv("POWERCUT_DATABASE");
}

static int is_ours(const char *path) {
    if (!prefix || !path || strncmp(path, prefix, strlen(prefix))) return 0;
    const char *rest = path + strlen(prefix);
    return !strcmp(rest, "") || !strcmp(rest, "-wal") || !strcmp(rest, "-journal");
}

static void durable_name(const char *path, char *name) {
    snprintf(name, PATH_MAX + 16, "%s.durable", path);
}

static void opened(int fd, const char *path) {
    if (fd < 0 || fd >= MOST_DESCRIPTORS || !is_ours(path)) return;
    pthread_mutex_lock(&lock);
    int index = 0;
    while (index < known_files && strcmp(files[index].path, path)) index++;
    if (index == known_files) {
        if (known_files == MOST_FILES) abort();
        snprintf(files[known_files++].path, PATH_MAX, "%s", path);
    }
    file_of[fd] = index + 1;
    pthread_mutex_unlock(&lock);
}

static struct file *ours(int fd) {
    return fd >= 0 && fd < MOST_DESCRIPTORS && file_of[fd] ? &files[file_of[fd] - 1] : NULL;
}

static void dirty(struct file *file, off_t from, size_t length) {
    if (file->count == file->room) {
        file->room = file->room ? file->room * 2 : 256;
        file->dirty = realloc(file->dirty, file->room * sizeof(struct range));
        if (!file->dirty) abort();
    }
    file->dirty[file->count++] = (struct range){from, length};
}

static void make_durable(int fd, struct file *file) {
    char name[PATH_MAX + 16], block[65536];
    durable_name(file->path, name);
    int copy = real_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (copy < 0) abort();
    for (size_t index = 0; index < file->count; index++) {
        off_t from = file->dirty[index].from, end = from + (off_t)file->dirty[index].length;
        while (from < end) {
            size_t wanted = end - from < (off_t)sizeof block ? (size_t)(end - from) : sizeof block;
            ssize_t got = pread(fd, block, wanted, from);
            if (got <= 0) break; /* it has been cut since */
            if (real_pwrite(copy, block, got, from) != got) abort();
            from += got;
        }
    }
    struct stat now;
    if (fstat(fd, &now) || real_ftruncate(copy, now.st_size)) abort();
    real_close(copy);
    file->count = 0;
}

static int open_mode(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        int mode = open_mode(flags, arguments);                                                                        \
        va_end(arguments);                                                                                             \
        int fd = real_open(path, flags, mode);                                                                         \
        opened(fd, path);                                                                                              \
        return fd;                                                                                                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        int mode = open_mode(flags, arguments);                                                                        \
        va_end(arguments);                                                                                             \
        int fd = real_openat(folder, path, flags, mode);                                                               \
        opened(fd, path);                                                                                              \
        return fd;                                                                                                     \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (fd >= 0 && fd < MOST_DESCRIPTORS) file_of[fd] = 0;
    return real_close(fd);
}

#define PWRITE(name, offset)                                                                                           \
    ssize_t name(int fd, const void *data, size_t length, offset from) {                                               \
        struct file *file = ours(fd);                                                                                  \
        if (!file) return real_pwrite(fd, data, length, from);                                                         \
        pthread_mutex_lock(&lock);                                                                                     \
        ssize_t done = real_pwrite(fd, data, length, from);                                                            \
        if (done > 0) dirty(file, from, done);                                                                         \
        pthread_mutex_unlock(&lock);                                                                                   \
        return done;                                                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    struct file *file = ours(fd);
    if (!file) return real_write(fd, data, length);
    pthread_mutex_lock(&lock);
    off_t from = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_write(fd, data, length);
    if (done > 0) dirty(file, from, done);
    pthread_mutex_unlock(&lock);
    return done;
}

/* A change of the size is durable at the next sync, like everything else. */
int ftruncate(int fd, off_t size) { return real_ftruncate(fd, size); }
int ftruncate64(int fd, off64_t size) { return real_ftruncate(fd, size); }

#define SYNC(name, real)                                                                                               \
    int name(int fd) {                                                                                                 \
        struct file *file = ours(fd);                                                                                  \
        if (!file) return real(fd);                                                                                    \
        pthread_mutex_lock(&lock);                                                                                     \
        make_durable(fd, file);                                                                                        \
        pthread_mutex_unlock(&lock);                                                                                   \
        return 0;                                                                                                      \
    }
SYNC(fsync, real_fsync)
SYNC(fdatasync, real_fdatasync)

int unlink(const char *path) {
    int done = real_unlink(path);
    if (!done && is_ours(path)) {
        char name[PATH_MAX + 16];
        durable_name(path, name);
        real_unlink(name);
    }
    return done;
}
