# SPDX-License-Identifier: Apache-2.0
# ring_tell: where a ring places what it is asked about; t/70-ring.t compares it with t/pool/ring.py.
check_PROGRAMS += t/pool/ring_tell
t_pool_ring_tell_SOURCES = t/pool/ring_tell.c
t_pool_ring_tell_LDADD = $(UNIT_LDADD)
EXTRA_DIST += t/pool/ring.py

# relay: distance and trouble between nodes. Stands alone: nothing from src/ is linked.
check_PROGRAMS += t/pool/relay
t_pool_relay_SOURCES = t/pool/relay.c t/pool/wire.c t/pool/wire.h
t_pool_relay_LDADD = $(LIBEVENT_LIBS)

# spy: a member that writes down what it is asked, and lies as it is told to.
check_PROGRAMS += t/pool/spy
t_pool_spy_SOURCES = t/pool/spy.c t/origin/content.c t/origin/content.h
t_pool_spy_LDADD = $(UNIT_LDADD)
