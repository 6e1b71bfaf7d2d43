"""Which of several independent processes does which input: a hash, and nobody to ask."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from fourfold.errors import UsageError


@dataclass(frozen=True, slots=True)
class Shard:
    """Share `number` of `count`, counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `3/8`; `UsageError` for anything else.

        >>> Shard.parse("3/8")
        Shard(number=3, count=8)
        """
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        number, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= count:
            raise UsageError(f"--shard: want I/N with I from 1 to N, such as 3/8, got {text!r}")
        return cls(number, count)

    def has(self, name: bytes) -> bool:
        """Whether the input called `name` is of this share; of exactly one it is."""
        if self.count == 1:
            return True
        digest = hashlib.blake2b(name, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1


__all__ = ["Shard"]
