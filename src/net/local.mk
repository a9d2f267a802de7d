# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/net/mailbox.c src/net/mailbox.h \
	src/net/address.c src/net/address.h \
	src/net/loop.c src/net/loop.h \
	src/net/easy.c src/net/easy.h \
	src/net/line.c src/net/line.h \
	src/net/sock.c src/net/sock.h \
	src/net/outq.c src/net/outq.h \
	src/net/ktls.c src/net/ktls.h \
	src/net/tls_bio.c src/net/tls_bio.h \
	src/net/tls.c src/net/tls.h \
	src/net/tls_stream.c src/net/tls_stream.h \
	src/net/conn.c src/net/conn.h src/net/conn_inside.h \
	src/net/conn_send.c src/net/conn_linger.c \
	src/net/listener.c src/net/listener.h

check_PROGRAMS += t/unit/test_mailbox t/unit/test_loop
t_unit_test_mailbox_SOURCES = t/unit/test_mailbox.c t/unit/tap.h
t_unit_test_mailbox_LDADD = $(UNIT_LDADD)
t_unit_test_loop_SOURCES = t/unit/test_loop.c t/unit/tap.h
t_unit_test_loop_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_line t/unit/test_line_crowd t/unit/test_line_leaves
t_unit_test_line_SOURCES = t/unit/test_line.c t/unit/accounts_apart.h t/unit/tap.h
t_unit_test_line_LDADD = $(UNIT_LDADD)
t_unit_test_line_crowd_SOURCES = t/unit/test_line_crowd.c t/unit/accounts_apart.h t/unit/tap.h
t_unit_test_line_crowd_LDADD = $(UNIT_LDADD)
t_unit_test_line_leaves_SOURCES = t/unit/test_line_leaves.c t/unit/accounts_apart.h t/unit/on_loop.h t/unit/tap.h
t_unit_test_line_leaves_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_listener t/unit/test_tls
check_PROGRAMS += t/unit/test_sock
t_unit_test_sock_SOURCES = t/unit/test_sock.c t/unit/tap.h
t_unit_test_sock_LDADD = $(UNIT_LDADD)
t_unit_test_listener_SOURCES = t/unit/test_listener.c t/unit/tap.h
t_unit_test_listener_LDADD = $(UNIT_LDADD)
t_unit_test_tls_SOURCES = t/unit/test_tls.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_tls_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_ktls
t_unit_test_ktls_SOURCES = t/unit/test_ktls.c t/unit/http_rig.c t/unit/http_rig.h t/unit/tap.h
t_unit_test_ktls_LDADD = $(UNIT_LDADD)
