# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/cache/ahead.c src/cache/ahead.h \
	src/cache/answer.c src/cache/answer.h \
	src/cache/asker.c src/cache/asker.h \
	src/cache/cache.c src/cache/cache.h \
	src/cache/context.h \
	src/cache/epoch.c src/cache/epoch.h \
	src/cache/fence.c \
	src/cache/fill.c src/cache/fill.h src/cache/fill_blocks.c src/cache/fill_fetch.c src/cache/fill_yield.c \
	src/cache/flight.c src/cache/flight.h \
	src/cache/freshness.c src/cache/freshness.h \
	src/cache/grant.c src/cache/grant.h \
	src/cache/inquiry.c src/cache/inquiry.h \
	src/cache/joins.c src/cache/joins.h \
	src/cache/loads.c src/cache/loads.h \
	src/cache/keep.c src/cache/keep.h \
	src/cache/object.c src/cache/object.h \
	src/cache/pace.c src/cache/pace.h \
	src/cache/place.c src/cache/place.h \
	src/cache/probe.c src/cache/probe.h \
	src/cache/reader.c \
	src/cache/room.c src/cache/room.h \
	src/cache/upstream.c src/cache/upstream.h \
	src/cache/upstream_leg.c src/cache/upstream_leg.h

check_PROGRAMS += t/unit/test_object
t_unit_test_object_SOURCES = t/unit/test_object.c t/unit/tap.h
t_unit_test_object_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_grant
t_unit_test_grant_SOURCES = t/unit/test_grant.c t/unit/tap.h
t_unit_test_grant_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_epoch
t_unit_test_epoch_SOURCES = t/unit/test_epoch.c t/unit/tap.h
t_unit_test_epoch_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_ahead
t_unit_test_ahead_SOURCES = t/unit/test_ahead.c t/unit/store_fixture.c t/unit/store_fixture.h t/unit/tap.h
t_unit_test_ahead_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_pace
t_unit_test_pace_SOURCES = t/unit/test_pace.c t/unit/tap.h
t_unit_test_pace_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_freshness
t_unit_test_freshness_SOURCES = t/unit/test_freshness.c t/unit/tap.h
t_unit_test_freshness_LDADD = $(UNIT_LDADD)

cache_rig = t/unit/test_cache_rig.c t/unit/test_cache_task.c t/unit/test_cache_rig.h t/unit/tap.h \
	t/origin/content.c t/origin/content.h

check_PROGRAMS += t/unit/test_cache_flow
t_unit_test_cache_flow_SOURCES = t/unit/test_cache_flow.c $(cache_rig)
t_unit_test_cache_flow_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_flow_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_faults
t_unit_test_cache_faults_SOURCES = t/unit/test_cache_faults.c $(cache_rig)
t_unit_test_cache_faults_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_faults_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_drip
t_unit_test_cache_drip_SOURCES = t/unit/test_cache_drip.c $(cache_rig)
t_unit_test_cache_drip_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_drip_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_room
t_unit_test_cache_room_SOURCES = t/unit/test_cache_room.c $(cache_rig)
t_unit_test_cache_room_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_room_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_ahead
t_unit_test_cache_ahead_SOURCES = t/unit/test_cache_ahead.c $(cache_rig)
t_unit_test_cache_ahead_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_ahead_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_disk
t_unit_test_cache_disk_SOURCES = t/unit/test_cache_disk.c $(cache_rig)
t_unit_test_cache_disk_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_disk_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_probes
t_unit_test_cache_probes_SOURCES = t/unit/test_cache_probes.c $(cache_rig)
t_unit_test_cache_probes_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_probes_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_cache_inquiry
t_unit_test_cache_inquiry_SOURCES = t/unit/test_cache_inquiry.c $(cache_rig)
t_unit_test_cache_inquiry_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/t/origin
t_unit_test_cache_inquiry_LDADD = $(UNIT_LDADD)
