"""Other people's networks with random weights, small, for spandrel to recognise.

spandrel imports torchvision for two networks that are of no use here; a torchvision that does not
fit torch does not import. So tests give it the three names it asks for, which nothing calls.
"""

from __future__ import annotations

import enum
import importlib
import importlib.machinery
import sys
import types
from pathlib import Path

import numpy as np
import pytest


def spandrel():
    """The package, or a skip."""
    pytest.importorskip("torch")
    if "spandrel" not in sys.modules:
        _stand_in_for_torchvision()
    return pytest.importorskip("spandrel")


def _stand_in_for_torchvision() -> None:
    functional = types.ModuleType("torchvision.transforms.functional")
    functional.InterpolationMode = enum.Enum("InterpolationMode", "NEAREST BILINEAR")
    functional.rotate = functional.normalize = None
    for name in ("torchvision", "torchvision.transforms"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        sys.modules[name] = module
    functional.__spec__ = importlib.machinery.ModuleSpec(functional.__name__, None)
    sys.modules[functional.__name__] = functional


NETWORKS = {
    "Compact": ("Compact.__arch.SRVGG", "SRVGGNetCompact", {"num_feat": 16, "num_conv": 3}),
    "Compact x1": (
        "Compact.__arch.SRVGG",
        "SRVGGNetCompact",
        {"num_feat": 16, "num_conv": 2, "upscale": 1},
    ),
    "Compact grey": (
        "Compact.__arch.SRVGG",
        "SRVGGNetCompact",
        {"num_feat": 16, "num_conv": 2, "upscale": 3, "num_in_ch": 1, "num_out_ch": 1},
    ),
    "SPAN": (
        "SPAN.__arch.span",
        "SPAN",
        {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16, "upscale": 2},
    ),
    "ESRGAN": ("ESRGAN.__arch.RRDB", "RRDBNet", {"num_filters": 16, "num_blocks": 1}),
    "ESRGAN x8": (
        "ESRGAN.__arch.RRDB",
        "RRDBNet",
        {"num_filters": 16, "num_blocks": 1, "scale": 8},
    ),
    "ESRGAN unshuffled": (
        "ESRGAN.__arch.RRDB",
        "RRDBNet",
        {
            "num_filters": 16,
            "num_blocks": 1,
            "scale": 4,
            "in_nc": 12,
            "out_nc": 3,
            "shuffle_factor": 2,
        },
    ),
    "SwiftSRGAN": (
        "SwiftSRGAN.__arch.SwiftSRGAN",
        "Generator",
        {"num_channels": 16, "num_blocks": 2},
    ),
    "RCAN": ("RCAN.__arch.rcan_arch", "RCAN", {"n_resgroups": 2, "n_resblocks": 2, "n_feats": 16}),
    "PLKSR": ("PLKSR.__arch.PLKSR", "PLKSR", {"dim": 16, "n_blocks": 2}),
    "RealPLKSR": ("PLKSR.__arch.RealPLKSR", "RealPLKSR", {"dim": 16, "n_blocks": 2}),
    "RealPLKSR dysample": (
        "PLKSR.__arch.RealPLKSR",
        "RealPLKSR",
        {"dim": 16, "n_blocks": 2, "dysample": True},
    ),
    "MoSR": ("MoSR.__arch.mosr_arch", "MoSR", {"n_block": 2, "dim": 16}),
    "SAFMN": ("SAFMN.__arch.safmn", "SAFMN", {"dim": 16, "n_blocks": 2}),
    "OmniSR": ("OmniSR.__arch.OmniSR", "OmniSR", {"num_feat": 16, "up_scale": 2}),
    "SwinIR": (
        "SwinIR.__arch.SwinIR",
        "SwinIR",
        {
            "embed_dim": 24,
            "depths": [2, 2],
            "num_heads": [2, 2],
            "window_size": 8,
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
        },
    ),
    "Swin2SR": (
        "Swin2SR.__arch.Swin2SR",
        "Swin2SR",
        {
            "embed_dim": 24,
            "depths": [2, 2],
            "num_heads": [2, 2],
            "window_size": 8,
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
        },
    ),
    "DAT": (
        "DAT.__arch.DAT",
        "DAT",
        {"embed_dim": 24, "split_size": [8, 8], "depth": [2], "num_heads": [2], "upscale": 2},
    ),
    "HAT": (
        "HAT.__arch.HAT",
        "HAT",
        {
            "embed_dim": 60,
            "depths": (2,),
            "num_heads": (2,),
            "window_size": 8,
            "upscale": 2,
            "upsampler": "pixelshuffle",
        },
    ),
    "RGT": (
        "RGT.__arch.rgt",
        "RGT",
        {"embed_dim": 24, "depth": [2], "num_heads": [2], "upscale": 2},
    ),
    "ATD": (
        "ATD.__arch.atd_arch",
        "ATD",
        {
            "embed_dim": 24,
            "depths": (2,),
            "num_heads": (2,),
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
        },
    ),
    "DRCT": (
        "DRCT.__arch.drct_arch",
        "DRCT",
        {
            "embed_dim": 24,
            "depths": (2,),
            "num_heads": (2,),
            "upscale": 2,
            "upsampler": "pixelshuffle",
        },
    ),
    "CRAFT": (
        "CRAFT.__arch.CRAFT",
        "CRAFT",
        {"embed_dim": 24, "depths": [1], "num_heads": [2], "upscale": 2},
    ),
    "DITN": ("DITN.__arch.DITN_Real", "DITN_Real", {"dim": 24, "ITL_blocks": 1, "SAL_blocks": 1}),
    "DCTLSA": ("DCTLSA.__arch.dctlsa", "DCTLSA", {"nf": 20, "num_head": 2}),
    "SeemoRe": ("SeemoRe.__arch.seemore_arch", "SeemoRe", {"num_layers": 2, "embedding_dim": 16}),
    "MoESR": ("MoESR.__arch.MoESR", "MoESR", {"dim": 16, "n_blocks": 1, "n_block": 1}),
    "FDAT": ("FDAT.__arch.fdat", "FDAT", {"embed_dim": 24, "num_groups": 1, "depth_per_group": 1}),
    "RealCUGAN": ("RealCUGAN.__arch.upcunet_v3", "UpCunet2x", {}),
}


SEE_BEYOND = {"DCTLSA": 25, "CRAFT": 6, "OmniSR": 4}
"""Bounds, of 255, for those whose blended tiles may differ by more than 3. The first two shift windows
around the edge of what they see without a mask, so that the picture's left side sees its right one: more
than 32 pixels from the edge they stay below 2. The third weights channels by the whole picture."""


def module(name: str):
    """A network with random weights from a fixed seed, as its own class makes it."""
    import torch

    spandrel()
    place, kind, options = NETWORKS[name]
    torch.manual_seed(0)
    network = getattr(importlib.import_module(f"spandrel.architectures.{place}"), kind)(**options)
    network.eval()
    _brighten(network, options.get("num_in_ch", 3))
    return network


def _brighten(network, channels: int) -> None:
    """Let the last convolution make a picture of middle grey with contrast, where it would be black."""
    import torch

    called = []
    convolutions = [
        m
        for m in network.modules()
        if isinstance(m, torch.nn.Conv2d) and m.weight.requires_grad and m.bias is not None
    ]  # others shift the mean
    hooks = [m.register_forward_hook(lambda m, *_: called.append(m)) for m in convolutions]
    lr = torch.rand((1, channels, 48, 48), generator=torch.Generator().manual_seed(1))
    full_scale = getattr(network, "rgb_range", 1)
    with torch.no_grad():
        gain = 0.15 / max(float(network(lr.clone()).std()), 1e-6)
        if called and gain > 2:
            last = called[-1]
            last.weight *= gain
            last.bias *= gain
            last.bias += full_scale * (0.5 - float(network(lr.clone()).mean()))
    for hook in hooks:
        hook.remove()


def by_spandrel(path: Path, lr):
    """What spandrel makes of a file and an 8-bit picture `(H, W, C)`, in 0..255."""
    import torch

    network = spandrel().ModelLoader().load_from_file(path)
    with torch.inference_mode():
        sr = network(torch.from_numpy(lr.transpose(2, 0, 1)[None] / np.float32(255)))
    return sr[0].clamp(0, 1).numpy().transpose(1, 2, 0) * 255


def write(name: str, path: Path) -> Path:
    """Store its weights at `path`, `.pth` or `.safetensors`."""
    import torch

    state = module(name).state_dict()
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({k: v.clone().contiguous() for k, v in state.items()}, str(path))
    else:
        torch.save({"params_ema": state}, path)
    return path
