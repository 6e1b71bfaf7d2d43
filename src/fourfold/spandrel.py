"""`import fourfold.spandrel` teaches spandrel two networks: SRResNet, as `models export` writes it,
and BasicSR's MSRResNet.

ComfyUI and chaiNNer load models through spandrel, so one import makes these models theirs. Needs
the extra `models`.
"""

from __future__ import annotations

from typing import Any

import spandrel
import torch

from fourfold.runtimes.torch import run_graph
from fourfold.weights.format import Model
from fourfold.weights.readers.state_dict import unwrap_state_dict
from fourfold.weights.torch_layouts import MSRRESNET_KEYS, SRRESNET_KEYS, read_state


class Network(torch.nn.Module):
    """A model of ours as a module: `(N, 3, H, W)`, RGB in [0, 1], to the same, `scale` times larger."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._graph = model.graph
        self.weights = torch.nn.ParameterDict(
            {_key(name): torch.from_numpy(value.copy()) for name, value in model.tensors.items()}
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """Run the graph."""
        tensors = {name: self.weights[_key(name)] for name in self._graph.tensor_names()}
        (sr,) = run_graph(self._graph, tensors, [lr])
        result: torch.Tensor = sr.to(lr.dtype)
        return result


def _key(name: str) -> str:
    return name.replace(".", "_")  # a dot would part a module from its parameter


class Residual(spandrel.Architecture[Network]):
    """One of the two, recognised by its `keys`."""

    def __init__(self, name: str, keys: frozenset[str]) -> None:
        super().__init__(
            id=f"fourfold-{name}", name=name, detect=lambda state: keys <= state.keys()
        )

    def load(self, state_dict: dict[str, Any]) -> spandrel.ImageModelDescriptor[Network]:
        """The network that these weights fit."""
        model = read_state(unwrap_state_dict(state_dict, source=self.name), source=self.name)
        network = Network(model)
        shape = model.hyperparameters
        return spandrel.ImageModelDescriptor(
            network,
            network.state_dict(),
            architecture=self,
            purpose="SR",
            tags=[f"{shape['width']}nf", f"{shape['num_blocks']}nb"],
            supports_half=True,
            supports_bfloat16=True,
            scale=model.scale,
            input_channels=3,
            output_channels=3,
        )


spandrel.MAIN_REGISTRY.add(
    *(
        spandrel.ArchSupport.from_architecture(Residual(name, keys))
        for name, keys in (("SRResNet", SRRESNET_KEYS), ("MSRResNet", MSRRESNET_KEYS))
    ),
    ignore_duplicates=True,
)

__all__ = ["Network", "Residual"]
