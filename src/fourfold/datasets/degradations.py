"""How photographs lose quality, as small pure steps on float32 `(H, W, 3)` in [0, 1].

`degrade_real` chains them twice, the second-order model of Real-ESRGAN (Wang et al. 2021,
section 3); its ranges are that paper's.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import PIL.Image

from fourfold.imaging.arrays import Image, from_float, to_float
from fourfold.imaging.resize import Kernel, contributions

Pixels = npt.NDArray[np.uint8]
KernelArray = npt.NDArray[np.float64]

_RESIZERS: Final[tuple[Kernel, ...]] = ("box", "triangle", "cubic")


def jpeg(image: Pixels, *, quality: int) -> Pixels:
    """What a JPEG file of this quality (1 to 100) gives back, uint8 `(H, W, 3)`.

    Colour is halved below quality 90, as many programs do. By Pillow, which takes a tenth of the
    time libvips needs to set up its pipeline for a picture as small as a crop.
    """
    file = io.BytesIO()
    halved = 2 if quality < 90 else 0  # Pillow's numbers for 4:2:0 and 4:4:4
    PIL.Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=halved)
    return np.asarray(PIL.Image.open(file))


def blur(image: Image, kernel: KernelArray) -> Image:
    """Filter with an odd kernel that sums to 1; the picture is mirrored beyond its edges."""
    height, width = image.shape[:2]
    reach = kernel.shape[0] // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1))
    size = tuple(_fast_length(side) for side in planes.shape[1:])
    response = np.fft.rfft2(kernel.astype(np.float32), size)
    result = np.fft.irfft2(np.fft.rfft2(planes, size) * response, size)
    first = 2 * reach  # the kernel's centre lies `reach` in, as does the picture's corner
    cut = result[:, first : first + height, first : first + width]
    return np.ascontiguousarray(cut.transpose(1, 2, 0), np.float32)


@lru_cache(maxsize=1024)
def _fast_length(length: int) -> int:
    """The next length without prime factors above 5, which transforms several times faster."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def gaussian_kernel(
    size: int, *, sigma_x: float, sigma_y: float, angle: float, shape: float = 1.0
) -> KernelArray:
    """Generalised Gaussian `exp(-(d^2)^shape / 2)`, turned by `angle` radians.

    Shape 1 is Gaussian; below it has heavier tails, above it a flatter top.
    """
    along = np.arange(size) - size // 2
    x, y = np.meshgrid(along, along)
    u = (x * np.cos(angle) + y * np.sin(angle)) / sigma_x
    v = (-x * np.sin(angle) + y * np.cos(angle)) / sigma_y
    kernel = np.exp(-0.5 * (u * u + v * v) ** shape)
    return kernel / kernel.sum()


def sinc_kernel(size: int, *, cutoff: float) -> KernelArray:
    """Circular low-pass filter at `cutoff` radians per pixel: the ringing of sharpened pictures."""
    along = np.arange(size) - size // 2
    x, y = np.meshgrid(along, along)
    radius = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel = cutoff * _bessel_j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return kernel / kernel.sum()


def _bessel_j1(x: KernelArray) -> KernelArray:
    """Bessel function of order 1 by its integral, `mean over t of cos(t - x sin t)`."""
    t = (np.arange(64) + 0.5) * np.pi / 64
    return np.cos(t - x[..., None] * np.sin(t)).mean(axis=-1)


def add_gaussian_noise(
    image: Image, *, sigma: float, grey: bool, rng: np.random.Generator
) -> Image:
    """Normal noise of `sigma` (1 = white), the same in all channels if `grey`."""
    channels = 1 if grey else image.shape[2]
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32)
    return np.clip(image + np.float32(sigma) * noise, 0, 1)


def add_poisson_noise(
    image: Image, *, strength: float, grey: bool, rng: np.random.Generator
) -> Image:
    """Shot noise: of a picture with 255 photons at white, times `strength`."""
    photons = 255.0
    base = image.mean(axis=2, keepdims=True) if grey else image
    noise = rng.poisson(np.clip(base, 0, 1) * photons) / photons - base
    return np.clip(image + np.float32(strength) * noise.astype(np.float32), 0, 1)


def random_blur(
    image: Image, *, weakest: float, strongest: float, rng: np.random.Generator
) -> Image:
    """A random kernel of 7 to 21 pixels: Gaussian, generalised Gaussian or, one in ten, sinc."""
    size = 2 * int(rng.integers(3, 11)) + 1
    if rng.random() < 0.1:
        return blur(image, sinc_kernel(size, cutoff=rng.uniform(np.pi / 3, np.pi)))
    sigma_x = rng.uniform(weakest, strongest)
    isotropic = rng.random() < 0.6
    sigma_y = sigma_x if isotropic else rng.uniform(weakest, strongest)
    shape = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.5, 2.0))
    angle = rng.uniform(-np.pi, np.pi)
    return blur(
        image, gaussian_kernel(size, sigma_x=sigma_x, sigma_y=sigma_y, angle=angle, shape=shape)
    )


def random_noise(
    image: Image,
    *,
    sigma: tuple[float, float],
    strength: tuple[float, float],
    rng: np.random.Generator,
) -> Image:
    """Normal or shot noise of a random strength, grey in two cases of five."""
    grey = bool(rng.random() < 0.4)
    if rng.random() < 0.5:
        return add_gaussian_noise(image, sigma=rng.uniform(*sigma) / 255, grey=grey, rng=rng)
    return add_poisson_noise(image, strength=rng.uniform(*strength), grey=grey, rng=rng)


def random_jpeg(image: Image, *, rng: np.random.Generator) -> Image:
    """A JPEG of quality 30 to 95."""
    return to_float(jpeg(from_float(image, np.uint8), quality=int(rng.integers(30, 96))))


def _resize_by(image: Image, factor: float, rng: np.random.Generator) -> Image:
    size = tuple(max(4, round(side * factor)) for side in image.shape[:2])
    return _resize_to(image, (size[0], size[1]), rng)


def _resize_to(image: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
    kernel = _RESIZERS[int(rng.integers(len(_RESIZERS)))]
    for axis in (0, 1):
        image = _resize_axis(image, axis, size[axis], kernel)
    return np.clip(image, 0, 1)


def _resize_axis(image: Image, axis: int, length: int, kernel: Kernel) -> Image:
    """`imresize` along one axis, for small pictures in threads.

    A sum over taps instead of matrix products, whose own threads would fight with ours.
    """
    side = image.shape[axis]
    index, weights = contributions(side, length, length / side, kernel)
    lines = np.moveaxis(image, axis, 0)
    result = np.zeros((length, *lines.shape[1:]), np.float32)
    for tap in range(index.shape[1]):
        result += weights[:, tap, None, None].astype(np.float32) * lines[index[:, tap]]
    return np.moveaxis(result, 0, axis)


def _random_factor(
    rng: np.random.Generator, *, up: float, down: float, smallest: float, largest: float
) -> float:
    choice = rng.random()
    if choice < up:
        return float(rng.uniform(1, largest))
    return float(rng.uniform(smallest, 1)) if choice < up + down else 1.0


def degrade_real(image: Pixels, *, scale: int, rng: np.random.Generator) -> Pixels:
    """Low resolution of a photograph with an unknown past, uint8, `1 / scale` of the size.

    Blur, resize, noise and JPEG, then the same again with gentler ranges, then the final size
    with a sinc filter before or after the last JPEG.
    """
    height, width = (side // scale for side in image.shape[:2])
    x = to_float(image)
    x = random_blur(x, weakest=0.2, strongest=3.0, rng=rng)
    x = _resize_by(x, _random_factor(rng, up=0.2, down=0.7, smallest=0.15, largest=1.5), rng)
    x = random_noise(x, sigma=(1, 30), strength=(0.05, 3.0), rng=rng)
    x = random_jpeg(x, rng=rng)
    if rng.random() < 0.8:
        x = random_blur(x, weakest=0.2, strongest=1.5, rng=rng)
    factor = _random_factor(rng, up=0.3, down=0.4, smallest=0.3, largest=1.2) / scale
    size = (max(4, round(height * scale * factor)), max(4, round(width * scale * factor)))
    x = _resize_to(x, size, rng)
    x = random_noise(x, sigma=(1, 25), strength=(0.05, 2.5), rng=rng)
    if rng.random() < 0.5:
        x = _final(x, (height, width), rng)
        x = random_jpeg(x, rng=rng)
    else:
        x = random_jpeg(x, rng=rng)
        x = _final(x, (height, width), rng)
    return from_float(x, np.uint8)


def _final(image: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
    resized = _resize_to(image, size, rng)
    if rng.random() < 0.2:
        return resized
    length = 2 * int(rng.integers(3, 11)) + 1
    return np.clip(blur(resized, sinc_kernel(length, cutoff=rng.uniform(np.pi / 3, np.pi))), 0, 1)


__all__ = [
    "add_gaussian_noise",
    "add_poisson_noise",
    "blur",
    "degrade_real",
    "gaussian_kernel",
    "jpeg",
    "random_blur",
    "random_jpeg",
    "random_noise",
    "sinc_kernel",
]
