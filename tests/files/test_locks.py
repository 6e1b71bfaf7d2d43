"""A lock excludes and ends with its holder, with `flock` and without."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fourfold.files import locks
from fourfold.files.locks import Lock, machine, runs, take_lock
from fourfold.files.parts import locked_part, remove_leftovers

pytestmark = pytest.mark.skipif(locks._FCNTL is None, reason="Windows keeps open files by itself")

WITHOUT = (
    "import errno, sys\nfrom pathlib import Path\nfrom fourfold.files import locks\n"
    "def refuse(*_): raise OSError(errno.ENOTSUP, 'not supported')\n"
    "locks._FCNTL.flock = refuse\n"
)


@pytest.fixture(params=[True, False], ids=["flock", "no flock"])
def with_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOTSUP, "not supported")

        monkeypatch.setattr(locks._FCNTL, "flock", refuse)
    return bool(request.param)


def holder(code: str, folder: Path, with_flock: bool) -> subprocess.Popen[bytes]:
    """A process that runs `code`, says that it is ready, and waits to be killed."""
    start = WITHOUT if not with_flock else "import sys\nfrom pathlib import Path\n"
    process = subprocess.Popen(
        [sys.executable, "-c", start + code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"ready"
    return process


HOLD = (
    "from fourfold.files.locks import take_lock\n"
    "lock = take_lock(Path(sys.argv[1]) / 'a.lock')\nassert lock\n"
    "print('ready', flush=True)\nsys.stdin.read()\n"
)
PART = (
    "from fourfold.files.parts import locked_part\n"
    "with locked_part(Path(sys.argv[1]), '.png'):\n"
    "    print('ready', flush=True)\n    sys.stdin.read()\n"
)


def test_a_lock_is_one_holders(tmp_path: Path, with_flock: bool) -> None:
    first = take_lock(tmp_path / "a.lock")
    assert first is not None
    assert take_lock(tmp_path / "a.lock") is None
    other = take_lock(tmp_path / "b.lock")
    assert other is not None
    other.release()
    first.release()
    assert not list(tmp_path.iterdir())
    again = take_lock(tmp_path / "a.lock")
    assert again is not None
    again.release()


def test_a_killed_holder_has_lost_it(tmp_path: Path, with_flock: bool) -> None:
    process = holder(HOLD, tmp_path, with_flock)
    assert take_lock(tmp_path / "a.lock") is None
    process.kill()
    process.communicate(timeout=30)
    lock = take_lock(tmp_path / "a.lock")
    assert lock is not None
    lock.release()
    assert not list(tmp_path.iterdir())


def test_a_living_writers_part_is_left_alone(tmp_path: Path, with_flock: bool) -> None:
    process = holder(PART, tmp_path, with_flock)
    (part,) = tmp_path.iterdir()
    assert remove_leftovers(tmp_path) == []
    process.kill()
    process.communicate(timeout=30)
    assert remove_leftovers(tmp_path) == [part]


def test_threads_exclude_each_other(tmp_path: Path, with_flock: bool) -> None:
    """Of many at once, one; also when all find the lock of a dead process first."""
    (tmp_path / "a.lock").write_text(f"{machine()} {2**22 + 1} 0123456789abcdef")
    held: list[Lock] = []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait(timeout=30)
        for _ in range(20):
            lock = take_lock(tmp_path / "a.lock")
            if lock is not None:
                held.append(lock)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(held) == 1
    held[0].release()
    assert not list(tmp_path.iterdir())


def test_another_machine_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs("another", 1)
    assert runs(machine(), os.getpid())
    monkeypatch.setattr(locks, "flock", lambda _: None)
    (tmp_path / "a.lock").write_text("another 1 0123456789abcdef")
    assert take_lock(tmp_path / "a.lock") is None
    part = tmp_path / ".fourfold-ffff00000101.part"
    monkeypatch.setattr(locks, "machine", lambda: "00000000")
    part.touch()
    assert remove_leftovers(tmp_path) == []


def test_a_lock_that_says_nothing_is_believed_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "flock", lambda _: None)
    (tmp_path / "a.lock").touch()
    assert take_lock(tmp_path / "a.lock") is None
    long_ago = time.time() - 60
    os.utime(tmp_path / "a.lock", (long_ago, long_ago))
    assert take_lock(tmp_path / "a.lock") is not None


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        take_lock(tmp_path / "none" / "a.lock")


def test_many_parts_of_one_process(tmp_path: Path) -> None:
    with locked_part(tmp_path) as one, locked_part(tmp_path) as two:
        assert one != two
