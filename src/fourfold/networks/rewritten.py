"""The exact rewritings of `weights.inference_form` as differentiable operations.

Same function and same gradients as the plain layers; only the time differs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.weights.inference_form import tail_gather


class PRelu(nn.PReLU):
    """PReLU with one slope per channel, as two ReLUs.

    torch's own kernel for the slope's gradient runs at half the speed of this on a CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        """See `prelu`."""
        return prelu(input, self.weight)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """`max(x, 0) + slope * min(x, 0)`, `(N, C, H, W)` with `slope` `(C,)`."""
    return torch.relu(x) - slope.to(x.dtype).view(1, -1, 1, 1) * torch.relu(-x)


def prelu_before_shuffle(x: Tensor, slope: Tensor) -> Tensor:
    """What `prelu(pixel_shuffle(x, 2), slope)` is before the shuffle: each slope four times."""
    return prelu(x, slope.repeat_interleave(4))


def tail_before_shuffle(x: Tensor, tail: nn.Conv2d) -> Tensor:
    """`tail(pixel_shuffle(x, 2))` before a shuffle of its own: `(N, 4C, H, W)` to `(N, 12, H, W)`.

    The small kernel is a gather of the large one (see `weights.inference_form.rewrite_tail`), so
    the gradient reaches the 9x9 weight itself.
    """
    weight, bias = tail.weight, tail.bias
    assert bias is not None
    out, channels, kernel, _ = weight.shape
    positions, width = tail_gather(kernel)
    index = torch.from_numpy(positions).to(weight.device)
    padded = F.pad(weight, (0, 1, 0, 1))
    taps = padded[:, :, index[..., None, None, None], index]  # (out, C, i, si, ky, j, sj, kx)
    small = taps.permute(0, 2, 5, 1, 3, 6, 4, 7).reshape(out * 4, channels * 4, width, width)
    small = small.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, small, bias.repeat_interleave(4), padding=width // 2)
