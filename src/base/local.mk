# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/base/arena.c src/base/arena.h \
	src/base/buf.c src/base/buf.h \
	src/base/civil.c src/base/civil.h \
	src/base/clock.c src/base/clock.h \
	src/base/conf.c src/base/conf.h src/base/conf_check.c src/base/conf_dump.c src/base/conf_parse.c \
	src/base/conf_schema.c src/base/conf_schema.h src/base/conf_table.h src/base/conf_value.c \
	src/base/hash.c src/base/hash.h \
	src/base/list.h \
	src/base/log.c src/base/log.h src/base/log_events.h \
	src/base/mem.c src/base/mem.h src/base/mem_nghttp2.h \
	src/base/metric.c src/base/metric.h src/base/metric_table.h \
	src/base/status.c src/base/status.h \
	src/base/str.c src/base/str.h \
	src/base/worker.c src/base/worker.h
EXTRA_DIST += conf/headpond.yaml
