# The front door. `make demo` and `make test` need nothing but Debian 12 or 13: they install what is missing
# (with sudo where not root), configure, build, and then do their job. Everything else is CMake.
SHELL := /bin/bash
PRESET ?= release
JOBS ?= $(shell nproc)
BUILD := build/$(PRESET)
ifneq ($(shell command -v ccache),)
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif

.PHONY: help setup configure build test demo bench arm bench-arm sanitize fuzz browser format install clean

help:
	@echo "make demo      train, quantize, measure and report on this machine; FACES=folder for your own persons"
	@echo "make test      build everything and run all tests"
	@echo "make build     build the library and the command: build/release/bin/eke"
	@echo "make bench     measure kernels and networks on this machine and write docs/benchmarks.md"
	@echo "make arm       cross-compile for 64-bit Arm, run the tests under an emulator, compare networks with this machine's bits"
	@echo "make bench-arm count the instructions of the Arm kernels under the emulator"
	@echo "make sanitize  run the tests under ASan, UBSan and TSan, and the fuzz targets"
	@echo "make fuzz      run each fuzz target for FUZZ_SECONDS (60) seconds, with clang"
	@echo "make browser   open a report in headless Chromium and validate it"
	@echo "make format    format the sources as .clang-format says"
	@echo "make install   install under PREFIX (/usr/local)"
	@echo "make clean     remove build/"
	@echo "Variables: PRESET=release|debug|asan|tsan, JOBS=$(JOBS)"

setup:
	@scripts/setup.sh build

configure: setup
	cmake --preset $(PRESET) $(CMAKE_FLAGS)

build: configure
	cmake --build --preset $(PRESET) -j $(JOBS)

test: build
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

demo: build
	@scripts/setup.sh demo
	@scripts/demo.sh $(BUILD)/bin/eke $(FACES)

bench: CMAKE_FLAGS += -DEKE_BENCHMARKS=ON
bench: build
	@scripts/run_benchmarks.sh $(BUILD)

arm: build
	@scripts/run_arm.sh all

bench-arm:
	@scripts/bench_arm.sh

sanitize:
	@scripts/run_sanitizers.sh

browser: build
	@scripts/setup.sh browser
	@scripts/check_report.sh

fuzz:
	@scripts/setup.sh ci
	@scripts/run_fuzz.sh $(or $(FUZZ_SECONDS),60)

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

install: build
	cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

clean:
	rm -rf build
