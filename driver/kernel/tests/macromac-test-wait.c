// SPDX-License-Identifier: GPL-2.0
/* Waiting: deadlines, signals, and that no wake-up is lost. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "harness.h"

static int a_past_deadline_looks(void)
{
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	for (int i = 0; i < 3; i++) {
		static const int64_t past[] = { 0, 1, INT64_MIN };

		EQUAL(wait_until(rig.fd, 1, 0xffffffff, past[i], &wait), -ETIMEDOUT);
		EQUAL(wait.steps_done, 0);
		EQUAL(wait.rows_done, 0);
	}
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, 0, &wait), 0);
	EQUAL(wait.steps_done, 1);
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, INT64_MAX, &wait), 0);
	EQUAL(wait_until(rig.fd, 2, 0xffffffff, 0, &wait), -ETIMEDOUT);
	EQUAL(wait.steps_done, 1);
	return PASS;
}

static int a_deadline_is_kept(void)
{
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;
	int64_t start;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	start = now();
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, start + 100 * MS, &wait), -ETIMEDOUT);
	CHECK(now() >= start + 100 * MS && now() < start + 5 * SECOND);
	return PASS;
}

/* Step numbers are compared modulo 2^32, as the doorbell's are. */
static int steps_count_modulo(void)
{
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(wait_until(rig.fd, 0, 0xffffffff, 0, &wait), 0);
	EQUAL(wait_until(rig.fd, 0xffffffff, 0xffffffff, 0, &wait), 0);
	EQUAL(wait_until(rig.fd, 0x80000001, 0xffffffff, 0, &wait), 0);
	EQUAL(wait_until(rig.fd, 0x7fffffff, 0xffffffff, 0, &wait), -ETIMEDOUT);
	return PASS;
}

static int rows_are_looked_at(void)
{
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	rig.step.report_tile_rows = 1;
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(wait_until(rig.fd, 1, 0, 0, &wait), 0);
	EQUAL(wait_until(rig.fd, 1, 32, 0, &wait), -ETIMEDOUT);
	EQUAL(run(rig.fd, 1), 0);
	EQUAL(wait_until(rig.fd, 1, 32, now() + 30 * SECOND, &wait), 0);
	CHECK(wait.steps_done == 1 || (!wait.steps_done && wait.rows_done >= 32));
	EQUAL(wait_for(rig.fd, 1, 30 * SECOND), 0);
	EQUAL(wait_until(rig.fd, 2, 32, 0, &wait), -ETIMEDOUT);
	return PASS;
}

struct later {
	struct rig *rig;
	int (*what)(struct rig *rig);
	int result;
};

static void *do_later(void *data)
{
	struct later *later = data;

	usleep(30000);
	later->result = later->what(later->rig);
	return NULL;
}

/* Sleeps for step 1 while another thread does something; the deadline is far. Gives WAIT's result. */
static int sleep_during(struct rig *rig, int (*what)(struct rig *rig), int64_t *slept)
{
	struct later later = { rig, what, 0 };
	int64_t start = now();
	pthread_t thread;
	int result;

	if (pthread_create(&thread, NULL, do_later, &later))
		return -EAGAIN;
	result = wait_for(rig->fd, 1, 60 * SECOND);
	*slept = now() - start;
	pthread_join(thread, NULL);
	return later.result ? later.result : result;
}

static int ring_one(struct rig *rig)
{
	return run(rig->fd, 1);
}

static int reset_it(struct rig *rig)
{
	return reset(rig->fd);
}

static int unload_it(struct rig *rig)
{
	return unload(rig->fd);
}

static int an_interrupt_wakes(void)
{
	struct macromac_stats before, after;
	struct macromac_program_load arg;
	struct rig rig;
	int64_t slept;

	EQUAL(rig_open(&rig), 0);
	EQUAL(stats_of(rig.fd, &before), 0);
	for (int i = 0; i < 10; i++) {
		EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
		EQUAL(sleep_during(&rig, ring_one, &slept), 0);
		CHECK(slept > 20 * MS && slept < 20 * SECOND);
	}
	EQUAL(stats_of(rig.fd, &after), 0);
	CHECK(after.interrupts - before.interrupts >= 10);
	return PASS;
}

/* No interrupt is taken when nobody sleeps. */
static int polling_takes_no_interrupt(void)
{
	struct macromac_stats before, after;
	struct macromac_program_load arg;
	int64_t end = now() + 30 * SECOND;
	struct macromac_wait wait;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(stats_of(rig.fd, &before), 0);
	for (uint32_t step = 1; step <= 20; step++) {
		EQUAL(run(rig.fd, step), 0);
		while (wait_until(rig.fd, step, 0xffffffff, 0, &wait) == -ETIMEDOUT)
			CHECK(now() < end);
	}
	EQUAL(stats_of(rig.fd, &after), 0);
	EQUAL(after.interrupts, before.interrupts);
	return PASS;
}

/* Steps and sleeps in the tightest order: each wake-up that is lost would cost the deadline. */
static int no_wake_up_is_lost(void)
{
	struct macromac_program_load arg;
	struct rig rig;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	for (uint32_t step = 1; step <= 300; step++) {
		int64_t start = now();

		EQUAL(run(rig.fd, step), 0);
		EQUAL(wait_for(rig.fd, step, 20 * SECOND), 0);
		CHECK(now() - start < 10 * SECOND);
	}
	return PASS;
}

static int a_sleeper_learns_of_the_end(void)
{
	struct macromac_program_load arg;
	struct rig rig;
	int64_t slept;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(sleep_during(&rig, reset_it, &slept), -EPERM);
	CHECK(slept < 20 * SECOND);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	EQUAL(sleep_during(&rig, unload_it, &slept), -EPERM);
	CHECK(slept < 20 * SECOND);
	return PASS;
}

struct sleeper {
	struct rig *rig;
	uint32_t step;
	int result;
};

static void *sleep_for_step(void *data)
{
	struct sleeper *sleeper = data;

	sleeper->result = wait_for(sleeper->rig->fd, sleeper->step, 60 * SECOND);
	return NULL;
}

static int many_may_sleep(void)
{
	struct sleeper sleepers[8];
	struct macromac_program_load arg;
	pthread_t threads[8];
	struct rig rig;
	int64_t start = now();

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	for (int i = 0; i < 8; i++) {
		sleepers[i] = (struct sleeper){ &rig, 1 + i / 2, 1 };
		CHECK(!pthread_create(&threads[i], NULL, sleep_for_step, &sleepers[i]));
	}
	for (uint32_t step = 1; step <= 4; step++) {
		usleep(10000);
		EQUAL(run(rig.fd, step), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		EQUAL(sleepers[i].result, 0);
	}
	CHECK(now() - start < 30 * SECOND);
	return PASS;
}

static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
	(void)number;
	signals++;
}

static int signals_do_not_move_the_deadline(void)
{
	static const struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never;
	struct sigaction action = { .sa_handler = on_alarm };
	struct macromac_program_load arg;
	struct macromac_wait wait;
	struct rig rig;
	int64_t start;

	EQUAL(rig_open(&rig), 0);
	EQUAL(load(rig.fd, &rig.step, 1, &arg), 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, now() + 60 * SECOND, &wait), -EINTR);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	signals = 0;
	start = now();
	EQUAL(wait_until(rig.fd, 1, 0xffffffff, start + 300 * MS, &wait), -ETIMEDOUT);
	CHECK(now() - start >= 300 * MS && now() - start < 10 * SECOND);
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(signals > 2);
	return PASS;
}

const struct test wait_tests[] = {
	{ "a past deadline looks", a_past_deadline_looks },
	{ "a deadline is kept", a_deadline_is_kept },
	{ "steps count modulo 2^32", steps_count_modulo },
	{ "rows are looked at", rows_are_looked_at },
	{ "an interrupt wakes", an_interrupt_wakes },
	{ "polling takes no interrupt", polling_takes_no_interrupt },
	{ "no wake-up is lost", no_wake_up_is_lost },
	{ "a sleeper learns of the end", a_sleeper_learns_of_the_end },
	{ "many may sleep", many_may_sleep },
	{ "signals do not move the deadline", signals_do_not_move_the_deadline },
	{ }
};
