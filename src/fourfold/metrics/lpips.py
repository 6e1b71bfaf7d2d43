"""LPIPS, a learned distance that follows what people see; needs the `[metrics]` extra.

Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features as a
perceptual metric, CVPR 2018, version 0.1 of its linear weights. Papers state it with AlexNet
(`alex`); some toolboxes use VGG16 (`vgg`); the two are not comparable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import BackendError, MissingExtra, UsageError

NETS: Final = ("alex", "vgg")

Rgb8 = npt.NDArray[np.uint8]


def load_lpips(net: str = "alex") -> Callable[[Rgb8, Rgb8], float]:
    """The distance of two uint8 `(H, W, 3)` pictures, 0 for equal ones.

    Raises `UsageError` for another net, `MissingExtra` without the package, and `BackendError`
    when it is installed but does not load (its backbone's weights come from torchvision, which
    fetches them once).
    """
    if net not in NETS:
        raise UsageError(f"--lpips: want one of {', '.join(NETS)}, got {net!r}")
    try:
        import lpips
    except ModuleNotFoundError as error:
        if error.name in ("lpips", "torch", "torchvision"):
            raise MissingExtra("LPIPS", "metrics") from error
        raise _unusable(error) from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise _unusable(error) from error
    try:
        network = lpips.LPIPS(net=net, version="0.1", verbose=False).eval()
    except Exception as error:
        raise _unusable(error) from error
    return lambda sr, hr: _distance(network, sr, hr)


def _unusable(error: Exception) -> BackendError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return BackendError(
        f"LPIPS is installed but does not load ({reason[0]}); it needs a torchvision that fits "
        "torch and the weights of its backbone; leave --lpips away to go on without"
    )


def _distance(network: Any, sr: Rgb8, hr: Rgb8) -> float:
    import torch

    pair = [torch.from_numpy(p.transpose(2, 0, 1)[None] / np.float32(127.5) - 1) for p in (sr, hr)]
    with torch.inference_mode():
        return float(network(*pair))


__all__ = ["NETS", "load_lpips"]
