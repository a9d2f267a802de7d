# SPDX-License-Identifier: Apache-2.0
# blob-client: a client that checks every byte. Shares content.c with blob-origin.

check_PROGRAMS += t/client/blob-client

t_client_blob_client_SOURCES = \
	t/client/engine.c t/client/engine.h \
	t/client/engine_curl.c \
	t/client/engine_h2.c t/client/engine_h2.h \
	t/client/engine_h2_conn.c \
	t/client/engine_h2_peer.c \
	t/client/engine_h2_stream.c \
	t/client/blocks.c \
	t/client/main.c \
	t/client/modes.h \
	t/client/one.c \
	t/client/options.c t/client/options.h \
	t/client/random.c \
	t/client/readers.c \
	t/client/report.c t/client/report.h \
	t/client/target.c t/client/target.h \
	t/client/transfer.c t/client/transfer.h \
	t/client/verify.c \
	t/origin/content.c t/origin/content.h
t_client_blob_client_CFLAGS = $(AM_CFLAGS) $(LIBCURL_CFLAGS) $(NGHTTP2_CFLAGS) $(OPENSSL_CFLAGS) $(JANSSON_CFLAGS)
t_client_blob_client_LDADD = $(LIBCURL_LIBS) $(NGHTTP2_LIBS) $(OPENSSL_LIBS) $(JANSSON_LIBS) -lm -lpthread
