"""The folder of a run: what lies where, and who may begin or go on in it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.errors import ConfigError, OutputError, UsageError
from fourfold.files.locks import take_lock
from fourfold.files.paths import atomic_path
from fourfold.training.checkpoint import list_checkpoints, step_of
from fourfold.training.config import TrainConfig, dump_toml, parse_config


@dataclass(frozen=True)
class RunFolder:
    """`config.toml`, `journal.jsonl`, `samples/`, `checkpoints/`, `model.safetensors`."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """What `fourfold upscale -n RUN` uses."""
        return self.path / "model.safetensors"

    @property
    def config(self) -> Path:
        """The complete settings of the run."""
        return self.path / "config.toml"

    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self.checkpoints.is_dir() and bool(list_checkpoints(self.checkpoints))

    def check_new(self) -> None:
        """Raise `UsageError` when a run is here already."""
        if self.begun():
            last = step_of(list_checkpoints(self.checkpoints)[-1])
            raise UsageError(
                f"{self.path}: holds a run at step {last}; go on with --resume, or choose "
                "another --output"
            )

    @contextmanager
    def held(self, *, new: bool) -> Iterator[None]:
        """Keep other trainings out; `new`: begin a run, so none may have begun meanwhile.

        Raises `UsageError` while another training runs here, `OutputError` for a folder that
        cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self.path / ".fourfold-train.lock")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot write ({error.strerror or error})") from error
        if lock is None:
            raise UsageError(
                f"{self.path}: another training is at work in it; wait for its end, or choose "
                "another --output"
            )
        try:
            if new:
                self.check_new()
            yield
        finally:
            lock.release()

    def write_config(self, config: TrainConfig) -> None:
        """Keep the resolved settings."""
        with atomic_path(self.config) as part:
            part.write_text(dump_toml(config), encoding="utf-8")

    def read_config(self) -> TrainConfig | None:
        """The settings the run was begun or last resumed with, if it was."""
        if not self.config.is_file():
            return None
        try:
            return parse_config(tomllib.loads(self.config.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, ConfigError) as error:
            raise ConfigError(f"{self.config}: {error}") from error


def changed_settings(old: TrainConfig, new: TrainConfig) -> list[str]:
    """What differs, as `key: old -> new`."""
    before, after = _flat(old.model_dump()), _flat(new.model_dump())
    return [f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


__all__ = ["RunFolder", "changed_settings"]
