"""Make the demo photograph and the README's before/after picture.

    pip install scikit-image && python scripts/make_demo_pictures.py

Source: scikit-image's `chelsea` (photograph by Stefan van der Walt, CC0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips
import skimage.data

from fourfold import Upscaler
from fourfold.imaging.resize import imresize
from fourfold.pictures.images import write_pixels

ROOT = Path(__file__).parent.parent
CROP = (slice(40, 280), slice(110, 350))


def main() -> None:
    hr = skimage.data.chelsea()[:300, :448]
    lr = imresize(hr, 1 / 4)
    write_pixels(lr, ROOT / "demo/chelsea.png")
    panels = {"bicubic": imresize(lr, 4), "fourfold": Upscaler().upscale(lr), "truth": hr}
    gap = np.full((240, 6, 3), 255, np.uint8)
    parts = [label(panel[CROP], text) for text, panel in panels.items()]
    row = np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
    write_pixels(row, ROOT / "docs/pictures/before-after.png")


def label(panel: np.ndarray, text: str) -> np.ndarray:
    """The panel with its name in the lower left corner."""
    letters = pyvips.Image.text(text, font="sans bold 11", dpi=90)
    width, height = letters.width + 10, letters.height + 8
    mask = letters.embed(5, 4, width, height)
    tag = mask.ifthenelse([255, 255, 255], [30, 30, 30], blend=True)
    picture = pyvips.Image.new_from_array(np.ascontiguousarray(panel))
    return picture.insert(tag, 0, panel.shape[0] - height).numpy()


if __name__ == "__main__":
    main()
