"""Pictures to training crops: find pairs, decode once, cut, degrade, all from seeded choices."""

from fourfold.datasets.cache import PairSet, open_pairs
from fourfold.datasets.crops import CropSettings, CropStream
from fourfold.datasets.layouts import Source, find_sources

__all__ = ["CropSettings", "CropStream", "PairSet", "Source", "find_sources", "open_pairs"]
