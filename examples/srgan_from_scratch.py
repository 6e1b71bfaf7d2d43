# %% [markdown]
# # SRGAN from scratch
#
# Build the generator and the discriminator, train both for a minute on five photographs, watch the
# losses, and enlarge a picture with what came out. Nothing is hidden in a training loop of the
# package: this page is the loop. It is `examples/srgan_from_scratch.py` of the repository, a script
# whose cells most notebooks and editors open as such:
#
# ```
# pip install '.[train]'
# python examples/srgan_from_scratch.py
# ```

# %% [markdown]
# ## Pairs
#
# A large picture, and the same made small as MATLAB's bicubic does it. Networks learn from crops:
# 48×48 of the large picture, and the 12×12 of the small one that lie at the same place. The network
# gets `(N, 3, H, W)` in [0, 1].

# %%
import os
from pathlib import Path

import numpy as np
import torch

from fourfold.imaging.resize import imresize
from fourfold.pictures.images import read_pixels, write_pixels

HERE = Path(__file__).parent
OUT = Path(os.environ.get("OUT", "out"))
STEPS = int(os.environ.get("STEPS", "1000"))  # of each stage
SCALE, CROP, BATCH = 4, 48, 8

rng = np.random.default_rng(0)
torch.manual_seed(0)
torch.set_num_threads(1)  # these networks are too small to share

large = [read_pixels(path) for path in sorted((HERE / "photographs").glob("*.webp"))]
large = [hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE] for hr in large]
pairs = [(imresize(hr, 1 / SCALE), hr) for hr in large]
print(f"{len(pairs)} photographs, {sum(hr[..., 0].size for hr in large) / 1e6:.2f} megapixels")


def to_nchw(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    lr_crops, hr_crops = [], []
    for _ in range(BATCH):
        lr, hr = pairs[rng.integers(len(pairs))]
        side = CROP // SCALE
        top, left = rng.integers(lr.shape[0] - side + 1), rng.integers(lr.shape[1] - side + 1)
        lr_crops.append(lr[top : top + side, left : left + side])
        top, left = SCALE * top, SCALE * left
        hr_crops.append(hr[top : top + CROP, left : left + CROP])
    return to_nchw(lr_crops), to_nchw(hr_crops)


# %% [markdown]
# ## Two networks
#
# Those of the paper have 16 blocks of 64 channels, and 64 to 512 channels. These are smaller, so that a
# minute shows something, and the generator goes without BatchNorm, whose averages need more than that.

# %%
from fourfold.networks.discriminator import Discriminator
from fourfold.networks.srresnet import SRResNet

generator = SRResNet(num_blocks=2, width=16, norm="none")
discriminator = Discriminator(crop=CROP, width=8)
for name, network in (("generator", generator), ("discriminator", discriminator)):
    print(f"{name}: {sum(p.numel() for p in network.parameters())} parameters")

# %% [markdown]
# ## Stage 1: pixels
#
# The mean squared error (equation 4 of the paper). Its best answer is the mean of all large pictures
# that could be behind the small one, so it looks soft. PSNR is the same error in decibels: 10 times
# the logarithm of 1 by it.

# %%
optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-3)
for step in range(1, STEPS + 1):
    lr, hr = batch()
    loss = torch.nn.functional.mse_loss(generator(lr), hr)
    optimizer_g.zero_grad()
    loss.backward()
    optimizer_g.step()
    if step % max(STEPS // 5, 1) == 0:
        print(f"step {step:4}  error {loss.item():.5f}  {-10 * np.log10(loss.item()):.2f} dB")

# %% [markdown]
# A sample, enlarged whole: weights learned from crops work at any size, since all of them are
# convolutions.


# %%
def enlarge(lr: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        sr = generator(to_nchw([lr]))[0].permute(1, 2, 0).numpy()
    return (sr * 255 + 0.5).clip(0, 255).astype(np.uint8)


sample_lr, sample_hr = pairs[2]
after_stage_1 = enlarge(sample_lr)

# %% [markdown]
# ## Stage 2: an adversary
#
# The discriminator learns to tell photographs from results (equation 2), the generator to be taken
# for a photograph (equation 6). The paper's content loss compares features of VGG19, whose weights
# are 80 MB; here the squared error stands in for it, so expect grain rather than texture. D(hr) and
# D(sr) say how sure the discriminator is of either: near 1 and 0 it has won, and nothing more is
# learned.

# %%
from fourfold.losses import discriminator_loss, generator_adversarial

optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4)
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
for step in range(1, STEPS + 1):
    lr, hr = batch()
    sr = generator(lr)

    real, fake = discriminator(hr), discriminator(sr.detach())
    loss_d = discriminator_loss(real, fake)
    optimizer_d.zero_grad()
    loss_d.backward()
    optimizer_d.step()

    error = torch.nn.functional.mse_loss(sr, hr)
    loss_g = error + 1e-3 * generator_adversarial(discriminator(sr))
    optimizer_g.zero_grad()
    loss_g.backward()
    optimizer_g.step()
    if step % max(STEPS // 5, 1) == 0:
        d_hr, d_sr = (torch.sigmoid(logits).mean().item() for logits in (real, fake))
        print(f"step {step:4}  error {error.item():.5f}  D(hr) {d_hr:.2f}  D(sr) {d_sr:.2f}")

# %% [markdown]
# ## Look
#
# From left to right: bicubic, after stage 1, after stage 2, the original.

# %%
panels = [imresize(sample_lr, SCALE), after_stage_1, enlarge(sample_lr), sample_hr]
OUT.mkdir(parents=True, exist_ok=True)
write_pixels(
    np.concatenate([panel[40:240, 60:260] for panel in panels], axis=1), OUT / "samples.webp"
)
print(f"samples: {OUT / 'samples.webp'}")

# %% [markdown]
# ![bicubic, stage 1, stage 2, original](../pictures/from-scratch.webp)
#
# That was 1000 steps of each stage, a minute on one CPU core. Stage 1 has sharper edges than bicubic
# and colours that are a little off: its last batches were at 25 to 27 dB. Stage 2 has found grain
# rather than texture, the error rose from 0.0021 to 0.0029, and D(hr) stayed near 0.7: that is what an
# adversary alone does, and why the paper puts the content loss beside it.
#
# ## Use it
#
# A model file runs wherever a model of the package does: with tiles, on any backend, and without
# torch.

# %%
import fourfold
from fourfold.networks.catalog import describe
from fourfold.weights.format import save_model

facts = {
    "name": "from-scratch",
    "license": "Apache-2.0",
    "source": "examples/srgan_from_scratch.py",
    "training": {},
}
save_model(describe(generator, **facts), OUT / "from-scratch.safetensors")

upscaler = fourfold.Upscaler(OUT / "from-scratch.safetensors")
print(upscaler.upscale(sample_lr).shape)

# %% [markdown]
# The same from the command line: `fourfold upscale photo.png -n out/from-scratch.safetensors`.
#
# ## What is missing to the real thing
#
# Pictures (DIV2K has 800), steps (a million and 200 000), width, the content loss, an average of the
# weights, checkpoints, and a score on pictures that were not learned from. All of it is in `fourfold
# train`: [Training](../guides/train.md). The formulas: [SRGAN, equation by equation](../science.md).
