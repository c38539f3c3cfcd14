# Two commands start everything on a fresh machine: `make quickstart` and `make test`. Each sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
N ?= 5000
SEED ?= 1
CMAKE := .venv/bin/cmake
CTEST := .venv/bin/ctest
# Objects compiled in one clone are found again from another.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
SOURCES := $(shell git ls-files '*.cpp' '*.h' 2>/dev/null)
PYTHON_FOLDERS := python tests tools bench examples

help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

quickstart: build ## measure this machine, find a plan, train a GPT on real text, report
	@tools/quickstart.sh

setup: ## system packages and .venv (done by the others)
	@tools/setup.sh run

page: setup ## visualizer/dist, which the binary embeds
	@tools/page.sh

build: page ## build/release/bin/galvatron
	@$(CMAKE) --preset release -DPython3_EXECUTABLE=$(CURDIR)/.venv/bin/python > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }; rm -f build-configure.log
	@$(CMAKE) --build --preset release --parallel $(JOBS) --target galvatron galvatron_plugins

build-python: build ## the C++ side of the Python package, for .venv
	@$(CMAKE) --build --preset release --parallel $(JOBS) --target galvatron_python

wheel-test: setup ## the wheel in fresh virtual environments, with torch and without, and what it can there
	@tools/wheel_test.sh

wheels: ## dist/: the wheel of a release (both halves), as others are to install it
	@tools/wheels.sh release

docs: ## the docs as a site: site/index.html
	@tools/docs.sh

build-tests: setup-test
	@tools/page.sh
	@$(CMAKE) --preset release -DPython3_EXECUTABLE=$(CURDIR)/.venv/bin/python > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }; rm -f build-configure.log
	@$(CMAKE) --build --preset release --parallel $(JOBS)

setup-test:
	@tools/setup.sh test

test: build-tests ## all tests, fast ones first
	@$(CTEST) --preset release --parallel $(JOBS)

fuzz: build-tests ## N=5000 SEED=1: random plans against one rank
	@build/release/bin/plan_fuzz --count $(N) --seed $(SEED)

bench: build-tests ## ratios measured side by side
	@for bench in build/release/bin/bench_*; do [ -x "$$bench" ] && echo "== $$bench" && "$$bench"; done
	@for script in bench/*.py; do [ -f "$$script" ] && echo "== $$script" && .venv/bin/python "$$script"; done

planner: ## the planning half alone, without torch, and its tests
	@tools/setup.sh planner
	@$(CMAKE) --preset planner > /dev/null && $(CMAKE) --build --preset planner --parallel $(JOBS) && $(CTEST) --preset planner --parallel $(JOBS)

sanitize: damage ## the planning half, and what reads checkpoints, under the address and undefined-behaviour sanitizers
	@tools/setup.sh planner
	@$(CMAKE) --preset planner-asan > /dev/null && $(CMAKE) --build --preset planner-asan --parallel $(JOBS) && cd build/planner-asan && ../../$(CTEST) --output-on-failure --parallel $(JOBS)

damage: build-tests ## N=5000 SEED=1: damaged checkpoints, read under the sanitizers
	@build/release/bin/checkpoint_damage --count $(N) --seed $(SEED)

planner-files: setup-test ## the planning half, each file compiled for itself: no unity build or precompiled header hides a missing include
	@$(CMAKE) --preset planner-files > /dev/null && $(CMAKE) --build --preset planner-files --parallel $(JOBS) --target galvatron

format: setup-test ## clang-format and ruff
	@.venv/bin/clang-format -i $(SOURCES)
	@.venv/bin/ruff format $(PYTHON_FOLDERS)

check: setup-test ## format, ruff, types, rooms: what needs no compiler
	@.venv/bin/clang-format --dry-run -Werror $(SOURCES)
	@.venv/bin/ruff format --quiet --check $(PYTHON_FOLDERS) || { echo "make format puts these right:"; .venv/bin/ruff format --check $(PYTHON_FOLDERS); }
	@.venv/bin/ruff check --quiet $(PYTHON_FOLDERS)
	@.venv/bin/mypy
	@.venv/bin/python tools/check_rooms.py

lint: check ## the same and clang-tidy on our sources
	@clang-tidy -p build/release --quiet $(filter src/%.cpp,$(SOURCES))

clean: ## remove build/ and site/
	@rm -rf build site

.PHONY: help quickstart setup setup-test page build build-python wheel-test wheels docs build-tests test fuzz bench planner damage planner-files sanitize format check lint clean
