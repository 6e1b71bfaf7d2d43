"""Checkpoints: one safetensors file each, tensors plus JSON, written whole or not at all.

A checkpoint is `checkpoints/step_<n>.safetensors`; `best.safetensors` is a second name (a hard
link where the file system has them) of the one that validated best.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from fourfold.errors import FourfoldError, ModelError, OutputError
from fourfold.files.paths import atomic_path
from fourfold.training.state import TrainState
from fourfold.weights.tensor_file import LARGEST, refuse_absurd

logger = logging.getLogger(__name__)

CHECKPOINT_VERSION: Final = "1"
BEST: Final = "best.safetensors"
_ODD_CONTENT: Final = (KeyError, IndexError, TypeError, ValueError, RuntimeError)
"""What restoring raises for a file that is whole but holds something else."""
_NAME: Final = re.compile(r"step_\d{1,12}\.safetensors")


def save_checkpoint(folder: Path, state: TrainState, *, keep: int) -> Path:
    """Write the state to `folder` and remove all but the newest `keep`; `OutputError` on failure.

    The old ones stay when the new one cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # clone: the library refuses memory that two names share, as views of one storage do
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors().items()}
    metadata = {
        "fourfold-checkpoint": CHECKPOINT_VERSION,
        "state": json.dumps(state.facts()),
        "crc32": str(_checksum(tensors)),
    }
    path = folder / f"step_{state.step:08d}.safetensors"
    with atomic_path(path) as part:
        try:
            save_file(tensors, part, metadata)
        except SafetensorError as error:
            raise OutputError(f"{path}: cannot write ({error})") from error
    # Files of later steps are damaged, or the run would have gone on from them.
    older = [old for old in list_checkpoints(folder) if step_of(old) <= state.step]
    for old in older[:-keep]:
        with suppress(OSError):
            old.unlink()
    return path


def mark_best(path: Path) -> None:
    """Let `best.safetensors` be the checkpoint at `path`; it survives its removal."""
    with atomic_path(path.with_name(BEST)) as part:
        try:
            os.link(path, part)
        except OSError:
            shutil.copyfile(path, part)


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in order of their steps."""
    found = [path for path in folder.glob("step_*.safetensors") if _NAME.fullmatch(path.name)]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """The step a checkpoint was written at, from its name."""
    return int(path.stem.removeprefix("step_"))


def read_checkpoint(
    path: Path, *, largest: int = LARGEST
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint; `ModelError` for a damaged or foreign file.

    A file above `largest` bytes is not read.
    """
    from safetensors import SafetensorError, safe_open

    refuse_absurd(path, largest=largest)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged checkpoint ({error})") from error
    if metadata.get("fourfold-checkpoint") != CHECKPOINT_VERSION:
        raise ModelError(f"{path}: not a checkpoint of this version")
    if metadata.get("crc32") != str(_checksum(tensors)):
        raise ModelError(f"{path}: damaged checkpoint (checksum differs)")
    try:
        facts: dict[str, Any] = json.loads(metadata["state"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: damaged checkpoint (no state in it)") from error
    return tensors, facts


def restore_newest(folder: Path, state: TrainState) -> Iterator[str]:
    """Restore the newest checkpoint that is whole, yielding a line about each that is not.

    Restores nothing when there is none; `ModelError` when there are some but none is whole.
    """
    paths = list_checkpoints(folder)
    largest = 2 * disk_use(state, keep=1)[0] + (1 << 20)  # its header may take more than ours
    reasons: list[str] = []
    for path in reversed(paths):
        try:
            state.restore(*read_checkpoint(path, largest=largest))
        except (FourfoldError, *_ODD_CONTENT) as error:
            said = str(error) if isinstance(error, FourfoldError) else f"{error!r}"
            text = " ".join(said.split())[:300]  # torch lists every tensor on a line of its own
            reasons.append(text if str(path) in text else f"{path}: {text}")
            yield f"{reasons[-1]}; going back to the one before"
            continue
        return
    if paths:
        raise ModelError(f"{folder}: none of {len(paths)} checkpoints can be read; {reasons[0]}")


def disk_use(state: TrainState, *, keep: int) -> tuple[int, int]:
    """Bytes of one checkpoint, and the most that all take: those kept, the best, one being written.

    Adam's two moments are counted although they appear with the first step only.
    """
    networks = sum(t.nbytes for n, t in state.tensors().items() if not n.startswith("optimizer"))
    trained = [state.optimizer_g, state.optimizer_d]
    moments = sum(
        2 * parameter.nbytes
        for optimizer in trained
        if optimizer is not None
        for group in optimizer.param_groups
        for parameter in group["params"]
    )
    one = networks + moments
    return one, one * (keep + 2)


def _checksum(tensors: dict[str, Tensor]) -> int:
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensors[name].reshape(-1).numpy().tobytes(), value)
    return value


__all__ = [
    "disk_use",
    "list_checkpoints",
    "mark_best",
    "read_checkpoint",
    "restore_newest",
    "save_checkpoint",
    "step_of",
]
