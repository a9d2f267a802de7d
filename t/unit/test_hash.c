/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: fixed values, since they name things on disk and place extents; digests differ and hide. */
#include "tap.h"

#include "base/hash.h"

int main(void)
{
    /* The values of an empty input are in the XXH3 specification's own test vectors. */
    ok(hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2), "XXH3-64 of nothing");
    struct hash128 none = hash128("", 0);
    ok(none.hi == UINT64_C(0x99aa06d3014798d8) && none.lo == UINT64_C(0x6001c324468d497f), "XXH3-128 of nothing");
    ok(hash64("a", 1, 0) != hash64("a", 1, 1), "the seed counts");
    ok(!hash128_eq(hash128("a", 1), hash128("b", 1)) && hash128_eq(none, hash128("", 0)), "128-bit equality");

    ok(hash_mix(1, 2) != hash_mix(2, 1), "hash_mix is not symmetric");
    int differ = 0;
    for (uint64_t i = 0; i < 64; i++)
        differ += __builtin_popcountll(hash_mix(42, 7) ^ hash_mix(42 ^ UINT64_C(1) << i, 7));
    ok(differ > 64 * 24 && differ < 64 * 40, "one bit of input turns about half of the output (%d of 4096)", differ);
    unsigned part[16] = {0};
    for (uint64_t i = 0; i < 16000; i++)
        part[hash_mix(12345, i) % 16]++;
    bool even = true;
    for (int i = 0; i < 16; i++)
        even = even && part[i] > 850 && part[i] < 1150;
    ok(even, "consecutive extents spread evenly over 16 loops");

    struct hash128 name = hash_name((struct str[]){STR("blob"), STR(""), STR("c")}, 3);
    ok(name.lo == UINT64_C(0x49d5bd0eb1e02b07) && name.hi == UINT64_C(0xf80f8f3c303f9b2f),
       "a name is what it will always be: it is on disks");
    struct hash128 other = hash_name((struct str[]){STR("blob"), STR("c"), STR("")}, 3);
    ok(!hash128_eq(name, other), "where one text ends counts");
    other = hash_name((struct str[]){STR("blobc")}, 1);
    ok(!hash128_eq(name, other), "so does how many there are");

    struct digest a = digest_of(STR("secret")), b = digest_of(STR("secret")), c = digest_of(STR("secreT"));
    ok(digest_eq(&a, &b), "the same text, the same digest");
    ok(!digest_eq(&a, &c), "another text, another digest");
    static const uint8_t bare[4] = {0x2b, 0xb8, 0x0d, 0x53}; /* SHA-256("secret") begins so */
    ok(memcmp(a.bytes, bare, 4) != 0, "it is not the bare SHA-256");
    struct digest empty = digest_of(STR_NULL);
    ok(!digest_eq(&a, &empty), "nothing has a digest too");

    uint8_t md5[16];
    static const uint8_t known[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0,
                                      0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72};
    struct md5 *sum = md5_begin();
    md5_add(sum, "a", 1);
    md5_add(sum, "bc", 2);
    md5_end(&sum, md5);
    ok(sum == NULL && memcmp(md5, known, sizeof md5) == 0, "MD5 (RFC 1321, A.5), in two pieces");
    sum = md5_begin();
    md5_free(&sum);
    md5_free(&sum);
    ok(sum == NULL, "given up");
    return done_testing();
}
