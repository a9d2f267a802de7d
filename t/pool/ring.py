#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where a pool's ring places what it is asked about: written from the words in src/pool/ring.h alone, for t/70-ring.t
to hold headpond's own against, and for whoever writes a third.

Lines in:   node REGION NAME WEIGHT
            key LO HI EXTENT          (LO and HI in hexadecimal)
Lines out:  digest HEX                once, before the first key
            REGION | REGION NAME NAME NAME | ...    a line a key: who asks the origin; then each region's first three
"""
import functools
import hashlib
import sys

MASK = (1 << 64) - 1


def mix(a, b):
    x = (a + (b + 1) * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


@functools.lru_cache(None)
def name_number(text):
    data = text.encode()
    digest = hashlib.sha256(len(data).to_bytes(8, "little") + data).digest()
    return int.from_bytes(digest[:8], "little")


def distance(u):
    m = u | 1
    zeros = 64 - m.bit_length()
    m <<= zeros
    fraction = 0
    for _ in range(32):
        m = m * m >> 63
        fraction *= 2
        if m >= 1 << 64:
            m >>= 1
            fraction += 1
    return (zeros + 1 << 32) - fraction


def order(nodes, key):
    """nodes: name -> weight."""
    numbers = {name: mix(key, name_number(name)) for name in nodes}
    distances = {name: distance(u) for name, u in numbers.items()}

    def compare(a, b):
        ua, ub = numbers[a], numbers[b]
        left, right = distances[a] * nodes[b], distances[b] * nodes[a]
        if left != right:
            return -1 if left < right else 1
        if ua != ub:
            return -1 if ua > ub else 1
        return -1 if a.encode() < b.encode() else 1

    return sorted(nodes, key=functools.cmp_to_key(compare))


def digest(regions):
    value = len(regions)
    for region in sorted(regions, key=str.encode):
        value = mix(mix(value, name_number(region)), len(regions[region]))
        for name in sorted(regions[region], key=str.encode):
            value = mix(mix(value, name_number(name)), regions[region][name])
    return value


def main():
    regions = {}
    told = False
    for line in sys.stdin:
        words = line.split()
        if words[0] == "node":
            regions.setdefault(words[1], {}).setdefault(words[2], min(max(int(words[3]), 1), 65535))
            continue
        if not told:
            print("digest %016x" % digest(regions))
            told = True
        key = mix(mix(int(words[1], 16), int(words[2], 16)), int(words[3]))
        first = order({region: 1 for region in regions}, key)[0]
        rows = [" ".join([region] + order(regions[region], key)[:3]) for region in sorted(regions, key=str.encode)]
        print(" | ".join([first] + rows))


main()
