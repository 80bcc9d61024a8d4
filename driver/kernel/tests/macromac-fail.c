// SPDX-License-Identifier: GPL-2.0
/*
 * Each call with each of its allocations and copies of user memory failing in turn: the first, the second, and so on until
 * the call has come through without one. A failure must end in success, ENOMEM or EFAULT (binding: in any error), must leave
 * no memory behind, and the device must compute afterwards. Needs a kernel with CONFIG_FAULT_INJECTION (scripts/system/debug.config) and root.
 *
 * usage: macromac-fail DEVICE	its name on the platform bus, to bind it. Output is TAP.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "inject.h"

/* More than any call makes. */
#define MOST	3000
#define DRIVER	"/sys/bus/platform/drivers/macromac/"

/* All that failed, and what of it the caller was told. */
static unsigned int places, told;

struct operation {
	const char *name;
	/* With nothing injected: what comes before, and what must hold afterwards; 0 or a negative errno. */
	int (*before)(struct rig *rig);
	int (*act)(struct rig *rig);
	int (*after)(struct rig *rig, int result);
};

static int load_rig(struct rig *rig)
{
	struct macromac_program_load arg;

	return load(rig->fd, &rig->step, 1, &arg);
}

static int compute_loaded(struct rig *rig, int result)
{
	int err = run(rig->fd, 1);

	(void)result;
	if (!err)
		err = wait_for(rig->fd, 1, 30 * SECOND);
	return err ? err : rig_right(rig) ? 0 : -EILSEQ;
}

/* Giving back address space may need memory. The failure is one at most. */
static void unmap(volatile void *at, size_t bytes)
{
	while (munmap((void *)at, bytes))
		;
}

static int act_open(struct rig *rig)
{
	int fd = device_open();

	(void)rig;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int act_create(struct rig *rig)
{
	struct macromac_buffer_create made;
	int err = 0;

	for (uint32_t usage = 1; usage <= 3 && !err; usage++)
		err = create(rig->fd, usage, 3 * PAGE, &made);
	return err;
}

static int act_map(struct rig *rig)
{
	volatile uint32_t *at = map(rig->fd, rig->activations.mmap_offset, PAGE, PROT_READ | PROT_WRITE);

	if (!at)
		return -errno;
	/* A fault that finds no memory is tried again. */
	if (!writable(at, 0x3f800000))
		return -EILSEQ;
	unmap(at, PAGE);
	return 0;
}

static int act_map_device(struct rig *rig)
{
	volatile uint32_t *doorbell = map(rig->fd, MACROMAC_MMAP_DOORBELL, PAGE, PROT_READ | PROT_WRITE);
	volatile uint32_t *record = doorbell ? map(rig->fd, MACROMAC_MMAP_COMPLETION, PAGE, PROT_READ) : NULL;
	int err = record ? 0 : -errno;

	if (record && (!writable(doorbell, 0) || !readable(record)))
		err = -EILSEQ;
	if (doorbell)
		unmap(doorbell, PAGE);
	if (record)
		unmap(record, PAGE);
	return err;
}

static int act_sync(struct rig *rig)
{
	return sync_range(rig->fd, rig->weights.handle, 0, rig->weights.bytes, MACROMAC_SYNC_FOR_DEVICE);
}

static int act_release(struct rig *rig)
{
	return release(rig->fd, rig->results.handle);
}

static int act_unload(struct rig *rig)
{
	return unload(rig->fd);
}

static int act_run_and_wait(struct rig *rig)
{
	int err = run(rig->fd, 1);

	return err ? err : wait_for(rig->fd, 1, 30 * SECOND);
}

static int act_look(struct rig *rig)
{
	struct macromac_query query;
	struct macromac_stats stats;
	struct macromac_fault fault;
	int err = query_of(rig->fd, &query);

	if (!err)
		err = stats_of(rig->fd, &stats);
	return err ? err : fault_of(rig->fd, &fault);
}

static int act_reset(struct rig *rig)
{
	return reset(rig->fd);
}

/* All of a file's life; whatever is made before the failure goes with the file. */
static int act_whole(struct rig *rig)
{
	struct rig own;
	int err = rig_open(&own);

	(void)rig;
	if (!err)
		err = load_rig(&own);
	if (!err)
		err = act_run_and_wait(&own);
	if (!err)
		err = unload(own.fd);
	if (own.w)
		unmap(own.w, own.weights.bytes);
	if (own.x)
		unmap(own.x, own.activations.bytes);
	if (own.y)
		unmap(own.y, own.results.bytes);
	if (own.fd >= 0)
		close(own.fd);
	return err;
}

static const struct operation operations[] = {
	{ "open", NULL, act_open, NULL },
	{ "BUFFER_CREATE", NULL, act_create, NULL },
	{ "BUFFER_FREE", NULL, act_release, NULL },
	{ "BUFFER_SYNC", NULL, act_sync, NULL },
	{ "mmap of a buffer", NULL, act_map, NULL },
	{ "mmap of the device", load_rig, act_map_device, NULL },
	{ "PROGRAM_LOAD", NULL, load_rig, NULL },
	/* The old program is there, or the new one. */
	{ "PROGRAM_LOAD over another", load_rig, load_rig, compute_loaded },
	{ "unloading", load_rig, act_unload, NULL },
	{ "RUN and WAIT", load_rig, act_run_and_wait, NULL },
	{ "QUERY, STATS and FAULT", load_rig, act_look, compute_loaded },
	{ "RESET", load_rig, act_reset, NULL },
	{ "open to close", NULL, act_whole, NULL },
	{ }
};

static bool allowed(int result)
{
	return !result || result == -ENOMEM || result == -EFAULT;
}

/* Runs @operation with its @nth failure; 1: it has come through without, 0: failed as it should, -1: not. */
static int turn(const struct operation *operation, int injector, unsigned int nth, unsigned int *refused)
{
	int64_t memory = memory_used(-1);
	struct rig rig;
	int err = rig_open(&rig), result;
	bool was;

	if (!err && operation->before)
		err = operation->before(&rig);
	if (err) {
		printf("# before %u: %s\n", nth, strerror(-err));
		return -1;
	}
	inject(injector, nth);
	result = operation->act(&rig);
	was = injected(injector);
	*refused += result < 0;
	if (!allowed(result) || (!was && result)) {
		printf("# failure %u%s gave %s\n", nth, was ? "" : " (not reached)", strerror(-result));
		return -1;
	}
	err = operation->after ? operation->after(&rig, result) : 0;
	rig_close(&rig);
	if (err) {
		printf("# after failure %u: %s\n", nth, strerror(-err));
		return -1;
	}
	if (memory_used(-1) != memory) {
		printf("# failure %u left %lld bytes\n", nth, (long long)(memory_used(-1) - memory));
		return -1;
	}
	return !was;
}

static bool try_all(const struct operation *operation, int injector, int number)
{
	unsigned int nth = 0, refused = 0;
	int done = 0;

	while (!done && ++nth <= MOST)
		done = turn(operation, injector, nth, &refused);
	if (nth > MOST)
		printf("# more than %u\n", MOST);
	places += nth - 1;
	told += refused;
	printf("%s %d - %s: %u places to fail, %u told to the caller\n", done == 1 ? "ok" : "not ok", number,
	       operation->name, nth - 1, refused);
	fflush(stdout);
	return done == 1;
}

static int write_name(const char *file, const char *name)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, name, strlen(name)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Binds with each failure in turn; the device is bound at the end. */
static bool try_bind(const char *name, int injector, int number)
{
	unsigned int nth = 0, refused = 0;
	bool was = true, fine = true;

	while (fine && was && ++nth <= MOST) {
		int result = write_name(DRIVER "unbind", name);

		/* Not bound: the turn before has failed. */
		if (result && result != -ENODEV) {
			printf("# unbind: %s\n", strerror(-result));
			fine = false;
			break;
		}
		inject(injector, nth);
		result = write_name(DRIVER "bind", name);
		was = injected(injector);
		refused += result < 0;
		/* Some of what probe calls has other names for a lack of memory: EBUSY, EINVAL. */
		if (!was && result) {
			printf("# bind without a failure gave %s\n", strerror(-result));
			fine = false;
		}
	}
	places += nth - 1;
	told += refused;
	printf("%s %d - bind: %u places to fail, %u told to the caller\n", fine && !was ? "ok" : "not ok", number,
	       nth - 1, refused);
	return fine && !was;
}

int main(int argc, char **argv)
{
	int injector = inject_open(), number = 0, failed = 0, err;
	struct rig rig;

	printf("TAP version 13\n");
	if (injector < 0 || argc != 2) {
		printf("Bail out! expected a kernel with fault injection and the device's name\n");
		return 1;
	}
	for (const struct operation *operation = operations; operation->name; operation++)
		failed += !try_all(operation, injector, ++number);
	failed += !try_bind(argv[1], injector, ++number);
	err = rig_open(&rig);
	if (!err)
		err = rig_compute(&rig);
	printf("%s %d - the device computes after all failures\n1..%d\n", err ? "not ok" : "ok", number + 1, number + 1);
	printf("# number fail_places %u\n# number fail_told %u\n", places, told);
	return failed || err;
}
