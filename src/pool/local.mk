# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/pool/discover.c src/pool/discover.h \
	src/pool/dns.c src/pool/dns.h \
	src/pool/entry.c src/pool/entry.h \
	src/pool/follow.c src/pool/follow.h \
	src/pool/greet.c src/pool/greet.h \
	src/pool/hedge.c src/pool/hedge.h \
	src/pool/hedges.c src/pool/hedges.h \
	src/pool/identity.c src/pool/identity.h \
	src/pool/kube.c src/pool/kube.h \
	src/pool/members.c src/pool/members.h src/pool/members_text.c \
	src/pool/peers.c src/pool/peers.h \
	src/pool/pool.c src/pool/pool.h \
	src/pool/reach.c src/pool/reach.h \
	src/pool/ring.c src/pool/ring.h \
	src/pool/ring_text.c src/pool/ring_text.h \
	src/pool/slices.c src/pool/slices.h \
	src/pool/spread.c src/pool/spread.h \
	src/pool/tells.c src/pool/tells.h \
	src/pool/wire.c src/pool/wire.h

check_PROGRAMS += t/unit/test_ring
t_unit_test_ring_SOURCES = t/unit/test_ring.c t/unit/tap.h
t_unit_test_ring_LDADD = $(UNIT_LDADD) -lm

check_PROGRAMS += t/unit/test_reach
t_unit_test_reach_SOURCES = t/unit/test_reach.c t/unit/tap.h
t_unit_test_reach_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_identity
t_unit_test_identity_SOURCES = t/unit/test_identity.c t/unit/tap.h
t_unit_test_identity_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_members
t_unit_test_members_SOURCES = t/unit/test_members.c t/unit/tap.h
t_unit_test_members_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_peers
t_unit_test_peers_SOURCES = t/unit/test_peers.c t/unit/pool_certificates.h t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_peers_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_dns
t_unit_test_dns_SOURCES = t/unit/test_dns.c t/unit/dns_rig.h t/unit/tap.h
t_unit_test_dns_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_discover
t_unit_test_discover_SOURCES = t/unit/test_discover.c t/unit/api_rig.h t/unit/dns_rig.h t/unit/pool_certificates.h t/unit/http_rig.c \
	t/unit/http_rig.h t/unit/tap.h
t_unit_test_discover_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_pool
t_unit_test_pool_SOURCES = t/unit/test_pool.c t/unit/pool_certificates.h t/unit/on_loop.h t/unit/tap.h
t_unit_test_pool_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_wire
t_unit_test_wire_SOURCES = t/unit/test_wire.c t/unit/tap.h
t_unit_test_wire_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_tells
t_unit_test_tells_SOURCES = t/unit/test_tells.c t/unit/pool_certificates.h t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_tells_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_slices
t_unit_test_slices_SOURCES = t/unit/test_slices.c t/unit/tap.h
t_unit_test_slices_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_hedge
t_unit_test_hedge_SOURCES = t/unit/test_hedge.c t/unit/tap.h
t_unit_test_hedge_LDADD = $(UNIT_LDADD) -lm

check_PROGRAMS += t/unit/test_hedges
t_unit_test_hedges_SOURCES = t/unit/test_hedges.c t/unit/tap.h
t_unit_test_hedges_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_spread
t_unit_test_spread_SOURCES = t/unit/test_spread.c t/unit/tap.h
t_unit_test_spread_LDADD = $(UNIT_LDADD)
check_PROGRAMS += t/unit/test_kube
t_unit_test_kube_SOURCES = t/unit/test_kube.c t/unit/api_rig.h t/unit/pool_certificates.h t/unit/tap.h
t_unit_test_kube_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_ring_text
t_unit_test_ring_text_SOURCES = t/unit/test_ring_text.c t/unit/tap.h
t_unit_test_ring_text_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_entry
t_unit_test_entry_SOURCES = t/unit/test_entry.c t/unit/tap.h
t_unit_test_entry_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_follow
t_unit_test_follow_SOURCES = t/unit/test_follow.c t/unit/pool_certificates.h t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_follow_LDADD = $(UNIT_LDADD)
