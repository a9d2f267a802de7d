# SPDX-License-Identifier: Apache-2.0
# Fuzz targets, a file each. In a tree of --enable-fuzzers (contrib/fuzz makes it) libFuzzer drives them; elsewhere they run
# files, and t/99-corpus.t runs those of t/fuzz/corpus.
fuzz_targets = \
	t/fuzz/address \
	t/fuzz/base64 \
	t/fuzz/conf \
	t/fuzz/credential \
	t/fuzz/date \
	t/fuzz/entry \
	t/fuzz/error \
	t/fuzz/h1_chunked \
	t/fuzz/h1_parse \
	t/fuzz/object \
	t/fuzz/precondition \
	t/fuzz/range \
	t/fuzz/redact \
	t/fuzz/reply \
	t/fuzz/ring_text \
	t/fuzz/sas \
	t/fuzz/sharedkey \
	t/fuzz/target \
	t/fuzz/token \
	t/fuzz/url

EXTRA_DIST += t/fuzz/corpus
check_PROGRAMS += $(fuzz_targets)

if FUZZERS
fuzz_common = t/fuzz/fuzz.h
else
fuzz_common = t/fuzz/fuzz.h t/fuzz/replay.c
endif
FUZZ_LDADD = $(FUZZ_ENGINE) $(HEADPOND_LIBS)

# For contrib/fuzz.
fuzzers: config.h $(fuzz_targets)
fuzz-targets:
	@echo $(notdir $(fuzz_targets))
.PHONY: fuzzers fuzz-targets

t_fuzz_address_SOURCES = t/fuzz/address.c $(fuzz_common)
t_fuzz_address_LDADD = $(FUZZ_LDADD)
t_fuzz_address_LDFLAGS = -Wl,--wrap=getaddrinfo
t_fuzz_base64_SOURCES = t/fuzz/base64.c $(fuzz_common)
t_fuzz_base64_LDADD = $(FUZZ_LDADD)
t_fuzz_conf_SOURCES = t/fuzz/conf.c $(fuzz_common)
t_fuzz_conf_LDADD = $(FUZZ_LDADD)
t_fuzz_credential_SOURCES = t/fuzz/credential.c $(fuzz_common)
t_fuzz_credential_LDADD = $(FUZZ_LDADD)
t_fuzz_date_SOURCES = t/fuzz/date.c $(fuzz_common)
t_fuzz_date_LDADD = $(FUZZ_LDADD)
t_fuzz_entry_SOURCES = t/fuzz/entry.c $(fuzz_common)
t_fuzz_entry_LDADD = $(FUZZ_LDADD)
t_fuzz_error_SOURCES = t/fuzz/error.c $(fuzz_common)
t_fuzz_error_LDADD = $(FUZZ_LDADD)
t_fuzz_h1_chunked_SOURCES = t/fuzz/h1_chunked.c $(fuzz_common)
t_fuzz_h1_chunked_LDADD = $(FUZZ_LDADD)
t_fuzz_h1_parse_SOURCES = t/fuzz/h1_parse.c $(fuzz_common)
t_fuzz_h1_parse_LDADD = $(FUZZ_LDADD)
t_fuzz_object_SOURCES = t/fuzz/object.c $(fuzz_common)
t_fuzz_object_LDADD = $(FUZZ_LDADD)
t_fuzz_precondition_SOURCES = t/fuzz/precondition.c $(fuzz_common)
t_fuzz_precondition_LDADD = $(FUZZ_LDADD)
t_fuzz_range_SOURCES = t/fuzz/range.c $(fuzz_common)
t_fuzz_range_LDADD = $(FUZZ_LDADD)
t_fuzz_redact_SOURCES = t/fuzz/redact.c $(fuzz_common)
t_fuzz_redact_LDADD = $(FUZZ_LDADD)
t_fuzz_reply_SOURCES = t/fuzz/reply.c $(fuzz_common)
t_fuzz_reply_LDADD = $(FUZZ_LDADD)
t_fuzz_ring_text_SOURCES = t/fuzz/ring_text.c $(fuzz_common)
t_fuzz_ring_text_LDADD = $(FUZZ_LDADD)
t_fuzz_sas_SOURCES = t/fuzz/sas.c $(fuzz_common)
t_fuzz_sas_LDADD = $(FUZZ_LDADD)
t_fuzz_sharedkey_SOURCES = t/fuzz/sharedkey.c $(fuzz_common)
t_fuzz_sharedkey_LDADD = $(FUZZ_LDADD)
t_fuzz_target_SOURCES = t/fuzz/target.c $(fuzz_common)
t_fuzz_target_LDADD = $(FUZZ_LDADD)
t_fuzz_token_SOURCES = t/fuzz/token.c $(fuzz_common)
t_fuzz_token_LDADD = $(FUZZ_LDADD)
t_fuzz_url_SOURCES = t/fuzz/url.c $(fuzz_common)
t_fuzz_url_LDADD = $(FUZZ_LDADD)
