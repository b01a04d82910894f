/* A clock that can be set forwards, for the controller of the test cluster and the commands that tell
 * its time: loaded with LD_PRELOAD, the time of day is the machine's plus the seconds that stand in
 * the file EVALC_CLOCK names, a 64-bit integer in the machine's own byte order. A new value holds for
 * all threads and processes at once. Without that file it is the machine's time.
 *
 * libfaketime does this and far more, but reads its file again and again into variables that all
 * threads share: in one of ten leaps one of slurmctld's threads saw the time jump there and back,
 * took a message for late and dropped it, and its sender tried again a minute later.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none = 0;
static const volatile int64_t *ahead = &none;
static int (*machine_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void load(void)
{
	const char *name = getenv("EVALC_CLOCK");
	int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	if (file >= 0) {
		void *seen = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
		if (seen != MAP_FAILED)
			ahead = seen;
		close(file);
	}
	machine_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!machine_clock) /* called by another library's constructor */
		load();
	int failed = machine_clock(clock, now);
	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *ahead;
	return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;
	(void)zone; /* glibc knows none either */
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *also)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (also)
		*also = now.tv_sec;
	return now.tv_sec;
}

/* The kernel waits by the machine's clock. A leap during the wait does not shorten it. */
int pthread_cond_timedwait(pthread_cond_t *restrict changed, pthread_mutex_t *restrict held,
	const struct timespec *restrict until)
{
	struct timespec really = {until->tv_sec - *ahead, until->tv_nsec};
	return pthread_cond_clockwait(changed, held, CLOCK_REALTIME, &really);
}
