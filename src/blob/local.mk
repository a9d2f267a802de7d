# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/blob/classify.c src/blob/classify.h \
	src/blob/credential.c src/blob/credential.h \
	src/blob/error.c src/blob/error.h \
	src/blob/headers.h \
	src/blob/property.c src/blob/property.h \
	src/blob/query.c src/blob/query.h \
	src/blob/sas.c src/blob/sas.h \
	src/blob/sas_verify.c src/blob/sas_verify.h \
	src/blob/sharedkey.c src/blob/sharedkey.h \
	src/blob/url.c src/blob/url.h

check_PROGRAMS += t/unit/test_classify t/unit/test_credential t/unit/test_error \
	t/unit/test_property t/unit/test_sas t/unit/test_sas_verify t/unit/test_sharedkey t/unit/test_url
t_unit_test_classify_SOURCES = t/unit/test_classify.c t/unit/tap.h
t_unit_test_classify_LDADD = $(UNIT_LDADD)
t_unit_test_credential_SOURCES = t/unit/test_credential.c t/unit/tap.h
t_unit_test_credential_LDADD = $(UNIT_LDADD)
t_unit_test_error_SOURCES = t/unit/test_error.c t/unit/tap.h
t_unit_test_error_LDADD = $(UNIT_LDADD)
t_unit_test_property_SOURCES = t/unit/test_property.c t/unit/tap.h
t_unit_test_property_LDADD = $(UNIT_LDADD)
t_unit_test_sas_SOURCES = t/unit/test_sas.c t/unit/tap.h
t_unit_test_sas_LDADD = $(UNIT_LDADD)
t_unit_test_sas_verify_SOURCES = t/unit/test_sas_verify.c t/unit/tap.h
t_unit_test_sas_verify_LDADD = $(UNIT_LDADD)
t_unit_test_sharedkey_SOURCES = t/unit/test_sharedkey.c t/unit/tap.h
t_unit_test_sharedkey_LDADD = $(UNIT_LDADD)
t_unit_test_url_SOURCES = t/unit/test_url.c t/unit/tap.h
t_unit_test_url_LDADD = $(UNIT_LDADD)
