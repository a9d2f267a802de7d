# SPDX-License-Identifier: Apache-2.0
# The pure part of http/: no sockets, no loop.
libheadpond_a_SOURCES += \
	src/http/field.c src/http/field.h \
	src/http/message.c src/http/message.h \
	src/http/precondition.c src/http/precondition.h \
	src/http/range.c src/http/range.h \
	src/http/source_mem.c src/http/source.h

check_PROGRAMS += t/unit/test_field t/unit/test_message t/unit/test_precondition t/unit/test_range
t_unit_test_field_SOURCES = t/unit/test_field.c t/unit/tap.h
t_unit_test_field_LDADD = $(UNIT_LDADD)
t_unit_test_message_SOURCES = t/unit/test_message.c t/unit/tap.h
t_unit_test_message_LDADD = $(UNIT_LDADD)
t_unit_test_precondition_SOURCES = t/unit/test_precondition.c t/unit/tap.h
t_unit_test_precondition_LDADD = $(UNIT_LDADD)
t_unit_test_range_SOURCES = t/unit/test_range.c t/unit/tap.h
t_unit_test_range_LDADD = $(UNIT_LDADD)
