"""Seeded streams of random numbers and stable hashes.

Every stream is named by words (seed, symbol, purpose, session ...), never by the order of questions, so that each
process and each order of questions sees the same market. Streams are read from their start and are prefix-stable: the
first n draws do not depend on how many follow. Python's `hash` is randomised for each process and never used.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def stable_hash(*words: object, bits: int = 64) -> int:
    """A number of `bits` bits that depends on the words only, the same in every process and on every machine."""
    text = "\x1f".join(str(word) for word in words).encode()
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big") >> (128 - bits)


def stream(*words: object) -> np.random.Generator:
    """The random stream of these words. Philox takes the key as it is: about 10 microseconds, no entropy pool to
    mix."""
    return np.random.Generator(np.random.Philox(key=stable_hash(*words, bits=128)))


def fraction(*words: object) -> float:
    """One number in [0, 1) that depends on the words only."""
    return stable_hash(*words, bits=53) / (1 << 53)
