# SPDX-License-Identifier: Apache-2.0
libheadpond_a_SOURCES +=
include src/http/pure.mk
