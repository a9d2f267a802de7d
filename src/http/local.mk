# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/http/exchange.h \
	src/http/target.c src/http/target.h \
	src/http/h1_parse.c src/http/h1_parse.h \
	src/http/h1_chunked.c src/http/h1_chunked.h \
	src/http/h1.c src/http/h1_body.c src/http/h1_reply.c src/http/h1.h \
	src/http/chunks.c src/http/chunks.h \
	src/http/h2_client.c src/http/h2_client.h src/http/h2_client_inside.h src/http/h2_call.c \
	src/http/h2.c src/http/h2_abuse.c src/http/h2_body.c src/http/h2_stream.c src/http/h2_turn.c src/http/h2.h \
	src/http/server.c src/http/server.h src/http/session.h
include src/http/pure.mk

check_PROGRAMS += t/unit/test_h1_parse t/unit/test_h1_chunked
t_unit_test_h1_parse_SOURCES = t/unit/test_h1_parse.c t/unit/tap.h
t_unit_test_h1_parse_LDADD = $(UNIT_LDADD)
t_unit_test_h1_chunked_SOURCES = t/unit/test_h1_chunked.c t/unit/tap.h
t_unit_test_h1_chunked_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_h1_wire t/unit/test_http_server
t_unit_test_h1_wire_SOURCES = t/unit/test_h1_wire.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_h1_wire_LDADD = $(UNIT_LDADD)
t_unit_test_http_server_SOURCES = t/unit/test_http_server.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_http_server_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_h2_wire t/unit/test_h2_abuse
t_unit_test_h2_wire_SOURCES = t/unit/test_h2_wire.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_h2_wire_LDADD = $(UNIT_LDADD)
t_unit_test_h2_abuse_SOURCES = t/unit/test_h2_abuse.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_h2_abuse_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_h2_client
t_unit_test_h2_client_SOURCES = t/unit/test_h2_client.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_h2_client_LDADD = $(UNIT_LDADD)
