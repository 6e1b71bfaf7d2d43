"""Find a recipe or config file and read it, with `a.b=value` changes on top."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fourfold.errors import ConfigError, did_you_mean
from fourfold.losses.settings import TERMS, old_key
from fourfold.training.config import TrainConfig, absolute_folders, new_losses, parse_config

RECIPES_DIR: Final = Path(__file__).parent.parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES_DIR.glob("*.toml"))


def find_config(name: str) -> Path:
    """The file behind a recipe name, a `.toml` file or a run folder; `ConfigError` if none."""
    path = Path(name)
    if path.is_dir() and (path / "config.toml").is_file():
        return path / "config.toml"
    if path.is_file():
        return path
    recipe = RECIPES_DIR / f"{name}.toml"
    if recipe.is_file():
        return recipe
    hint = did_you_mean(name, recipe_names()) or f"recipes: {', '.join(recipe_names())}"
    raise ConfigError(f"{name}: no such recipe, file or run folder; {hint}")


def load_config(name: str, *, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe or file, apply `a.b=value` changes in order, check everything.

    Relative folders count from the working directory. Raises `ConfigError` naming file and key.
    """
    path = find_config(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error})") from error
    for change in changes:
        _apply(values, change)
    values.setdefault("name", path.stem)
    try:
        config = parse_config(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return absolute_folders(config, Path.cwd())


def _apply(values: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {change}: want KEY=VALUE, for example --set batch_size=8")
    *tables, last = key.strip().split(".")
    if tables[:1] == ["losses"]:
        values, last = _loss_term(values, [*tables[1:], last], change)
        tables = []
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {change}: {table!r} is a value, not a table")
    values[last] = _value(text.strip())


def _loss_term(values: dict[str, Any], keys: list[str], change: str) -> tuple[dict[str, Any], str]:
    """The term that `losses.KIND.SETTING`, or a key of the old table, speaks of, and the setting."""
    kind, setting = (keys[0], keys[1]) if len(keys) == 2 else (old_key(keys[0]) or ("", ""))
    if len(keys) > 2 or kind not in TERMS:
        raise ConfigError(f"--set {change}: want losses.KIND.SETTING, KIND of {', '.join(TERMS)}")
    values["losses"] = terms = new_losses(values.get("losses", [{"kind": "pixel"}]))
    for term in terms:
        if term.get("kind") == kind:
            return term, setting
    terms.append({"kind": kind})
    return terms[-1], setting


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (a path needs no quotes)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


__all__ = ["RECIPES_DIR", "find_config", "load_config", "recipe_names"]
