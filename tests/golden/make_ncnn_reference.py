"""Make ncnn_reference.npy: what ncnn 1.0.20261020 makes of the tiny network of tests/made_ncnn.py.

usage, from the root: PYTHONPATH=. python tests/golden/make_ncnn_reference.py     (pip install ncnn)
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tests.made_ncnn import run_ncnn, tiny_input, write_tiny_ncnn

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sr = run_ncnn(write_tiny_ncnn(Path(folder)), tiny_input())
    np.save(Path(__file__).with_name("ncnn_reference.npy"), sr.astype(np.float32))
