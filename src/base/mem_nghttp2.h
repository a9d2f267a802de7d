/* SPDX-License-Identifier: Apache-2.0 */
/* mem_nghttp2.h: the allocator as nghttp2 wants it; apart from mem.h so that not everybody includes nghttp2. */
#ifndef HEADPOND_BASE_MEM_NGHTTP2_H
#define HEADPOND_BASE_MEM_NGHTTP2_H

#include <nghttp2/nghttp2.h>

/* For nghttp2_session_*_new3 and nghttp2_hd_*_new2. Static, never changes; any thread. nghttp2 takes it non-const. */
nghttp2_mem *mem_nghttp2(void);

#endif
