# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/cache/answer.c src/cache/answer.h \
	src/cache/asker.c src/cache/asker.h \
	src/cache/cache.c src/cache/cache.h \
	src/cache/context.h \
	src/cache/epoch.c src/cache/epoch.h \
	src/cache/fence.c \
	src/cache/fill.c src/cache/fill.h src/cache/fill_fetch.c \
	src/cache/flight.c src/cache/flight.h \
	src/cache/freshness.c src/cache/freshness.h \
	src/cache/grant.c src/cache/grant.h \
	src/cache/inquiry.c src/cache/inquiry.h \
	src/cache/object.c src/cache/object.h \
	src/cache/own_request.c src/cache/own_request.h \
	src/cache/probe.c src/cache/probe.h \
	src/cache/reader.c
