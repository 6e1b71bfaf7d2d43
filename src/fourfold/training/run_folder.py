"""The folder of a run: what lies where, and who may begin or go on in it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.errors import ConfigError, UsageError
from fourfold.files.paths import atomic_path
from fourfold.training.checkpoint import list_checkpoints
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
            last = list_checkpoints(self.checkpoints)[-1].stem.removeprefix("step_")
            raise UsageError(
                f"{self.path}: holds a run at step {int(last)}; go on with --resume, or choose "
                "another --output"
            )

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
