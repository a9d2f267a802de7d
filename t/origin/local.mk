# SPDX-License-Identifier: Apache-2.0
# blob-origin: a scripted Blob origin. Stands alone: nothing from src/ is linked.

check_PROGRAMS += t/origin/blob-origin

t_origin_blob_origin_SOURCES = \
	t/origin/auth.c t/origin/auth.h \
	t/origin/auth_key.c t/origin/auth_key.h \
	t/origin/auth_sas.c \
	t/origin/blob.c t/origin/blob.h \
	t/origin/conn.c t/origin/conn.h \
	t/origin/container.c \
	t/origin/content.c t/origin/content.h \
	t/origin/control.c t/origin/control.h \
	t/origin/fault.c t/origin/fault.h \
	t/origin/http.c t/origin/http.h \
	t/origin/io.c t/origin/io.h \
	t/origin/lake.c \
	t/origin/main.c \
	t/origin/read.c \
	t/origin/record.c t/origin/record.h \
	t/origin/reply.c t/origin/reply.h \
	t/origin/serve.c t/origin/serve.h \
	t/origin/service.c t/origin/service.h \
	t/origin/strict.c t/origin/strict.h \
	t/origin/util.c t/origin/util.h \
	t/origin/write.c
t_origin_blob_origin_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
t_origin_blob_origin_LDADD = $(OPENSSL_LIBS) -lpthread
EXTRA_DIST += t/origin/README
