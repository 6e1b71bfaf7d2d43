"""Every network that can be trained: one dict from a name to its settings, module and graph.

A new architecture is one file beside this one and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Union

from pydantic import Discriminator, Tag

from fourfold.errors import ModelError
from fourfold.networks.generator import Generator
from fourfold.networks.plain import Plain, PlainSettings, plain_graph
from fourfold.networks.settings import NetworkSettings
from fourfold.networks.srresnet import SRResNet, SRResNetSettings
from fourfold.weights.format import Model
from fourfold.weights.graph import Graph
from fourfold.weights.inference_form import srresnet_graph


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the rest of the program needs to know of a family of networks."""

    settings: type[NetworkSettings]
    network: type[Generator]
    """Takes the settings as keyword arguments."""
    graph: Callable[..., Graph]
    """Takes the scale and the hyperparameters of a model file."""


CATALOG: Final[Mapping[str, Architecture]] = {
    "srresnet": Architecture(SRResNetSettings, SRResNet, srresnet_graph),
    "plain": Architecture(PlainSettings, Plain, plain_graph),
}

DEFAULT_MODEL: Final = SRResNetSettings()
"""What a config without a `model` table trains."""

FOREIGN_STARTS: Final[Mapping[str, Callable[[Path], Generator]]] = {".h5": SRResNet.from_keras}
"""Readers of other projects' weights as networks to go on training, by suffix."""


def architecture_of(values: Any) -> str:
    """The catalogued name in a table of settings or in settings already made."""
    if isinstance(values, NetworkSettings):
        return values.architecture
    default = DEFAULT_MODEL.architecture
    return str(values.get("architecture", default)) if isinstance(values, dict) else default


if TYPE_CHECKING:
    ModelConfig = NetworkSettings
else:
    ModelConfig = Annotated[
        Union[tuple(Annotated[e.settings, Tag(name)] for name, e in CATALOG.items())],  # noqa: UP007
        Discriminator(architecture_of),
    ]
"""Settings of any catalogued network, told apart by `architecture`."""


def make_network(settings: NetworkSettings) -> Generator:
    """A network with random weights from torch's generator."""
    return CATALOG[settings.architecture].network(**settings.arguments())


def restore_network(model: Model) -> Generator:
    """A network that computes what `model` does and can be trained on; `ModelError` if none can."""
    entry = CATALOG.get(model.architecture)
    if entry is None:
        raise ModelError(
            f"{model.name}: a network of the kind {model.architecture!r} runs but does not train; "
            f"want one of {', '.join(CATALOG)}"
        )
    try:
        return entry.network.from_inference_tensors(
            model.tensors, scale=model.scale, **model.hyperparameters
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{model.name}: its weights are not those of the {model.architecture} it says it is "
            f"({' '.join(str(error).split())[:200]})"
        ) from error


def describe(network: Generator, **facts: Any) -> Model:
    """The network as a model file holds it; `facts` are the file's name, licence and so on."""
    name, shape = network.settings.architecture, network.hyperparameters()
    return Model(
        architecture=name,
        scale=network.scale,
        hyperparameters=shape,
        tensors=network.inference_tensors(),
        layout=CATALOG[name].graph(scale=network.scale, **shape),
        **facts,
    )


__all__ = [
    "CATALOG",
    "DEFAULT_MODEL",
    "FOREIGN_STARTS",
    "Architecture",
    "ModelConfig",
    "architecture_of",
    "describe",
    "make_network",
    "restore_network",
]
