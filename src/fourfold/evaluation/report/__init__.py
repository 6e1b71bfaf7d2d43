"""One self-contained HTML file a person likes to look at: table, plot, sliders, crops."""

from __future__ import annotations

from fourfold.evaluation.report.page import ReportWriter

__all__ = ["ReportWriter"]
