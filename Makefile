# The front door. `make demo` and `make test` set up, build and run; nothing else is needed on a bare Debian 12.
# BUILD names the build folder, CMAKE_ARGS what its first configuration gets, JOBS the parallel jobs, TENON_TEST_DATA the
# test data, TENON_VENV the Python environment of `make interop` and `make bench-peers`.
BUILD ?= build
DATA := $(abspath ../shared)
export TENON_TEST_DATA ?= $(DATA)
TENON_VENV ?= .venv
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 600

.PHONY: all setup setup-dev build demo test asan tsan test-full lint format generate fuzz interop bench bench-peers bench-serving clean
all: build

# Installs what a list of Debian packages names; does nothing when it is all there.
define install_packages
@missing=$$(for p in $$(grep -v '^#' $(1)); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && \
DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi
endef

setup:
	$(call install_packages,packages.txt)

setup-dev: setup
	$(call install_packages,packages-dev.txt)

$(BUILD)/build.ninja: | setup
	cmake -S . -B $(BUILD) -G Ninja $(CMAKE_ARGS)

build: setup $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS)

# The main job: trains a digit classifier, exports, verifies and serves it; leaves its results in out/.
# DEMO_ARGS="--model cnn" trains the convnet, "--data DIR" names a folder of MNIST files.
demo: build
	$(BUILD)/examples/digits $(DEMO_ARGS)

test: build
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

# The tests in a build with the address and undefined-behaviour sanitizers, or with the thread sanitizer. A finding ends
# the test that made it. The build alone takes about twelve minutes on two cores. TESTS="-R serve" takes some of the tests only.
asan tsan: setup-dev
	cmake --preset $@
	cmake --build --preset $@ -j $(JOBS)
	ctest --preset $@ -j $(JOBS) $(TESTS)

# Everything that `make test` runs, again under the sanitizers, and clang-tidy on every file. Takes long.
test-full: test asan tsan
	tools/tidy.py --build $(BUILD) --all

# The format of every file, clang-tidy on the changed ones. `make lint TIDY="--part 3/8"` adds the third of eight parts
# of the tree, `make lint TIDY=--all` checks everything.
lint: setup-dev $(BUILD)/build.ninja
	tools/format.sh --check
	tools/tidy.py --build $(BUILD) $(TIDY)

format: setup-dev
	tools/format.sh

# Writes what is derived from the op records: public functions, name constants, pages. Commit what changes.
generate: setup $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS) --target opgen_command
	$(BUILD)/bin/opgen .

# Every parser for FUZZ_SECONDS, as many at a time as there are jobs; findings lie in out/fuzz.
fuzz: setup-dev
	cmake --preset fuzz
	cmake --build --preset fuzz --target fuzzers -j $(JOBS)
	tools/fuzz.py --seconds $(FUZZ_SECONDS) --jobs $(JOBS)

# Our files in the real frameworks and theirs in ours; needs about 4 GB for the Python environment.
interop: build setup-dev
	python=$$(tools/venv.py $(TENON_VENV) tests/interop/requirements.txt) && \
	$$python tools/goldens/make.py --program $(BUILD)/bin/op_samples --check && \
	TENON_BUILD=$(abspath $(BUILD)) $$python -m pytest -q tests/interop

# Ours beside the peers', interleaved, one core each: out/bench.json. BENCH_ARGS=--quick is one short round.
bench: build setup-dev
	python=$$(tools/venv.py $(TENON_VENV) tests/interop/requirements.txt) && bench/run.py --python $$python --build $(BUILD) $(BENCH_ARGS)

# The peers' figures on this machine, without ours.
bench-peers: setup-dev
	python=$$(tools/venv.py $(TENON_VENV) tests/interop/requirements.txt) && bench/run.py --python $$python --only-peers --out out/bench-peers.json

# What a request costs the server, beside a synchronous grpc++ server; in the environment of `make interop`. Writes
# out/bench-serving.json. BENCH_ARGS="--seconds 1 --rounds 1" is quick.
bench-serving: build setup-dev
	python=$$(tools/venv.py $(TENON_VENV) tests/interop/requirements.txt) && $$python bench/serving/rows.py --build $(BUILD) --out out/bench-serving.json $(BENCH_ARGS)

clean:
	rm -rf build build-debug build-asan build-tsan build-fuzz out
