# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/proxy/access_line.c src/proxy/access_line.h \
	src/proxy/access_log.c src/proxy/access_log.h \
	src/proxy/accounts.c src/proxy/accounts.h \
	src/proxy/authorize.c src/proxy/authorize.h \
	src/proxy/bypass.c \
	src/proxy/certificate.c src/proxy/certificate.h \
	src/proxy/checksum.c src/proxy/checksum.h \
	src/proxy/forward.c src/proxy/forward.h \
	src/proxy/front.c src/proxy/front.h \
	src/proxy/instance.c src/proxy/instance.h \
	src/proxy/invalidate.c src/proxy/invalidate.h \
	src/proxy/meter.c src/proxy/meter.h \
	src/proxy/outcome.c src/proxy/outcome.h \
	src/proxy/peer_serve.c src/proxy/peer_serve.h \
	src/proxy/proxy.c src/proxy/proxy.h \
	src/proxy/proxy_status.c src/proxy/proxy_status.h \
	src/proxy/read.c src/proxy/read_checksum.c \
	src/proxy/reply.c src/proxy/reply.h \
	src/proxy/reply_dfs.c src/proxy/reply_dfs.h \
	src/proxy/request.c src/proxy/request.h \
	src/proxy/route.c src/proxy/route.h \
	src/proxy/turn.c src/proxy/turn.h

check_PROGRAMS += t/unit/test_access_log t/unit/test_authorize t/unit/test_checksum t/unit/test_reply t/unit/test_route
t_unit_test_access_log_SOURCES = t/unit/test_access_log.c t/unit/tap.h
t_unit_test_access_log_LDADD = $(UNIT_LDADD)
t_unit_test_authorize_SOURCES = t/unit/test_authorize.c t/unit/route_fixture.h t/unit/tap.h
t_unit_test_authorize_LDADD = $(UNIT_LDADD)
t_unit_test_checksum_SOURCES = t/unit/test_checksum.c t/unit/tap.h
t_unit_test_checksum_LDADD = $(UNIT_LDADD)
t_unit_test_reply_SOURCES = t/unit/test_reply.c t/unit/tap.h
t_unit_test_reply_LDADD = $(UNIT_LDADD)
t_unit_test_route_SOURCES = t/unit/test_route.c t/unit/route_fixture.h t/unit/tap.h
t_unit_test_route_LDADD = $(UNIT_LDADD)
