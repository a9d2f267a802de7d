# SPDX-License-Identifier: Apache-2.0
# evict_sim: eviction policies side by side on traces. contrib/evict-sim runs it; t/unit/test_store_policy asserts some.

check_PROGRAMS += t/sim/evict_sim

sim_sources = \
	t/sim/belady.c \
	t/sim/fifo.c \
	t/sim/list.c \
	t/sim/ours.c \
	t/sim/run.c \
	t/sim/s3fifo.c \
	t/sim/scene.c t/sim/scene.h \
	t/sim/sim.h \
	t/sim/tinylfu.c \
	t/sim/trace.c

t_sim_evict_sim_SOURCES = t/sim/evict_sim.c $(sim_sources)
t_sim_evict_sim_LDADD = $(UNIT_LDADD) -lm

check_PROGRAMS += t/unit/test_store_policy
t_unit_test_store_policy_SOURCES = t/unit/test_store_policy.c t/unit/tap.h $(sim_sources)
t_unit_test_store_policy_LDADD = $(UNIT_LDADD) -lm

check_PROGRAMS += t/unit/test_store_quota_policy
t_unit_test_store_quota_policy_SOURCES = t/unit/test_store_quota_policy.c t/unit/tap.h $(sim_sources)
t_unit_test_store_quota_policy_LDADD = $(UNIT_LDADD) -lm

# pool_sim: a pool of thousands. contrib/pool-sim makes a report of it; t/73-pool-sim.t runs a small one.
check_PROGRAMS += t/sim/pool/pool_sim
t_sim_pool_pool_sim_SOURCES = t/sim/pool/pool_sim.c t/sim/pool/balance.c t/sim/pool/costs.c t/sim/pool/moves.c \
	t/sim/pool/reads.c t/sim/pool/storm.c t/sim/pool/world.c t/sim/pool/world.h t/sim/pool/zone.c
t_sim_pool_pool_sim_LDADD = $(UNIT_LDADD) -lm
