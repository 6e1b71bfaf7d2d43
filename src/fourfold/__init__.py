"""fourfold: SRGAN super-resolution that trains, scores, ships and upscales.

`Upscaler` turns arrays into larger arrays; the `fourfold` command does the rest.
"""

from __future__ import annotations

from fourfold._version import __version__

__all__ = ["__version__"]
