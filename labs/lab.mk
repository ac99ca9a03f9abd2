# lab.mk - the only compile flags and rules of all labs.
#
# A lab's Makefile names its files and includes this one:
#   LAB           01-buddy
#   SUBMISSION      sources of submission.so, the file that is tested, which students write
#   GIVEN           its other sources, which come with the lab and are not handed in
#   PROGRAMS        executables that tests start, with NAME_SRC for each
#   GIVEN_PROGRAMS  those of them that come with the lab
#
# The grader builds with these rules too (BUILD, HIDDEN), so that a test gives
# the same result everywhere.

MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

LABS := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
KIT := $(LABS)/testkit
BUILD ?= build
HIDDEN ?=
TEST ?=
SEED ?=
# What a lab's Makefile does not name there is not, whatever the environment holds.
$(foreach v,SUBMISSION GIVEN PROGRAMS GIVEN_PROGRAMS,\
    $(if $(filter file,$(origin $(v))),,$(eval $(v) :=)))
CC := gcc

# ---- flags: one per line, with the reason ----------------------------------

# For student code: the same here and when graded.
STUDENT_FLAGS := -std=gnu11
STUDENT_FLAGS += -O1 -g           # line numbers in gdb and Valgrind, code in source order
STUDENT_FLAGS += -Wall -Wextra
# Ubuntu's gcc has other defaults: more warnings, and calls to libc that
# puppet/wrap_*.c does not see.  With these flags it works as Debian's.
STUDENT_FLAGS += -U_FORTIFY_SOURCE -Wno-format-security
STUDENT_FLAGS += -pthread
SO_FLAGS := -fPIC -shared
SO_FLAGS += -Wl,-Bsymbolic-functions # the submission's own functions call each other
SO_FLAGS += -Wl,-z,defs              # an undefined symbol is an error now, not in a test

# The kit itself.
KIT_FLAGS := -std=gnu11
KIT_FLAGS += -O2 -g
KIT_FLAGS += -Wall -Wextra -Werror
KIT_FLAGS += -fvisibility=hidden  # only the wrappers of libc can be called from outside
KIT_FLAGS += -pthread
KIT_FLAGS += -D_GNU_SOURCE=       # the kit is for Linux; as #define _GNU_SOURCE in a test
KIT_FLAGS += -iquote $(KIT)       # "testkit.h", and "shared/..." within the kit
KIT_FLAGS += -iquote .            # the lab's own headers
KIT_FLAGS += -MMD -MP             # header dependencies

# Valgrind's leak check: the same here and when graded.
MEMCHECK_FLAGS := --leak-check=full
MEMCHECK_FLAGS += --show-leak-kinds=definite,indirect # "possibly lost" may be in use
MEMCHECK_FLAGS += --errors-for-leak-kinds=definite,indirect
MEMCHECK_FLAGS += --num-callers=20
# The puppet's own malloc() is called, and not replaced, so that it can fail as planned.
MEMCHECK_FLAGS += --soname-synonyms=somalloc=nouserintercepts
VALGRIND_FACTOR := 20 # multiplies every time limit under Valgrind

# ---- files ------------------------------------------------------------------

# A file's directory in testkit says in which process it runs.
kit_objects = $(patsubst $(KIT)/%.c,$(BUILD)/kit/%.o,$(wildcard $(1:%=$(KIT)/%/*.c)))
PUPPET_OBJECTS := $(call kit_objects,puppet shared)
TESTKIT_OBJECTS := $(call kit_objects,test shared)
PUBLIC_OBJECTS := $(BUILD)/test_public.o $(BUILD)/stubs.o
HIDDEN_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(notdir $(HIDDEN)))
STUDENT_PROGRAMS := $(filter-out $(GIVEN_PROGRAMS),$(PROGRAMS))
HAND_IN := $(sort $(SUBMISSION) $(foreach p,$(STUDENT_PROGRAMS),$($(p)_SRC)))
HEADERS := $(wildcard *.h)
PROGRAM_PATHS := $(PROGRAMS:%=$(BUILD)/programs/%)
RUN := $(BUILD)/test_public --puppet $(BUILD)/puppet --submission $(BUILD)/submission.so
RUN += --programs '$(abspath $(BUILD))/programs' $(if $(SEED),--seed $(SEED))

# ---- targets -------------------------------------------------------------------

.PHONY: help test debug memcheck watch submit clean kit graded build
.PHONY: print-submission-flags print-program-flags print-memcheck-flags print-valgrind-factor
.PHONY: print-files

help:
	@echo 'make test              compile and run the public tests (TEST=name: only that one; SEED=n)'
	@echo 'make debug TEST=name   stop in your function, in gdb'
	@echo 'make memcheck          the public tests under Valgrind'
	@echo 'make watch             run the tests again whenever you save a file'
	@echo 'make submit            pack what you hand in: $(HAND_IN)'
	@echo 'make clean             remove $(BUILD)/'

test: build
	$(RUN) $(TEST)

build: $(BUILD)/test_public $(BUILD)/puppet $(BUILD)/submission.so $(PROGRAM_PATHS)

debug: build $(BUILD)/gdb.commands
	@[ -n "$(TEST)" ] || { echo 'which test? make debug TEST=name; there are:'; \
	    $(BUILD)/test_public --list | cut -f2; exit 2; }
	$(RUN) --timeout-factor 0 --wrap 'gdb -q -x $(BUILD)/gdb.commands --args' $(TEST)

# Valgrind's lines in its log; the kit's own begin with "**".
memcheck: build
	@rm -f $(BUILD)/memcheck.log
	$(RUN) --timeout-factor $(VALGRIND_FACTOR) \
	    --wrap 'valgrind -q $(MEMCHECK_FLAGS) --log-file=$(BUILD)/memcheck.log' $(TEST) \
	    || { sed -n '/^==/p' $(BUILD)/memcheck.log; exit 1; }
	@! grep '^==' $(BUILD)/memcheck.log
	@echo 'Valgrind found no errors'

watch:
	@command -v entr > /dev/null || { echo 'make watch needs entr: sudo apt install entr'; exit 2; }
	@printf '%s\n' $(wildcard *.c *.h) | entr -c $(MAKE) --no-print-directory test TEST='$(TEST)'

submit: $(HAND_IN)
	@mkdir -p $(BUILD)
	tar -czf $(BUILD)/$(LAB).tar.gz $(HAND_IN)
	@echo 'hand in $(BUILD)/$(LAB).tar.gz'

clean:
	rm -rf $(BUILD)

# ---- for the grader ------------------------------------------------------------

kit: $(BUILD)/puppet $(GIVEN_PROGRAMS:%=$(BUILD)/programs/%)
graded: $(BUILD)/test_graded

print-submission-flags:
	@printf '%s\n' $(STUDENT_FLAGS) $(SO_FLAGS)

print-program-flags:
	@printf '%s\n' $(STUDENT_FLAGS)

print-memcheck-flags:
	@printf '%s\n' $(MEMCHECK_FLAGS)

print-valgrind-factor:
	@printf '%s\n' $(VALGRIND_FACTOR)

# One line for each library or program: its kind, its name, its sources.
print-files:
	@printf 'submission %s\n' $(SUBMISSION)
	@printf 'given %s\n' $(GIVEN)
	@printf '%s\n' $(foreach p,$(STUDENT_PROGRAMS),'program $(p) $($(p)_SRC)')
	@printf '%s\n' $(foreach p,$(GIVEN_PROGRAMS),'given-program $(p) $($(p)_SRC)')

# ---- rules ----------------------------------------------------------------------

$(BUILD)/submission.so: $(SUBMISSION) $(GIVEN) $(HEADERS) $(LABS)/lab.mk
	@mkdir -p $(@D)
	$(CC) $(STUDENT_FLAGS) $(SO_FLAGS) -o $@ $(SUBMISSION) $(GIVEN)

# Exports the wrappers, since libc.so defines the same names, and nothing else: with
# -rdynamic a submission's variable data_start would be the puppet's.
$(BUILD)/puppet: $(PUPPET_OBJECTS)
	@$(CC) -pthread -o $@ $^

$(BUILD)/test_public: $(PUBLIC_OBJECTS) $(TESTKIT_OBJECTS)
	@$(CC) -pthread -o $@ $^ -lcmocka

$(BUILD)/test_graded: $(PUBLIC_OBJECTS) $(HIDDEN_OBJECTS) $(TESTKIT_OBJECTS)
	@$(CC) -pthread -o $@ $^ -lcmocka

$(BUILD)/kit/%.o: $(KIT)/%.c $(LABS)/lab.mk
	@mkdir -p $(@D)
	@$(CC) $(KIT_FLAGS) -c -o $@ $<

$(BUILD)/%.o: %.c $(LABS)/lab.mk
	@mkdir -p $(@D)
	@$(CC) $(KIT_FLAGS) -c -o $@ $<

define hidden_rule
$(patsubst %.c,$(BUILD)/%.o,$(notdir $(1))): $(1) $(LABS)/lab.mk
	@mkdir -p $$(@D)
	@$(CC) $(KIT_FLAGS) -fmacro-prefix-map=$(dir $(1))= -c -o $$@ $$<
endef
$(foreach f,$(HIDDEN),$(eval $(call hidden_rule,$(f))))

# Breakpoints at every function of the contract.  gdb sets them when the puppet,
# a child of the fork server, loads the submission.  After the first stop gdb
# stays with the puppet and does not follow its children.
$(BUILD)/gdb.commands: $(BUILD)/stubs.o
	@{ echo 'set breakpoint pending on'; \
	  echo 'echo Your functions are not loaded yet; each gets a breakpoint for when they are.\n'; \
	  echo 'set follow-fork-mode child'; \
	  echo 'set print thread-events off'; \
	  nm $< | sed -n 's/.* T \(.*\)/break \1\ncommands\nset follow-fork-mode parent\nend/p'; \
	  echo 'run'; } > $@

define program_rule
$(BUILD)/programs/$(1): $($(1)_SRC) $(HEADERS) $(LABS)/lab.mk
	@mkdir -p $$(@D)
	$(CC) $(STUDENT_FLAGS) -o $$@ $($(1)_SRC)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

-include $(wildcard $(BUILD)/*.d $(BUILD)/kit/*/*.d)
