# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES += \
	src/origin/admission.c src/origin/admission.h \
	src/origin/attempt.c src/origin/fetch.h \
	src/origin/base.c src/origin/base.h \
	src/origin/body.c src/origin/body.h \
	src/origin/budget.c src/origin/budget.h src/origin/budget_inside.h src/origin/budget_wait.c \
	src/origin/rate.c src/origin/rate.h \
	src/origin/client.c src/origin/client.h \
	src/origin/credential.c src/origin/credential.h src/origin/keeper.c src/origin/keeper.h \
	src/origin/easy.c src/origin/easy.h \
	src/origin/multi.c src/origin/multi.h \
	src/origin/patience.c \
	src/origin/reply.c src/origin/reply.h \
	src/origin/retry.c src/origin/retry.h \
	src/origin/sign.c src/origin/sign.h \
	src/origin/signing.c src/origin/signing.h \
	src/origin/token.c src/origin/token.h \
	src/origin/upload.c src/origin/upload.h

origin_rig = t/unit/test_origin_rig.c t/unit/test_origin_probe.c t/unit/test_origin_rig.h t/unit/tap.h

check_PROGRAMS += t/unit/test_origin_retry
t_unit_test_origin_retry_SOURCES = t/unit/test_origin_retry.c t/unit/tap.h
t_unit_test_origin_retry_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_rate t/unit/test_budget t/unit/test_admission
t_unit_test_admission_SOURCES = t/unit/test_admission.c t/unit/accounts_apart.h t/unit/tap.h
t_unit_test_admission_LDADD = $(UNIT_LDADD)
t_unit_test_budget_SOURCES = t/unit/test_budget.c t/unit/tap.h
t_unit_test_budget_LDADD = $(UNIT_LDADD)
t_unit_test_rate_SOURCES = t/unit/test_rate.c t/unit/tap.h
t_unit_test_rate_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_reply
t_unit_test_origin_reply_SOURCES = t/unit/test_origin_reply.c t/unit/tap.h
t_unit_test_origin_reply_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_body
t_unit_test_origin_body_SOURCES = t/unit/test_origin_body.c t/unit/tap.h
t_unit_test_origin_body_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_multi
t_unit_test_origin_multi_SOURCES = t/unit/test_origin_multi.c $(origin_rig)
t_unit_test_origin_multi_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_client
t_unit_test_origin_client_SOURCES = t/unit/test_origin_client.c $(origin_rig)
t_unit_test_origin_client_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_upload
t_unit_test_origin_upload_SOURCES = t/unit/test_origin_upload.c $(origin_rig)
t_unit_test_origin_upload_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_faults
t_unit_test_origin_faults_SOURCES = t/unit/test_origin_faults.c $(origin_rig)
t_unit_test_origin_faults_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_close
t_unit_test_origin_close_SOURCES = t/unit/test_origin_close.c $(origin_rig)
t_unit_test_origin_close_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_origin_blob
t_unit_test_origin_blob_SOURCES = t/unit/test_origin_blob.c t/origin/content.c t/origin/content.h $(origin_rig)
t_unit_test_origin_blob_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_token t/unit/test_credential_keeper
t_unit_test_token_SOURCES = t/unit/test_token.c t/unit/tap.h
t_unit_test_token_LDADD = $(UNIT_LDADD)
t_unit_test_credential_keeper_SOURCES = t/unit/test_credential_keeper.c $(origin_rig)
t_unit_test_credential_keeper_LDADD = $(UNIT_LDADD)

check_PROGRAMS += t/unit/test_sign
t_unit_test_sign_SOURCES = t/unit/test_sign.c t/unit/tap.h
t_unit_test_sign_LDADD = $(UNIT_LDADD)
