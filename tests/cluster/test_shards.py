"""Shares are disjoint, complete, about equal, and the same everywhere."""

from __future__ import annotations

import pytest

from fourfold.cluster.shards import Shard
from fourfold.errors import UsageError


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_each_input_is_of_one_shard(count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    names = [f"folder/{number}".encode() for number in range(2000)]
    assert all(sum(shard.has(name) for shard in shards) == 1 for name in names)
    sizes = [sum(shard.has(name) for name in names) for shard in shards]
    assert min(sizes) > 0.4 * len(names) / count


def test_a_share_is_the_same_in_every_version() -> None:
    names = [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert [next(i for i in (1, 2, 3) if Shard(i, 3).has(name)) for name in names] == [
        3,
        3,
        1,
        3,
        3,
        1,
    ]


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1.0/2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="I/N"):
        Shard.parse(text)
