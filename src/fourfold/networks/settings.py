"""What every network's settings have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Frozen, no unknown keys, docstrings under the fields become their descriptions."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=()
    )


class NetworkSettings(Settings):
    """The generator: a catalogued architecture and its shape."""

    architecture: str
    """Name in the catalogue."""
    scale: int
    """How many times larger the result is."""

    from_weights: ClassVar[frozenset[str]] = frozenset()
    """Settings that a run takes from the weights it starts from, whatever its config says."""

    def arguments(self) -> dict[str, object]:
        """Keyword arguments of the network's class: all settings but the architecture."""
        return self.model_dump(exclude={"architecture"})


__all__ = ["NetworkSettings", "Positive", "Settings"]
