/*
 * A plugin of QEMU's translator: a processor of the guest that has stored to the device's registers waits until the server has
 * taken the store and shown what comes of it (sim/qemu/src/polled). On a bus a load waits for the stores before it, too; in plain
 * memory nothing does.
 *
 * Arguments: ram=FILE (the guest's RAM), registers=ADDRESS (of the three pages in it).
 *
 * Only `str wT, [xN]` is looked at, which is what writel() of Linux is: user space's doorbell, whose step numbers tell the server
 * all there is to know, need not wait. The interface of plugins is declared here because Debian ships no header of it
 * (include/qemu/qemu-plugin.h of QEMU 7.2, version 1).
 */
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum { NO_REGISTERS = 0, WRITES = 2 };
typedef void (*translated)(uint64_t id, struct qemu_plugin_tb *block);
typedef void (*accessed)(unsigned int cpu, uint32_t info, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated callback);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, accessed callback, int flags, int what, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

EXPORT int qemu_plugin_version = 1;

#define PAGES		0x3000u
/* Words behind the test page's: stores made, stores taken; modulo 2^32. */
#define MADE		0x2ff8u
#define TAKEN		0x2ffcu
/* A server that does not answer for so long is gone. */
#define SECONDS		100

static uint64_t registers;
static _Atomic uint32_t *pages;
static atomic_bool alone;

static void wait_for_the_server(void)
{
	uint32_t mine = atomic_fetch_add(&pages[MADE / 4], 1) + 1;
	const struct timespec nap = { .tv_nsec = 20000 };
	time_t end = time(NULL) + SECONDS;

	for (uint32_t turn = 0; (int32_t)(atomic_load(&pages[TAKEN / 4]) - mine) < 0; turn++) {
		if (turn < 1000) {
			sched_yield();
			continue;
		}
		nanosleep(&nap, NULL);
		if (time(NULL) > end) {
			atomic_store(&alone, true);
			return;
		}
	}
}

static void stored(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
	const struct qemu_plugin_hwaddr *where;

	(void)cpu;
	(void)data;
	if (atomic_load_explicit(&alone, memory_order_relaxed))
		return;
	where = qemu_plugin_get_hwaddr(info, address);
	if (!where || qemu_plugin_hwaddr_is_io(where))
		return;
	if (qemu_plugin_hwaddr_phys_addr(where) - registers < PAGES)
		wait_for_the_server();
}

static void translate(uint64_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		uint32_t word;

		if (qemu_plugin_insn_size(insn) != sizeof(word))
			continue;
		memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
		if ((word & 0xfffffc00) == 0xb9000000)
			qemu_plugin_register_vcpu_mem_cb(insn, stored, NO_REGISTERS, WRITES, NULL);
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	const char *ram = NULL;
	int file;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "ram=", 4))
			ram = argv[i] + 4;
		else if (!strncmp(argv[i], "registers=", 10))
			registers = strtoull(argv[i] + 10, NULL, 0);
	}
	file = ram ? open(ram, O_RDWR | O_CLOEXEC) : -1;
	if (file >= 0) {
		pages = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)registers);
		close(file);
	}
	if (file < 0 || pages == MAP_FAILED) {
		fprintf(stderr, "wait: expected ram=FILE,registers=ADDRESS of a mapped file, found ram=%s,registers=%#llx\n",
			ram ? ram : "", (unsigned long long)registers);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
