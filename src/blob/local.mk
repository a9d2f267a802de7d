# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/blob/classify.c src/blob/classify.h \
	src/blob/credential.c src/blob/credential.h \
	src/blob/error.c src/blob/error.h \
	src/blob/headers.h \
	src/blob/property.c src/blob/property.h \
	src/blob/query.c src/blob/query.h \
	src/blob/sas.c src/blob/sas.h \
	src/blob/url.c src/blob/url.h
