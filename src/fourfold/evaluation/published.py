"""What papers and projects state for sets people evaluate on. Quoted, not measured here."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Published(NamedTuple):
    """One quoted score at scale 4; None where the source gives none."""

    model: str
    dataset: str
    source: str
    psnr_y: float | None = None
    ssim_y: float | None = None
    psnr_rgb: float | None = None
    ssim_rgb: float | None = None
    lpips: float | None = None
    dists: float | None = None
    lr_psnr: float | None = None


_PAPER: Final = "Ledig et al., CVPR 2017"
_LORNATANG: Final = "Lornatang/SRGAN-PyTorch README"
_BASICSR: Final = "BasicSR model zoo"
_MMAGIC: Final = "mmagic model zoo"
_SPSR: Final = "SPSR README (LPIPS with AlexNet)"
_SROOE: Final = "Park et al., CVPR 2023 (SROOE), table 2"

PUBLISHED: Final = (
    Published("bicubic (paper)", "Set5", _PAPER, 28.43),
    Published("bicubic (paper)", "Set14", _PAPER, 25.99),
    Published("bicubic (paper)", "B100", _PAPER, 25.94),
    Published("SRResNet (paper)", "Set5", _PAPER, 32.05, 0.9019),
    Published("SRResNet (paper)", "Set14", _PAPER, 28.49, 0.8184),
    Published("SRResNet (paper)", "B100", _PAPER, 27.58, 0.7620),
    Published("SRGAN (paper)", "Set5", _PAPER, 29.40, 0.8472),
    Published("SRGAN (paper)", "Set14", _PAPER, 26.02, 0.7397),
    Published("SRGAN (paper)", "B100", _PAPER, 25.16, 0.6688),
    Published("SRResNet (Lornatang)", "Set5", _LORNATANG, 32.16, 0.8938),
    Published("SRResNet (Lornatang)", "Set14", _LORNATANG, 28.57, 0.7815),
    Published("SRResNet (Lornatang)", "B100", _LORNATANG, 27.56, 0.7367),
    Published("SRGAN (Lornatang)", "Set5", _LORNATANG, 30.67, 0.8627),
    Published("SRGAN (Lornatang)", "Set14", _LORNATANG, 27.12, 0.7321),
    Published("SRGAN (Lornatang)", "B100", _LORNATANG, 26.22, 0.6867),
    Published("MSRResNet (BasicSR)", "Set5", _BASICSR, None, None, 30.2468, 0.8651),
    Published("MSRResNet (BasicSR)", "Set14", _BASICSR, None, None, 26.7817, 0.7451),
    Published("MSRResNet (BasicSR)", "DIV2K_valid", _BASICSR, None, None, 28.9967, 0.8195),
    Published("MSRGAN (BasicSR)", "Set5", _BASICSR, None, None, 28.0158, 0.8087),
    Published("MSRGAN (BasicSR)", "Set14", _BASICSR, None, None, 24.7474, 0.6623),
    Published("MSRGAN (BasicSR)", "DIV2K_valid", _BASICSR, None, None, 26.6504, 0.7462),
    Published("MSRResNet (mmagic)", "Set5", _MMAGIC, None, None, 30.2252, 0.8491),
    Published("MSRResNet (mmagic)", "Set14", _MMAGIC, None, None, 26.7762, 0.7369),
    Published("MSRResNet (mmagic)", "DIV2K_valid", _MMAGIC, None, None, 28.9748, 0.8178),
    Published("SRGAN (mmagic)", "Set5", _MMAGIC, None, None, 27.9499, 0.7846),
    Published("SRGAN (mmagic)", "Set14", _MMAGIC, None, None, 24.7383, 0.6491),
    Published("SRGAN (mmagic)", "DIV2K_valid", _MMAGIC, None, None, 26.5697, 0.7365),
    Published("SRGAN (SPSR)", "Set5", _SPSR, 29.17, lpips=0.0882),
    Published("SRGAN (SPSR)", "Set14", _SPSR, 26.17, lpips=0.1663),
    Published("SRGAN (SPSR)", "B100", _SPSR, 25.46, lpips=0.1980),
    Published("SRGAN (SPSR)", "Urban100", _SPSR, 24.40, lpips=0.1551),
    Published("ESRGAN (SPSR)", "Set5", _SPSR, 30.45, lpips=0.0748),
    Published("ESRGAN (SPSR)", "Set14", _SPSR, 26.28, lpips=0.1329),
    Published("ESRGAN (SPSR)", "B100", _SPSR, 25.32, lpips=0.1614),
    Published("ESRGAN (SPSR)", "Urban100", _SPSR, 24.36, lpips=0.1229),
    Published("SPSR", "Set5", _SPSR, 30.40, lpips=0.0644),
    Published("SPSR", "Set14", _SPSR, 26.64, lpips=0.1318),
    Published("SPSR", "B100", _SPSR, 25.51, lpips=0.1611),
    Published("SPSR", "Urban100", _SPSR, 24.80, lpips=0.1184),
    Published(
        "SRGAN (SROOE)", "DIV2K_valid", _SROOE, None, None, 26.63, None, 0.1263, 0.0613, 40.9
    ),
    Published(
        "ESRGAN (SROOE)", "DIV2K_valid", _SROOE, None, None, 26.64, None, 0.1154, 0.0530, 42.6
    ),
    Published("SROOE", "DIV2K_valid", _SROOE, None, None, 27.57, None, 0.0971, 0.0492, 50.4),
)

_SETS: Final = {
    "set5": ("Set5", 5),
    "set14": ("Set14", 14),
    "b100": ("B100", 100),
    "bsd100": ("B100", 100),
    "bsds100": ("B100", 100),
    "urban100": ("Urban100", 100),
    "div2k": ("DIV2K_valid", 100),
    "div2k_valid": ("DIV2K_valid", 100),
    "div2k_valid_hr": ("DIV2K_valid", 100),
}
"""Names folders have, the set that means, and its number of pictures."""


def published_rows(dataset: str, *, images: int, scale: int) -> list[dict[str, Any]]:
    """Quoted rows for a dataset, if its name and number of pictures are those of a known set."""
    known, count = _SETS.get(dataset.rsplit("/", 1)[-1].lower(), ("", 0))
    if scale != 4 or images != count:
        return []
    return [
        {
            "model": row.model,
            "weights_sha256": None,
            "dataset": dataset,
            "images": count,
            "psnr_y": row.psnr_y,
            "ssim_y": row.ssim_y,
            "psnr_rgb": row.psnr_rgb,
            "ssim_rgb": row.ssim_rgb,
            "drift": None,
            "consistency_psnr": row.lr_psnr,
            "lr_psnr": row.lr_psnr,
            "lpips": row.lpips,
            "dists": row.dists,
            "seconds": None,
            "megapixels_per_second": None,
            "scale": scale,
            "published": True,
            "source": row.source,
        }
        for row in PUBLISHED
        if row.dataset == known
    ]


__all__ = ["PUBLISHED", "Published", "published_rows"]
