"""From trained weights to the form that runs fastest, without changing the function.

Three exact rewritings (each is an identity of real arithmetic):

1. BatchNorm folds into the convolution before it.
2. PReLU with one slope per channel commutes with pixel shuffle: each slope repeated four times,
   applied before the shuffle.
3. The last 9x9 convolution from 64 to 3 channels, which fills a vector unit badly, equals a 5x5
   convolution to 12 channels on the tensor before the last shuffle, and a shuffle of 2 after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError
from fourfold.weights.graph import (
    Add,
    Affine,
    Conv,
    Graph,
    Node,
    PRelu,
    Resize,
    Shuffle,
    Tanh,
)

Array = npt.NDArray[np.float32]

SCALES: Final = (2, 4, 8)
TAIL_KERNEL: Final = 9  # Ledig et al. 2017, figure 4: k9n3s1


def num_doublings(scale: int) -> int:
    """Number of x2 stages of a supported scale; `ModelError` for any other.

    >>> [num_doublings(s) for s in (2, 4, 8)]
    [1, 2, 3]
    """
    if scale not in SCALES:
        raise ModelError(f"scale: want one of {SCALES}, got {scale!r}")
    return int(scale).bit_length() - 1


def fold_batch_norm(
    weight: Array,
    bias: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    *,
    epsilon: float,
) -> tuple[Array, Array]:
    """Weight and bias of the one convolution that equals conv followed by BatchNorm at inference."""
    factor = gamma.astype(np.float64) / np.sqrt(var.astype(np.float64) + epsilon)
    folded = weight * factor[:, None, None, None]
    return (
        folded.astype(np.float32),
        ((bias - mean) * factor + beta).astype(np.float32),
    )


def tail_gather(kernel: int = TAIL_KERNEL) -> tuple[npt.NDArray[np.intp], int]:
    """Where each tap of the rewritten tail reads the original kernel, along one axis.

    Output sample `2y + i` (phase i) of a `kernel`-tap filter reads input sample `2y + i + d`,
    which before the shuffle is sample `y + floor((i + d) / 2)`, phase `(i + d) mod 2`.

    Returns:
        index: `(2, 2, width)` for (output phase, input phase, tap): position in the original
            kernel, or `kernel` (one past the end) where nothing is read.
        width: taps of the rewritten kernel, 5 for 9.
    """
    radius = kernel // 2
    reach = (radius + 1) // 2
    width = 2 * reach + 1
    index = np.full((2, 2, width), kernel, np.intp)
    for i in range(2):
        for d in range(-radius, radius + 1):
            index[i, (i + d) % 2, (i + d) // 2 + reach] = d + radius
    return index, width


def rewrite_tail(weight: Array, bias: Array) -> tuple[Array, Array]:
    """Turn a `(3, C, 9, 9)` convolution after a shuffle into `(12, 4C, 5, 5)` before it."""
    out, channels, kernel, _ = weight.shape
    index, width = tail_gather(kernel)
    padded = np.pad(weight, ((0, 0), (0, 0), (0, 1), (0, 1)))
    # (out, C, i, si, ky, j, sj, kx)
    taps = padded[:, :, index[..., None, None, None], index]
    rewritten = taps.transpose(0, 2, 5, 1, 3, 6, 4, 7)  # (out, i, j, C, si, sj, ky, kx)
    return (
        np.ascontiguousarray(rewritten.reshape(out * 4, channels * 4, width, width)),
        np.repeat(bias, 4),
    )


def restore_tail(weight: Array, bias: Array, *, kernel: int = TAIL_KERNEL) -> tuple[Array, Array]:
    """Undo `rewrite_tail`: every original tap stands four times in the rewritten kernel."""
    index, width = tail_gather(kernel)
    out, channels = weight.shape[0] // 4, weight.shape[1] // 4
    taps = weight.reshape(out, 2, 2, channels, 2, 2, width, width)[:, 0, 0]
    restored = np.empty((out, channels, kernel, kernel), np.float32)
    rows = [tuple(np.argwhere(index[0] == d)[0]) for d in range(kernel)]
    for y, (si, ky) in enumerate(rows):
        for x, (sj, kx) in enumerate(rows):
            restored[:, :, y, x] = taps[:, :, si, sj, ky, kx]
    return restored, bias[::4].copy()


def _head_and_blocks(num_blocks: int) -> tuple[list[Node], str]:
    """What all residual generators begin with, and the name of the value they go on from."""
    nodes: list[Node] = [Conv(("lr",), "head.conv", "head"), PRelu(("head.conv",), "x", "head")]
    value = "x"
    for i in range(num_blocks):
        name = f"blocks.{i}"
        nodes += [
            Conv((value,), f"{name}.a", f"{name}.conv1"),
            PRelu((f"{name}.a",), f"{name}.b", name),
            Conv((f"{name}.b",), f"{name}.c", f"{name}.conv2"),
            Add((f"{name}.c", value), f"{name}.out"),
        ]
        value = f"{name}.out"
    return nodes, value


def srresnet_graph(*, scale: int, num_blocks: int, width: int = 64) -> Graph:
    """SRResNet (Ledig et al. 2017, figure 4) with BN folded and the tail rewritten."""
    del width  # the tensors carry it
    nodes, value = _head_and_blocks(num_blocks)
    nodes += [Conv((value,), "trunk.conv", "trunk"), Add(("trunk.conv", "x"), "features")]
    value = "features"
    doublings = num_doublings(scale)
    for j in range(doublings):
        name = f"upsample.{j}"
        nodes += [Conv((value,), f"{name}.a", name), PRelu((f"{name}.a",), f"{name}.b", name)]
        value = f"{name}.b"
        if j < doublings - 1:
            nodes.append(Shuffle((value,), f"{name}.out", 2))
            value = f"{name}.out"
    nodes += [
        Conv((value,), "tail.conv", "tail"),
        Shuffle(("tail.conv",), "tail.rgb", 2),
        Tanh(("tail.rgb",), "tail.tanh"),
        Affine(("tail.tanh",), "sr", 0.5, 0.5),  # tanh's [-1, 1] to [0, 1]
    ]
    return Graph(("lr",), ("sr",), tuple(nodes))


def msrresnet_graph(*, scale: int, num_blocks: int, width: int = 64) -> Graph:
    """BasicSR's MSRResNet (basicsr/archs/srresnet_arch.py): no BN, leaky ReLU 0.1, bilinear skip."""
    del width
    nodes, value = _head_and_blocks(num_blocks)
    factors = (3,) if scale == 3 else (2,) * num_doublings(scale)
    for j, factor in enumerate(factors):
        name = f"upsample.{j}"
        nodes += [
            Conv((value,), f"{name}.a", name),
            PRelu((f"{name}.a",), f"{name}.b", name),
            Shuffle((f"{name}.b",), f"{name}.out", factor),
        ]
        value = f"{name}.out"
    nodes += [
        Conv((value,), "hr.a", "hr"),
        PRelu(("hr.a",), "hr.b", "hr"),
        Conv(("hr.b",), "residual", "tail"),
        Resize(("lr",), "base", "linear", Fraction(scale)),
        Add(("residual", "base"), "sr"),
    ]
    return Graph(("lr",), ("sr",), tuple(nodes))


GRAPHS: Final[Mapping[str, Callable[..., Graph]]] = {
    "srresnet": srresnet_graph,
    "msrresnet": msrresnet_graph,
}


def build_graph(architecture: str, *, scale: int, hyperparameters: Mapping[str, int]) -> Graph:
    """The graph of a catalogued architecture; `ModelError` for an unknown one."""
    if architecture not in GRAPHS:
        raise ModelError(f"architecture: want one of {sorted(GRAPHS)}, got {architecture!r}")
    try:
        return GRAPHS[architecture](scale=scale, **hyperparameters)
    except TypeError as error:
        raise ModelError(
            f"{architecture}: hyperparameters {dict(hyperparameters)} do not fit ({error})"
        ) from error


def trained_flops(architecture: str, graph: Graph, tensors: Mapping[str, Array]) -> int:
    """FLOPs per LR pixel of the network as trained, whatever a rewriting saves; convolutions only."""
    flops = graph.flops(tensors)
    if architecture != "srresnet":
        return flops
    rewritten = tensors["tail.weight"]
    restored, _ = restore_tail(rewritten, tensors["tail.bias"])
    scale = graph.scale
    return flops - 2 * rewritten.size * (scale // 2) ** 2 + 2 * restored.size * scale**2


def fold_srresnet(
    tensors: Mapping[str, Array], *, scale: int, num_blocks: int, epsilon: float
) -> dict[str, Array]:
    """Inference-form tensors from training-form ones (names of `networks.srresnet`).

    Args:
        tensors: `head.weight`, `head_act.weight`, `blocks.N.conv1.weight`, `blocks.N.norm1.*`,
            `trunk.weight`, `upsample.N.weight`, `upsample_acts.N.weight`, `tail.weight` and so
            on; norms may be absent (a network trained without BatchNorm).
        epsilon: BatchNorm epsilon the weights were trained with.
    """
    left = dict(tensors)

    def take(name: str) -> Array:
        if name not in left:
            raise ModelError(f"SRResNet weights: missing {name}")
        return np.asarray(left.pop(name), np.float32)

    def conv(name: str, norm: str | None = None) -> tuple[Array, Array]:
        weight, bias = take(f"{name}.weight"), take(f"{name}.bias")
        if norm is None or f"{norm}.weight" not in left:
            return weight, bias
        left.pop(f"{norm}.num_batches_tracked", None)
        gamma, beta = take(f"{norm}.weight"), take(f"{norm}.bias")
        mean, var = take(f"{norm}.running_mean"), take(f"{norm}.running_var")
        return fold_batch_norm(weight, bias, gamma, beta, mean, var, epsilon=epsilon)

    folded: dict[str, Array] = {}
    folded["head.weight"], folded["head.bias"] = conv("head")
    folded["head.slope"] = take("head_act.weight")
    for i in range(num_blocks):
        name = f"blocks.{i}"
        for k in (1, 2):
            weight, bias = conv(f"{name}.conv{k}", f"{name}.norm{k}")
            folded[f"{name}.conv{k}.weight"], folded[f"{name}.conv{k}.bias"] = weight, bias
        folded[f"{name}.slope"] = take(f"{name}.act.weight")
    folded["trunk.weight"], folded["trunk.bias"] = conv("trunk", "trunk_norm")
    for j in range(num_doublings(scale)):
        name = f"upsample.{j}"
        folded[f"{name}.weight"], folded[f"{name}.bias"] = conv(name)
        folded[f"{name}.slope"] = np.repeat(take(f"upsample_acts.{j}.weight"), 4)
    folded["tail.weight"], folded["tail.bias"] = rewrite_tail(*conv("tail"))
    if left:
        raise ModelError(f"SRResNet weights: left-over tensors {sorted(left)}")
    return folded


def unfold_srresnet(
    tensors: Mapping[str, Array], *, scale: int, num_blocks: int
) -> dict[str, Array]:
    """Training-form tensors (without BatchNorm) that compute the same as inference-form ones."""
    unfolded: dict[str, Array] = {}
    for name in ("head", "trunk", *(f"upsample.{j}" for j in range(num_doublings(scale)))):
        for kind in ("weight", "bias"):
            unfolded[f"{name}.{kind}"] = tensors[f"{name}.{kind}"]
    unfolded["head_act.weight"] = tensors["head.slope"]
    for i in range(num_blocks):
        for k in (1, 2):
            for kind in ("weight", "bias"):
                name = f"blocks.{i}.conv{k}.{kind}"
                unfolded[name] = tensors[name]
        unfolded[f"blocks.{i}.act.weight"] = tensors[f"blocks.{i}.slope"]
    for j in range(num_doublings(scale)):
        unfolded[f"upsample_acts.{j}.weight"] = tensors[f"upsample.{j}.slope"][::4].copy()
    unfolded["tail.weight"], unfolded["tail.bias"] = restore_tail(
        tensors["tail.weight"], tensors["tail.bias"]
    )
    return unfolded
