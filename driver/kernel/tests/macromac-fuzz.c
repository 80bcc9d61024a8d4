// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls, bounded and seeded. Two processes share the device; each call is drawn from good and bad arguments, most
 * without a load from the device. Nothing is expected of a call but that it returns; at the end the device must compute.
 *
 * usage: macromac-fuzz [CALLS [SEED [SECONDS [fail]]]]	default: 200000 1 240
 * With `fail`, an allocation or a copy of user memory fails in one call of four (inject.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "inject.h"

#define FILES	3
#define HANDLES	8
#define MAPS	4

struct fuzz {
	uint64_t state;
	int fd[FILES];
	struct macromac_buffer_create made[FILES][HANDLES];
	void *maps[MAPS];
	size_t map_bytes[MAPS];
	uint64_t calls, good;
};

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014: SplitMix64. */
static uint64_t draw(struct fuzz *fuzz)
{
	uint64_t z = fuzz->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(struct fuzz *fuzz, uint64_t bound)
{
	return draw(fuzz) % bound;
}

/* Once in @bound. */
static bool rarely(struct fuzz *fuzz, uint64_t bound)
{
	return !below(fuzz, bound);
}

/* A number that tends to be at an edge. */
static uint64_t number(struct fuzz *fuzz)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 4, 5, 17, 18, 4095, 4096, 4097, 8192, 65535, 65536, 1 << 20, 0x7fffffff,
		0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 40, 1ULL << 63, -4096ULL, -1ULL,
	};

	switch (below(fuzz, 3)) {
	case 0:
		return edges[below(fuzz, sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return below(fuzz, 64);
	default:
		return draw(fuzz) >> below(fuzz, 64);
	}
}

static struct macromac_buffer_create *some_buffer(struct fuzz *fuzz, int file)
{
	return &fuzz->made[file][below(fuzz, HANDLES)];
}

static uint32_t some_handle(struct fuzz *fuzz, int file)
{
	if (rarely(fuzz, 8))
		return number(fuzz);
	/* At times one of another file. */
	return some_buffer(fuzz, rarely(fuzz, 8) ? (int)below(fuzz, FILES) : file)->handle;
}

static int make(struct fuzz *fuzz, int file)
{
	struct macromac_buffer_create *made = some_buffer(fuzz, file);

	if (made->handle)
		release(fuzz->fd[file], made->handle);
	return create(fuzz->fd[file], rarely(fuzz, 16) ? number(fuzz) : 1 + below(fuzz, 3),
		      rarely(fuzz, 4) ? number(fuzz) : 1 + below(fuzz, 40000), made);
}

static int give_back(struct fuzz *fuzz, int file)
{
	return release(fuzz->fd[file], some_handle(fuzz, file));
}

static int sync_some(struct fuzz *fuzz, int file)
{
	bool wild = rarely(fuzz, 3);

	return sync_range(fuzz->fd[file], some_handle(fuzz, file),
			  wild ? number(fuzz) : below(fuzz, 2) * PAGE,
			  wild ? number(fuzz) : below(fuzz, PAGE),
			  rarely(fuzz, 8) ? number(fuzz) : 1 + below(fuzz, 2));
}

static void some_range(struct fuzz *fuzz, int file, struct macromac_range *range)
{
	range->handle = some_handle(fuzz, file);
	range->pad = rarely(fuzz, 50);
	range->offset = rarely(fuzz, 4) ? number(fuzz) : below(fuzz, 3) * PAGE;
}

static int load_some(struct fuzz *fuzz, int file)
{
	struct macromac_step steps[4];
	struct macromac_program_load arg;

	for (int i = 0; i < 4; i++) {
		steps[i].groups = rarely(fuzz, 6) ? number(fuzz) : 1 + below(fuzz, 4);
		steps[i].tile_rows = rarely(fuzz, 6) ? number(fuzz) : 1 + below(fuzz, 4);
		steps[i].report_tile_rows = below(fuzz, 3);
		steps[i].vectors = rarely(fuzz, 6) ? number(fuzz) : 1;
		steps[i].macro_strips = rarely(fuzz, 6) ? number(fuzz) : 17U + !rarely(fuzz, 3);
		for (int port = 0; port < MACROMAC_PORTS; port++)
			some_range(fuzz, file, &steps[i].weights[port]);
		some_range(fuzz, file, &steps[i].activations);
		some_range(fuzz, file, &steps[i].results);
	}
	arg = (struct macromac_program_load){
		.size = sizeof(arg), .step_count = below(fuzz, 5), .steps = (uintptr_t)steps,
		.step_size = sizeof(steps[0]), .flags = rarely(fuzz, 30), .pad = rarely(fuzz, 30),
	};
	/* Unloading a device that runs costs time; most of these wait for another chance. */
	if (!arg.step_count && !rarely(fuzz, 50))
		arg.step_count = 1;
	if (rarely(fuzz, 20))
		arg.step_size = number(fuzz);
	if (rarely(fuzz, 20))
		arg.steps = number(fuzz);
	if (rarely(fuzz, 50))
		arg.step_count = number(fuzz);
	return call(fuzz->fd[file], MACROMAC_IOC_PROGRAM_LOAD, &arg);
}

/* A program that is good, so that the device has something to do. */
static int load_good(struct fuzz *fuzz, int file)
{
	struct macromac_buffer_create *made = fuzz->made[file];
	struct macromac_step step = { .groups = 1, .tile_rows = 1, .vectors = 1, .macro_strips = 18 };
	struct macromac_program_load arg;
	int err = 0;

	for (uint32_t usage = 1; usage <= 3; usage++) {
		if (made[usage].handle)
			release(fuzz->fd[file], made[usage].handle);
		err = err ? err : create(fuzz->fd[file], usage, PAGE, &made[usage]);
	}
	for (int port = 0; port < MACROMAC_PORTS; port++)
		step.weights[port].handle = made[1].handle;
	step.activations.handle = made[2].handle;
	step.results.handle = made[3].handle;
	return err ? err : load(fuzz->fd[file], &step, 1, &arg);
}

static int run_some(struct fuzz *fuzz, int file)
{
	return run(fuzz->fd[file], rarely(fuzz, 20) ? number(fuzz) : below(fuzz, 20));
}

static int wait_some(struct fuzz *fuzz, int file)
{
	struct macromac_wait arg = {
		.size = sizeof(arg), .steps = rarely(fuzz, 3) ? number(fuzz) : below(fuzz, 10),
		.rows = number(fuzz), .flags = rarely(fuzz, 30),
		.deadline_ns = rarely(fuzz, 20) ? now() + (int64_t)below(fuzz, 500000) : 0,
	};

	return call(fuzz->fd[file], MACROMAC_IOC_WAIT, &arg);
}

static int look_some(struct fuzz *fuzz, int file)
{
	struct macromac_query query = { .size = number(fuzz) };

	/* A structure of any size is read up to a page. */
	if (query.size > sizeof(query))
		query.size = sizeof(query);
	return call(fuzz->fd[file], MACROMAC_IOC_QUERY, &query);
}

static int map_some(struct fuzz *fuzz, int file)
{
	uint64_t slot = below(fuzz, MAPS), offset = number(fuzz) & -PAGE;
	int protection = rarely(fuzz, 3) ? PROT_READ : PROT_READ | PROT_WRITE;
	size_t bytes = (1 + below(fuzz, 12)) * PAGE;
	volatile uint32_t *at;

	if (fuzz->maps[slot])
		munmap(fuzz->maps[slot], fuzz->map_bytes[slot]);
	fuzz->maps[slot] = NULL;
	switch (below(fuzz, 6)) {
	case 0:
		offset = MACROMAC_MMAP_DOORBELL;
		bytes = PAGE;
		break;
	case 1:
		offset = MACROMAC_MMAP_COMPLETION;
		bytes = PAGE;
		break;
	case 2:
	case 3:
	case 4:
		offset = some_buffer(fuzz, file)->mmap_offset + below(fuzz, 2) * PAGE;
		break;
	}
	fuzz->maps[slot] = map(fuzz->fd[file], offset, bytes, protection);
	fuzz->map_bytes[slot] = bytes;
	at = fuzz->maps[slot];
	if (!at)
		return -errno;
	/* The last page of it; the doorbell is only rung with small numbers. */
	at += (bytes - PAGE) / 4;
	if (offset != MACROMAC_MMAP_DOORBELL)
		readable(at);
	else if (protection & PROT_WRITE)
		writable(at, below(fuzz, 20));
	return 0;
}

/* Bytes that are no structure at all, with a size that is plausible. */
static int noise(struct fuzz *fuzz, int file)
{
	uint32_t words[64], numbers = below(fuzz, 12);

	for (int i = 0; i < 64; i++)
		words[i] = rarely(fuzz, 2) ? 0 : number(fuzz);
	words[0] = rarely(fuzz, 4) ? number(fuzz) : 4 * below(fuzz, 30);
	if (words[0] > sizeof(words) && words[0] <= PAGE)
		words[0] = sizeof(words);
	/* A deadline that never comes would be the end of the fuzz. */
	if (numbers == _IOC_NR(MACROMAC_IOC_WAIT))
		words[4] = words[5] = 0;
	/* Reset, statistics and fault load from the device: dear. */
	if (numbers >= 7 && numbers <= 9 && !rarely(fuzz, 100))
		numbers = 0;
	return call(fuzz->fd[file], _IOC(rarely(fuzz, 30) ? below(fuzz, 4) : _IOC_READ | _IOC_WRITE,
					 MACROMAC_IOC_MAGIC, numbers, sizeof(words)), words);
}

static int dear(struct fuzz *fuzz, int file)
{
	struct macromac_fault fault;
	struct macromac_stats stats;

	if (!rarely(fuzz, 40))
		return look_some(fuzz, file);
	switch (below(fuzz, 4)) {
	case 0:
		return fault_of(fuzz->fd[file], &fault);
	case 1:
		return rarely(fuzz, 8) ? stats_of(fuzz->fd[file], &stats) : 0;
	case 2:
		return reset(fuzz->fd[file]);
	default:
		close(fuzz->fd[file]);
		memset(fuzz->made[file], 0, sizeof(fuzz->made[file]));
		fuzz->fd[file] = device_open();
		/* A failure on purpose is one at most. */
		if (fuzz->fd[file] == -ENOMEM)
			fuzz->fd[file] = device_open();
		return fuzz->fd[file];
	}
}

static int (*const actions[])(struct fuzz *fuzz, int file) = {
	make, make, give_back, sync_some, sync_some, load_some, load_some, run_some, run_some, wait_some,
	wait_some, look_some, map_some, noise, noise, dear,
};

static int fuzz_process(uint64_t calls, uint64_t seed, int64_t end, bool fail)
{
	struct fuzz fuzz = { .state = seed };
	int injector = fail ? inject_open() : -1;
	uint64_t failures = 0;

	if (fail && injector < 0) {
		printf("# expected a kernel with fault injection\n");
		return 1;
	}

	for (int file = 0; file < FILES; file++) {
		fuzz.fd[file] = device_open();
		if (fuzz.fd[file] < 0)
			return 1;
	}
	for (; fuzz.calls < calls && (fuzz.calls % 64 || now() < end); fuzz.calls++) {
		int file = below(&fuzz, FILES), result;
		bool wanted = fail && rarely(&fuzz, 4);

		if (wanted)
			inject(injector, 1 + below(&fuzz, 8));
		result = rarely(&fuzz, 100) ? load_good(&fuzz, file) :
			 actions[below(&fuzz, sizeof(actions) / sizeof(actions[0]))](&fuzz, file);
		failures += wanted && injected(injector);
		fuzz.good += result >= 0;
		/* A dead or missing device would make all that follows easy. */
		if (result == -ENODEV || fuzz.fd[file] < 0) {
			printf("# call %llu: the device is gone\n", (unsigned long long)fuzz.calls);
			return 1;
		}
	}
	printf("# macromac-fuzz: seed %llu: %llu calls, %llu succeeded, %llu failures on purpose\n",
	       (unsigned long long)seed, (unsigned long long)fuzz.calls, (unsigned long long)fuzz.good,
	       (unsigned long long)failures);
	fflush(stdout);
	return fuzz.calls < calls ? 2 : 0;
}

int main(int argc, char **argv)
{
	uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int64_t start = now(), end = start + (argc > 3 ? atoi(argv[3]) : 240) * SECOND;
	int worst = 0, err, fd = device_open();
	struct macromac_query query;
	int64_t before, after;
	char before_ms[16], now_ms[16];
	struct rig rig;
	bool slow, fail = argc > 4 && !strcmp(argv[4], "fail");

	if (fd < 0 || query_of(fd, &query)) {
		printf("Bail out! no device\n");
		return 1;
	}
	before = memory_used(fd);
	/* A program of 2^31 released steps is to cost its stop little. */
	slow = !set_stop_ms("20", before_ms);
	if (slow)
		printf("# cannot set stop_ms: this takes longer\n");
	for (int process = 0; process < 2; process++)
		if (!fork())
			_exit(fuzz_process((calls + 1) / 2, seed * 2 + process, end, fail));
	for (int process = 0; process < 2; process++) {
		int status;

		if (wait(&status) < 0 || !WIFEXITED(status)) {
			printf("# a process ended by status %#x\n", status);
			worst = 1;
		} else if (WEXITSTATUS(status) && worst != 1)
			worst = WEXITSTATUS(status);
	}
	if (!slow)
		set_stop_ms(before_ms, now_ms);
	printf("TAP version 13\n");
	printf("%s 1 - fuzz made all its calls%s\n", worst ? "not ok" : "ok",
	       worst == 2 ? ": time was up" : "");
	after = memory_used(fd);
	printf("%s 2 - fuzz leaves no memory behind\n", before == after ? "ok" : "not ok");
	if (before != after)
		worst = 1;
	err = rig_open(&rig);
	if (!err)
		err = rig_compute(&rig);
	printf("%s 3 - the device computes after the fuzz\n1..3\n", err ? "not ok" : "ok");
	printf("# macromac-fuzz: %llu calls, seed %llu, %lld s\n", (unsigned long long)calls,
	       (unsigned long long)seed, (long long)((now() - start) / SECOND));
	return worst || err;
}
