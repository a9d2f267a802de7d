# SPDX-License-Identifier: Apache-2.0
# The suite: unit tests (programs that print TAP) and t/*.t, all run by prove.
#   make check                     everything
#   make check CHECKS='t/30-ranges.t t/unit/test_str'
#   make check PROVE_FLAGS='-v'    see each check
t_files = \
	t/00-floors.t \
	t/10-http1.t \
	t/20-http2.t \
	t/30-ranges.t \
	t/31-singleflight.t \
	t/32-generations.t \
	t/33-headers.t \
	t/34-freshness.t \
	t/35-grants.t \
	t/36-bypass.t \
	t/37-routes.t \
	t/38-cold.t \
	t/40-store.t \
	t/41-small-disk.t \
	t/42-crash.t \
	t/43-damage.t \
	t/44-disks.t \
	t/45-quotas.t \
	t/50-differential.t \
	t/51-range-checksums.t \
	t/52-dfs.t \
	t/53-cache-writes.t \
	t/54-credentials.t \
	t/55-poisoning.t \
	t/60-faults.t \
	t/61-crowd.t \
	t/62-bypass-crowd.t \
	t/63-probe-crowd.t \
	t/64-budget.t \
	t/70-ring.t \
	t/71-pool.t \
	t/73-pool-sim.t \
	t/74-pool-reads.t \
	t/75-pool-trouble.t \
	t/76-pool-writes.t \
	t/77-pool-ring.t \
	t/78-pool-regions.t \
	t/79-pool-change.t \
	t/80-config.t \
	t/81-admin.t \
	t/82-certificates.t \
	t/85-soak.t \
	t/90-clients.t \
	t/91-tokens.t \
	t/99-corpus.t

EXTRA_DIST += $(t_files) t/lib t/clients contrib README.md .clang-format

# Several unit tests have it.
EXTRA_DIST += t/unit/on_loop.h

UNIT_TESTS = $(filter t/unit/%,$(check_PROGRAMS))
CHECKS = $(UNIT_TESTS) $(t_files)
TEST_JOBS = 2
PROVE_FLAGS =

# A test may lie in the build tree (a program) or in the source tree (a script).
check-local: t/lib/bad_disk.so
	@tests=; for t in $(CHECKS); do \
	    if test -f "$$t" && test -x "$$t"; then tests="$$tests ./$$t"; else tests="$$tests $(srcdir)/$$t"; fi; done; \
	HEADPOND_BUILD='$(abs_builddir)' HEADPOND_SOURCE='$(abs_srcdir)' \
	ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:$$ASAN_OPTIONS" \
	UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS" \
	TSAN_OPTIONS="second_deadlock_stack=1:$$TSAN_OPTIONS" \
	$(PROVE) -j$(TEST_JOBS) --timer $(PROVE_FLAGS) $$tests
.PHONY: check-local

# What t/44-disks.t preloads into headpond; without sanitizers of its own.
t/lib/bad_disk.so: $(srcdir)/t/lib/bad_disk.c
	$(AM_V_CC)$(MKDIR_P) t/lib && $(CC) $(CFLAGS) -D_GNU_SOURCE -shared -fPIC -o $@ $(srcdir)/t/lib/bad_disk.c -ldl
CLEANFILES += t/lib/bad_disk.so

# For contrib/check: everything that tests need, and the names of the unit tests.
check-programs: config.h $(bin_PROGRAMS) $(check_PROGRAMS) t/lib/bad_disk.so
unit-tests:
	@echo $(UNIT_TESTS)
.PHONY: check-programs unit-tests

# The machine's limit beside the servers of contrib/bench. Stands alone.
EXTRA_PROGRAMS += t/bench/bare_loop
t_bench_bare_loop_SOURCES = t/bench/bare_loop.c t/bench/bare_tls.c t/bench/bare_tls.h
t_bench_bare_loop_LDADD = $(OPENSSL_LIBS)
EXTRA_DIST += t/bench/ranges.lua

# The stores of its headpond-N.
EXTRA_PROGRAMS += t/bench/make_store
t_bench_make_store_SOURCES = t/bench/make_store.c t/bench/sparse.c t/bench/sparse.h t/unit/store_fixture.c t/unit/store_fixture.h
t_bench_make_store_LDADD = $(UNIT_LDADD)
