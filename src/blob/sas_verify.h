/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sas_verify.h: whether an account key made this shared access signature. (Azure: create a service SAS, create an
 * account SAS.) Pure; any thread.
 */
#ifndef HEADPOND_BLOB_SAS_VERIFY_H
#define HEADPOND_BLOB_SAS_VERIFY_H

#include "blob/sas.h"
#include "blob/sharedkey.h"
#include "blob/url.h"

enum sas_verdict {
    SAS_GOOD,
    SAS_MISMATCH,
    SAS_UNJUDGED, /* not by this key (user delegation, a stored policy), or in a way that is not known here: the
                     origin's to say */
};

/* Only the signature; what it permits, and when, sas_use and struct sas tell. `url` is the request's. */
enum sas_verdict sas_verify(const struct sas *sas, const struct blob_url *url, const struct account_keys *keys);

#endif
