# MacroMac: one command each. `make help` lists them.

SHELL := /bin/bash
export PATH := $(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

# What `make run` tells: MODEL is an image or a checkpoint folder (default: the embedded story model), BACKEND is
# rtl, golden or cpu.
MODEL   ?=
PROMPT  ?= Once upon a time
TOKENS  ?= 64
BACKEND ?= rtl

# What `make bitstream` builds: kv260 or paper; more options of vivado/build.tcl, e.g. VIVADO_OPTIONS="--clock 250".
PROFILE ?= kv260
VIVADO  ?= vivado
VIVADO_OPTIONS ?=

.PHONY: help run test test-threads kernel-check-kv260 lint setup canary check-generated check-autoawq generate synth synth-unit awq-full-size aarch64 test-aarch64 system-test ps-table ps-report bench sensitivity pictures bench-tables bitstream vivado-check prove system-test-debug clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup  ## tell a story: every matrix product of every token through the simulated accelerator
	cargo build --release --package macromac
	cargo run --release --quiet --package macromac -- run $(if $(MODEL),-m "$(MODEL)") -p "$(PROMPT)" -n $(TOKENS) --ignore-eos --backend $(BACKEND)

test:  ## every check there is (what CI runs)
	@scripts/test

setup:  ## install what is missing
	@scripts/setup

lint:  ## rustfmt, clippy, Verilator -Wall, read_slang
	@scripts/lint

canary:  ## flip one bit in each block; its testbench must notice (target/canary.json)
	@scripts/setup
	cargo run --release --quiet --package macromac-tests --bin canary

prove:  ## prove the FIFOs, AXI masters and handshakes for all inputs, and that planted faults are found (rtl/formal; `scripts/prove --record`)
	@scripts/setup --python
	@scripts/prove
	@scripts/prove --canary

generate:  ## regenerate what comes from rtl/regs/macromac.rdl
	@scripts/generate

check-generated:  ## fail when a generated file is stale
	@scripts/check-generated

check-autoawq:  ## AutoAWQ and transformers read our AutoAWQ checkpoints (installs 6 GB of Python packages; docs/results/autoawq-check.json)
	@scripts/setup
	@scripts/check-autoawq

synth:  ## what the whole device costs on the K26, both profiles (estimate by yosys; docs/synthesis.md, docs/results/synth.json)
	@scripts/synth-profile paper kv260 --record

synth-unit:  ## what a unit of either profile costs on the K26 (estimate by yosys; target/synth/)
	@scripts/synth mm_macro_mac --max-lut 21000 --max-dsp 96
	@scripts/synth mm_dsp_mac2 --no-modules --max-lut 0 --max-ff 0 --dsp 1
	@scripts/synth mm_group_mac --max-lut 7000 --max-ff 11000 --dsp 132 --max-levels 6

awq-full-size:  ## AWQ of Qwen2.5-0.5B's shape on 64 k tokens: time, peak memory (docs/results/awq-full-size.json; half an hour)
	@scripts/awq-full-size

aarch64:  ## build the stripped program for the board's Arm cores (target/aarch64/macromac)
	@scripts/aarch64 build

kernel-check-kv260:  ## the kernel module against the KV260's own Linux 5.15 too (215 MB from Ubuntu's archive)
	@scripts/kernel-check --kv260

test-threads:  ## how the PS's threads meet, in every order that the memory model allows (loom)
	@scripts/test-threads

test-aarch64:  ## the PS kernels' tests under qemu-user, and the same bits as on x86-64
	@scripts/aarch64 test

system-test:  ## arm64 Linux in QEMU, kernel module and program, the device verilated (target/system/summary.json)
	@scripts/system-test

system-test-debug:  ## the same with a kernel that checks itself and the module: KASAN, lockdep, DMA, leaks, allocations that fail (builds Linux once; target/system/debug.json)
	@scripts/system-test --debug

ps-table:  ## derive the PS time table from the compiled aarch64 loops (llvm-mca)
	@scripts/ps-table

ps-report:  ## print the PS's time of whole tokens, and the cross-check with the paper
	@cargo run --release --quiet --package macromac-ps --bin ps-report

bench:  ## tokens a second by the RTL, the paper's tables beside ours, sensitivity: docs/results, docs/bench.md (half an hour; `scripts/bench --list`)
	@scripts/setup
	@scripts/bench rows operations sensitivity paper

sensitivity:  ## the table of sensitivity alone, by the model (minutes)
	@scripts/bench sensitivity

pictures:  ## a token as a timeline, and what bounds it: docs/pictures, from a run by the RTL and the rows of `make bench`
	@scripts/setup
	@scripts/bench pictures

bench-tables:  ## put docs/results into the pages
	@scripts/bench-tables

bitstream:  ## build the bitstream with Vivado (PROFILE=kv260 or paper; hours; docs/vivado.md; never tried)
	@VIVADO="$(VIVADO)" vivado/find-vivado >/dev/null
	@mkdir -p target/vivado/$(PROFILE)
	"$(VIVADO)" -mode batch -notrace -journal target/vivado/$(PROFILE)/vivado.jou -log target/vivado/$(PROFILE)/vivado.log \
	  -source vivado/build.tcl -tclargs --profile $(PROFILE) $(VIVADO_OPTIONS)

vivado-check:  ## check vivado/ and constraints/ without Vivado: a stub, the RTL, the overlay, planted faults
	@scripts/vivado-check

clean:  ## remove everything that was built
	cargo clean
	rm -rf target .venv .venv-autoawq
