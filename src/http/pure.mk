# SPDX-License-Identifier: Apache-2.0
# The pure part of http/: no sockets, no loop.
libheadpond_a_SOURCES += \
	src/http/date.c \
	src/http/message.c src/http/message.h \
	src/http/precondition.c src/http/precondition.h \
	src/http/range.c src/http/range.h \
	src/http/source_mem.c src/http/source.h
