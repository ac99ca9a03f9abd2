# The entry point of the project; `make help` lists the targets.
#
# The first run installs what is missing: Debian packages (root, or sudo), and
# labkit in .venv.  Later runs install nothing and start at once.

LAB ?= 01-buddy
SUB ?=
SAMPLE ?= small
PYTEST ?=
GRADINGS ?=
export LAB SUB SAMPLE

# The only list of the required Debian packages, and of those that only the tests need.
PACKAGES := bubblewrap entr gcc gdb libc6-dbg libc6-dev libcmocka-dev libseccomp2 make patch
PACKAGES += python3 python3-venv unifdef util-linux valgrind
TEST_PACKAGES := cppcheck

LABKIT := .venv/bin/labkit
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: help grade test verify attacks bench soak doctor packages test-packages clean fuzz

help:
	@echo 'make grade                       grade a sample class of lab $(LAB)'
	@echo 'make grade SAMPLE=all            grade all versions of its solution'
	@echo 'make grade LAB=NN-name SUB=path  grade a directory, a file or an archive'
	@echo 'make verify                      prove all labs with all tests of every broken version'
	@echo 'make verify LAB=NN-name          prove one lab'
	@echo 'make test                        run all checks of the project'
	@echo 'make attacks                     grade all attack pairs with every test of their labs'
	@echo 'make fuzz                        test what reads untrusted input with random input'
	@echo 'make bench LAB=NN-name           measure the speed of the grader and the reference'
	@echo 'make soak LAB=NN-name            run every test 200 times on a busy machine'
	@echo 'make soak GRADINGS=1000          grade good, bad and hostile submissions in one process'
	@echo 'make doctor                      check this machine, and say how to fix what is missing'
	@echo 'make clean                       remove build/'

grade: .venv/ready
	@$(LABKIT) grade "$$LAB" $(if $(SUB),"$$SUB",--sample "$$SAMPLE")

verify: .venv/ready
	@$(LABKIT) verify $(if $(filter file,$(origin LAB)),,"$$LAB")

soak: .venv/ready $(if $(GRADINGS),.venv/tests-ready)
	@$(if $(GRADINGS),.venv/bin/python grader/soak.py --gradings '$(GRADINGS)',$(LABKIT) soak "$$LAB")

test: .venv/tests-ready
	@.venv/bin/python grader/prove.py $(PYTEST)

attacks: .venv/tests-ready
	@LABKIT_ATTACKS=full .venv/bin/pytest -q -n 2 --dist worksteal \
	    grader/tests/test_attack_pairs.py grader/tests/test_attacks.py

bench: .venv/tests-ready
	@.venv/bin/python -P grader/bench "$$LAB"
	@if [ -e 'solutions/$(LAB)/bench/Makefile' ]; then $(MAKE) -C 'solutions/$(LAB)/bench'; fi

fuzz: .venv/tests-ready
	@$(MAKE) -C grader/fuzz fuzz
	@.venv/bin/pytest -q --hypothesis-profile=fuzz grader/tests/test_fuzz.py

doctor: .venv/ready
	@$(LABKIT) doctor

clean:
	rm -rf build

# ---- prerequisites ----------------------------------------------------------

# Without dpkg nothing is installed; `make doctor` lists what is missing.
packages test-packages: packages := $(PACKAGES)
test-packages: packages += $(TEST_PACKAGES)
packages test-packages:
	@command -v dpkg-query > /dev/null || exit 0; \
	missing=$$(comm -23 <(printf '%s\n' $(packages) | sort) \
	    <(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(packages) 2> /dev/null \
	      | sed -n 's/^installed //p' | sort)); \
	if [ -n "$$missing" ]; then \
	    echo "installing" $$missing; \
	    $(SUDO) apt-get update -qq; \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	        apt-get install -qq --no-install-recommends $$missing; \
	fi

.venv/ready: pyproject.toml | packages
	@/usr/bin/python3 -c 'import tomllib' \
	    || { echo 'labkit needs Python 3.11 or newer: Debian 12, Ubuntu 24.04'; exit 2; }
	@/usr/bin/python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --editable .
	@touch $@

.venv/tests-ready: .venv/ready | test-packages
	@.venv/bin/python -m pip install --quiet --editable '.[test]'
	@touch $@
