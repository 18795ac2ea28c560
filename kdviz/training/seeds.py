"""Seeds for everything random in a training: one purpose, one seed."""

import hashlib


def derived_seed(*parts: object) -> int:
    """A seed of 63 bits for one purpose, the same on every machine."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
