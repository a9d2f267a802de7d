/* SPDX-License-Identifier: Apache-2.0 */
/* pool_certificates.h: a CA, and certificates of it that say who somebody in a pool is, as PEM files in a folder. */
#ifndef HEADPOND_T_UNIT_POOL_CERTIFICATES_H
#define HEADPOND_T_UNIT_POOL_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_PATH 128

struct pool_ca {
    char folder[64];
    char file[POOL_PATH];
    EVP_PKEY *pair;
    X509 *certificate;
    long serial;
};

struct pool_pair {
    char certificate[POOL_PATH];
    char key[POOL_PATH];
};

static inline X509 *pool_unsigned(struct pool_ca *ca, EVP_PKEY *pair, const char *name)
{
    X509 *certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++ca->serial);
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *) name, -1,
                               -1, 0);
    return certificate;
}

static inline void pool_extend(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void pool_write(X509 *certificate, const char *path)
{
    FILE *file = fopen(path, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
}

static inline void pool_ca_make(struct pool_ca *ca)
{
    *ca = (struct pool_ca){.pair = EVP_EC_gen("P-256")};
    snprintf(ca->folder, sizeof ca->folder, "/tmp/headpond-pool-XXXXXX");
    if (mkdtemp(ca->folder) == NULL)
        abort();
    snprintf(ca->file, sizeof ca->file, "%s/ca.crt", ca->folder);
    ca->certificate = pool_unsigned(ca, ca->pair, "pool");
    X509_set_issuer_name(ca->certificate, X509_get_subject_name(ca->certificate));
    pool_extend(ca->certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(ca->certificate, ca->pair, EVP_sha256());
    pool_write(ca->certificate, ca->file);
}

/* `names`: as in openssl.cnf, "URI:headpond://…". */
static inline void pool_pair_make(struct pool_ca *ca, const char *names, struct pool_pair *made)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *certificate = pool_unsigned(ca, pair, "node");
    X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate));
    pool_extend(certificate, NID_subject_alt_name, names);
    X509_sign(certificate, ca->pair, EVP_sha256());
    snprintf(made->certificate, POOL_PATH, "%s/%ld.crt", ca->folder, ca->serial);
    snprintf(made->key, POOL_PATH, "%s/%ld.key", ca->folder, ca->serial);
    pool_write(certificate, made->certificate);
    FILE *file = fopen(made->key, "w");
    PEM_write_PrivateKey(file, pair, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(pair);
}

static inline void pool_ca_remove(struct pool_ca *ca)
{
    char path[POOL_PATH];
    for (long i = 1; i <= ca->serial; i++) {
        snprintf(path, sizeof path, "%s/%ld.crt", ca->folder, i);
        unlink(path);
        snprintf(path, sizeof path, "%s/%ld.key", ca->folder, i);
        unlink(path);
    }
    unlink(ca->file);
    rmdir(ca->folder);
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->pair);
}

#endif
