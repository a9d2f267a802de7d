# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/base/arena.c src/base/arena.h \
	src/base/base64.c src/base/base64.h \
	src/base/buf.c src/base/buf.h \
	src/base/buf_room.c src/base/buf_room.h \
	src/base/civil.c src/base/civil.h \
	src/base/bytes.h \
	src/base/clock.c src/base/clock.h \
	src/base/container.h \
	src/base/conf.c src/base/conf.h src/base/conf_check.c src/base/conf_dump.c src/base/conf_parse.c \
	src/base/conf_members.c src/base/conf_members.h \
	src/base/conf_schema.c src/base/conf_schema.h src/base/conf_table.h src/base/conf_value.c \
	src/base/cores.c src/base/cores.h \
	src/base/crc64.c src/base/crc64.h \
	src/base/date.c src/base/date.h \
	src/base/fair.c src/base/fair.h \
	src/base/file.c src/base/file.h \
	src/base/hash.c src/base/hash.h \
	src/base/hostport.c src/base/hostport.h \
	src/base/jitter.c src/base/jitter.h \
	src/base/list.h \
	src/base/log.c src/base/log.h src/base/log_events.h \
	src/base/mem.c src/base/mem.h src/base/mem_nghttp2.h src/base/mem_parts.h \
	src/base/metric.c src/base/metric.h src/base/metric_table.h \
	src/base/notify.c src/base/notify.h \
	src/base/process.c src/base/process.h \
	src/base/rcu.h \
	src/base/share.c src/base/share.h \
	src/base/status.c src/base/status.h \
	src/base/str.c src/base/str.h \
	src/base/thread.c src/base/thread.h
EXTRA_DIST += conf/headpond.yaml

check_PROGRAMS += t/unit/test_arena t/unit/test_base64 t/unit/test_buf t/unit/test_clock t/unit/test_conf t/unit/test_cores t/unit/test_crc64 t/unit/test_date t/unit/test_fair t/unit/test_hash t/unit/test_hostport t/unit/test_jitter t/unit/test_log t/unit/test_mem \
	t/unit/test_metric t/unit/test_share t/unit/test_str
t_unit_test_arena_SOURCES = t/unit/test_arena.c t/unit/tap.h
t_unit_test_arena_LDADD = $(UNIT_LDADD)
t_unit_test_base64_SOURCES = t/unit/test_base64.c t/unit/tap.h
t_unit_test_base64_LDADD = $(UNIT_LDADD)
t_unit_test_buf_SOURCES = t/unit/test_buf.c t/unit/tap.h
t_unit_test_buf_LDADD = $(UNIT_LDADD)
t_unit_test_conf_SOURCES = t/unit/test_conf.c t/unit/tap.h
t_unit_test_conf_LDADD = $(UNIT_LDADD)
t_unit_test_cores_SOURCES = t/unit/test_cores.c t/unit/tap.h
t_unit_test_cores_LDADD = $(UNIT_LDADD)
t_unit_test_crc64_SOURCES = t/unit/test_crc64.c t/unit/tap.h
t_unit_test_crc64_LDADD = $(UNIT_LDADD)
t_unit_test_date_SOURCES = t/unit/test_date.c t/unit/tap.h
t_unit_test_date_LDADD = $(UNIT_LDADD)
t_unit_test_fair_SOURCES = t/unit/test_fair.c t/unit/tap.h
t_unit_test_fair_LDADD = $(UNIT_LDADD)
t_unit_test_hash_SOURCES = t/unit/test_hash.c t/unit/tap.h
t_unit_test_hash_LDADD = $(UNIT_LDADD)
t_unit_test_hostport_SOURCES = t/unit/test_hostport.c t/unit/tap.h
t_unit_test_hostport_LDADD = $(UNIT_LDADD)
t_unit_test_jitter_SOURCES = t/unit/test_jitter.c t/unit/tap.h
t_unit_test_jitter_LDADD = $(UNIT_LDADD)
t_unit_test_clock_SOURCES = t/unit/test_clock.c t/unit/tap.h
t_unit_test_clock_LDADD = $(UNIT_LDADD)
t_unit_test_log_SOURCES = t/unit/test_log.c t/unit/tap.h
t_unit_test_log_LDADD = $(UNIT_LDADD)
t_unit_test_mem_SOURCES = t/unit/test_mem.c t/unit/tap.h
t_unit_test_mem_LDADD = $(UNIT_LDADD)
t_unit_test_metric_SOURCES = t/unit/test_metric.c t/unit/tap.h
t_unit_test_metric_LDADD = $(UNIT_LDADD)
t_unit_test_share_SOURCES = t/unit/test_share.c t/unit/accounts_apart.h t/unit/tap.h
t_unit_test_share_LDADD = $(UNIT_LDADD)
t_unit_test_str_SOURCES = t/unit/test_str.c t/unit/tap.h
t_unit_test_str_LDADD = $(UNIT_LDADD)
