# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/net/mailbox.c src/net/mailbox.h \
	src/net/loop.c src/net/loop.h
