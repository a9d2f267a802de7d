# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/admin/admin.c src/admin/admin.h
