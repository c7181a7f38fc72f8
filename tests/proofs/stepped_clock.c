/* A wall clock that a file steps: loaded into a process by LD_PRELOAD, it adds the offset that stands in the file
   STEPPED_CLOCK (a signed 64-bit count of nanoseconds) to CLOCK_REALTIME. The monotonic clock is left alone, as a real
   step leaves it. Waits until a moment of the wall clock are moved back by the offset, so that they end when they
   would on a machine with that clock. Built by tests/proofs/chaos.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static volatile const int64_t none = 0;
static volatile const int64_t *offset = &none;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("STEPPED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) offset = mapped;
}

static struct timespec moved(struct timespec at, int64_t by) {
    int64_t sum = at.tv_nsec + by % SECOND;
    at.tv_sec += by / SECOND + (sum >= SECOND) - (sum < 0);
    at.tv_nsec = sum < 0 ? sum + SECOND : sum >= SECOND ? sum - SECOND : sum;
    return at;
}

static struct timespec real_wait(const struct timespec *until) {
    struct timespec at = moved(*until, -*offset);
    if (at.tv_sec < 0) at.tv_sec = at.tv_nsec = 0;
    return at;
}

#define REAL(type, name)                              \
    static type real;                                 \
    if (!real) real = (type)dlsym(RTLD_NEXT, name)

int clock_gettime(clockid_t clock, struct timespec *now) {
    typedef int (*call)(clockid_t, struct timespec *);
    REAL(call, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *now = moved(*now, *offset);
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec at;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &at);
    if (result == 0) *now = (struct timeval){at.tv_sec, at.tv_nsec / 1000};
    return result;
}

time_t time(time_t *now) {
    struct timespec at;
    if (clock_gettime(CLOCK_REALTIME, &at) != 0) return (time_t)-1;
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
    typedef int (*call)(pthread_mutex_t *, const struct timespec *);
    REAL(call, "pthread_mutex_timedlock");
    struct timespec at = real_wait(until);
    return real(mutex, &at);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    typedef int (*call)(sem_t *, const struct timespec *);
    REAL(call, "sem_timedwait");
    struct timespec at = real_wait(until);
    return real(semaphore, &at);
}

long syscall(long number, ...) {
    typedef long (*call)(long, ...);
    REAL(call, "syscall");
    __builtin_va_list given;
    __builtin_va_start(given, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = __builtin_va_arg(given, long);
    __builtin_va_end(given);
    struct timespec at;
    int command = (int)a[1] & FUTEX_CMD_MASK;
    if (number == SYS_futex && command == FUTEX_WAIT_BITSET && ((int)a[1] & FUTEX_CLOCK_REALTIME) && a[3]) {
        at = real_wait((const struct timespec *)a[3]);
        a[3] = (long)&at;
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
