// SPDX-License-Identifier: GPL-2.0
/*
 * A small matrix product when the device is found: does it compute, does it interrupt, and does
 * its data port see the processor's caches?
 *
 * Whether the interconnect asks the caches is set by the boot image and cannot be read
 * anywhere, so it is tried. The activations of a trial are only in the cache, over older ones
 * in memory; so is what the results' place held before. The weights are q = c + p with scale 1
 * and zero 0 for output channel c of port p, the activations are small integers: every
 * intermediate value is exact in either arithmetic, result 32r + 8p + c is (c + p) times the
 * activations' sum.
 */
#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "macromac.h"

static char *coherency = "auto";
module_param(coherency, charp, 0444);
MODULE_PARM_DESC(coherency, "auto, coherent or noncoherent: how data port and caches meet (default: auto, by trial)");

/* Many cache lines, so that it is no chance that they were all written back at the right moment. */
#define GROUPS		4
#define TILE_ROWS	8
#define TRIALS		4
#define INPUTS		(64 * GROUPS)
#define OUTPUTS		(32 * TILE_ROWS)
#define STRIP_WORDS	4
#define MACRO_WORDS	(18 * STRIP_WORDS)
#define SEGMENT_WORDS	(MACRO_WORDS * GROUPS * TILE_ROWS)
#define SEGMENT_BYTES	ALIGN(SEGMENT_WORDS * 4, MACROMAC_ALIGN)
#define POISON		0xdeadbeef
#define TEST_MS		2000
#define IRQ_MS		200

/* A buffer for each usage, which is its handle, too. */
#define HANDLES		(MACROMAC_RESULTS + 1)

struct macromac_trial {
	struct macromac_memory memory[HANDLES];
	struct macromac_program program;
};

/* FP32 of an integer below 2^24; the kernel has no floating point. */
static u32 macromac_float(u32 n)
{
	u32 exponent = fls(n) - 1;

	return n ? (127 + exponent) << 23 | ((n << (23 - exponent)) & 0x7fffff) : 0;
}

static bool macromac_trial_lookup(void *context, u32 handle, struct macromac_extent *extent)
{
	struct macromac_trial *trial = context;

	extent->address = trial->memory[handle].dma;
	extent->bytes = trial->memory[handle].bytes;
	extent->usage = handle;
	return true;
}

static void macromac_trial_weights(u8 *weights)
{
	u32 port, macro, word, c;

	for (port = 0; port < MACROMAC_PORTS; port++) {
		__le32 *words = (__le32 *)(weights + port * SEGMENT_BYTES);
		u32 nibbles = 0;

		for (c = 0; c < 8; c++)
			nibbles |= (c + port) << (4 * c);
		for (macro = 0; macro < GROUPS * TILE_ROWS; macro++, words += MACRO_WORDS) {
			/* Scales 1.0 in FP16; the zeros' strip is zero. */
			for (word = 0; word < STRIP_WORDS; word++)
				words[word] = cpu_to_le32(0x3c003c00);
			for (word = 2 * STRIP_WORDS; word < MACRO_WORDS; word++)
				words[word] = cpu_to_le32(nibbles);
		}
	}
}

static int macromac_trial_alloc(struct macromac *mm, struct macromac_trial *trial)
{
	struct macromac_step step = {
		.groups = GROUPS,
		.tile_rows = TILE_ROWS,
		.vectors = 1,
		.macro_strips = 18,
		.activations.handle = MACROMAC_ACTIVATIONS,
		.results.handle = MACROMAC_RESULTS,
	};
	struct macromac_descriptor descriptor;
	struct macromac_refusal why;
	u32 port;
	int err;

	err = macromac_memory_alloc(mm, &trial->program.ring, sizeof(descriptor), true);
	if (!err)
		err = macromac_memory_alloc(mm, &trial->memory[MACROMAC_WEIGHTS],
					    MACROMAC_PORTS * SEGMENT_BYTES, false);
	if (!err)
		err = macromac_memory_alloc(mm, &trial->memory[MACROMAC_ACTIVATIONS], INPUTS * 4,
					    false);
	if (!err)
		err = macromac_memory_alloc(mm, &trial->memory[MACROMAC_RESULTS], OUTPUTS * 4,
					    false);
	if (err)
		return err;
	for (port = 0; port < MACROMAC_PORTS; port++) {
		step.weights[port].handle = MACROMAC_WEIGHTS;
		step.weights[port].offset = port * SEGMENT_BYTES;
	}
	if (!macromac_step_encode(&step, &mm->limits, macromac_trial_lookup, trial, &descriptor,
				  &why))
		return -EINVAL;
	memcpy(trial->program.ring.cpu, &descriptor, sizeof(descriptor));
	trial->program.steps = 1;
	macromac_trial_weights(trial->memory[MACROMAC_WEIGHTS].cpu);
	macromac_memory_sync(mm, &trial->memory[MACROMAC_WEIGHTS], 0,
			     MACROMAC_PORTS * SEGMENT_BYTES, true);
	return 0;
}

static void macromac_trial_free(struct macromac *mm, struct macromac_trial *trial)
{
	u32 i;

	/* Of a dead device it stays. */
	if (mm->dead)
		return;
	for (i = MACROMAC_WEIGHTS; i < HANDLES; i++)
		macromac_memory_free(mm, &trial->memory[i]);
	macromac_memory_free(mm, &trial->program.ring);
}

/* Runs the step once; the interrupt is asked for. */
static int macromac_trial_run(struct macromac *mm, struct macromac_trial *trial)
{
	int before = atomic_read(&mm->counts.interrupts);
	struct macromac_completion record;
	unsigned long end;
	int err;

	err = macromac_hw_start(mm, &trial->program);
	if (err)
		return err;
	spin_lock_irq(&mm->irq_lock);
	macromac_hw_arm(mm);
	spin_unlock_irq(&mm->irq_lock);
	writel(1, mm->regs + MACROMAC_DOORBELL);

	end = jiffies + msecs_to_jiffies(TEST_MS);
	do {
		usleep_range(50, 100);
		record = macromac_hw_record(mm);
	} while (!record.steps_done && !record.status && time_before(jiffies, end));
	if (!record.steps_done) {
		struct macromac_fault fault = { };

		macromac_report_fault(mm, &fault);
		dev_err(mm->dev, "self-test: not done within %u ms, fault %u of port %u\n", TEST_MS,
			fault.cause, fault.port);
		macromac_hw_reset(mm);
		return fault.cause ? -EIO : -ETIMEDOUT;
	}
	end = jiffies + msecs_to_jiffies(IRQ_MS);
	while (atomic_read(&mm->counts.interrupts) == before && time_before(jiffies, end))
		usleep_range(50, 100);
	err = macromac_hw_stop(mm);
	if (err)
		return err;
	if (atomic_read(&mm->counts.interrupts) == before)
		return dev_err_probe(mm->dev, -EIO,
				     "self-test: a step was done but no interrupt came: see interrupts in the device tree\n");
	return 0;
}

static u32 macromac_trial_fill(__le32 *activations, u32 seed)
{
	u32 sum = 0, k;

	for (k = 0; k < INPUTS; k++) {
		u32 value = 1 + (k * seed + seed) % 61;

		activations[k] = cpu_to_le32(macromac_float(value));
		sum += value;
	}
	return sum;
}

/* One product; -EILSEQ: wrong values, the first of them is told if @loud. */
static int macromac_trial(struct macromac *mm, struct macromac_trial *trial, u32 seed, bool loud)
{
	struct macromac_memory *activations = &trial->memory[MACROMAC_ACTIVATIONS];
	struct macromac_memory *results = &trial->memory[MACROMAC_RESULTS];
	__le32 *found = results->cpu;
	u32 sum, i;
	int err;

	macromac_trial_fill(activations->cpu, seed + 1);
	macromac_memory_sync(mm, activations, 0, INPUTS * 4, true);
	memset32(results->cpu, 0, OUTPUTS);
	macromac_memory_sync(mm, results, 0, OUTPUTS * 4, true);

	/* From here on a coherent data port is on its own. */
	sum = macromac_trial_fill(activations->cpu, seed);
	memset32(results->cpu, POISON, OUTPUTS);
	if (!mm->coherent) {
		macromac_memory_sync(mm, activations, 0, INPUTS * 4, true);
		macromac_memory_sync(mm, results, 0, OUTPUTS * 4, true);
	}
	err = macromac_trial_run(mm, trial);
	if (err)
		return err;
	if (!mm->coherent)
		macromac_memory_sync(mm, results, 0, OUTPUTS * 4, false);
	for (i = 0; i < OUTPUTS; i++) {
		u32 expected = macromac_float((i % 8 + i / 8 % MACROMAC_PORTS) * sum);

		if (le32_to_cpu(READ_ONCE(found[i])) == expected)
			continue;
		if (loud)
			dev_err(mm->dev, "self-test: result %u: expected %#x, found %#x\n", i,
				expected, le32_to_cpu(READ_ONCE(found[i])));
		return -EILSEQ;
	}
	return 0;
}

static int macromac_trials(struct macromac *mm, struct macromac_trial *trial, bool coherent,
			   bool loud)
{
	u32 i;
	int err = 0;

	mm->coherent = coherent;
	for (i = 0; i < TRIALS && !err; i++)
		err = macromac_trial(mm, trial, 7 + 2 * i, loud);
	return err;
}

/**
 * macromac_selftest - find out whether the device works, and set @mm->coherent
 * @mm: the device, at rest; nobody else uses it yet
 *
 * Return: 0; -EINVAL: bad parameter; -EIO, -ETIMEDOUT, -EILSEQ: the device does not work, with
 * a message.
 */
int macromac_selftest(struct macromac *mm)
{
	bool only_coherent = sysfs_streq(coherency, "coherent");
	bool only_other = sysfs_streq(coherency, "noncoherent");
	struct macromac_trial trial = { };
	int err;

	if (!only_coherent && !only_other && !sysfs_streq(coherency, "auto"))
		return dev_err_probe(mm->dev, -EINVAL,
				     "coherency: expected auto, coherent or noncoherent, found %s\n",
				     coherency);
	/* Memory that is never cached tells nothing, and needs nothing. */
	if (mm->uncached_pool && !only_coherent)
		only_other = true;

	mutex_lock(&mm->lock);
	err = macromac_trial_alloc(mm, &trial);
	if (!err && only_other)
		err = macromac_trials(mm, &trial, false, true);
	else if (!err)
		err = macromac_trials(mm, &trial, true, only_coherent);
	/* Wrong values are what a port that does not see the caches gives. */
	if (err == -EILSEQ && !only_other && !only_coherent)
		err = macromac_trials(mm, &trial, false, true);
	macromac_trial_free(mm, &trial);
	mutex_unlock(&mm->lock);
	if (err)
		return dev_err_probe(mm->dev, err, "self-test failed\n");
	return 0;
}
