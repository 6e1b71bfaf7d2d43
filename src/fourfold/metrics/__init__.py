"""How good a result is: pure functions of arrays, no torch, no files."""

from __future__ import annotations

from fourfold.metrics.protocol import PROTOCOL, Scores, mean_scores, score_pair

__all__ = ["PROTOCOL", "Scores", "mean_scores", "score_pair"]
