"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Metrics:
    """Of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "fourfold_jobs_ended", "Jobs that have ended.", ["state"], registry=self.registry
        )
        self._seconds = Histogram(
            "fourfold_job_seconds",
            "Work on a job, queue left out.",
            buckets=(0.1, 0.5, 1, 5, 10, 60, 600, 3600),
            registry=self.registry,
        )
        self._megapixels = Counter(
            "fourfold_megapixels", "Megapixels of results.", registry=self.registry
        )
        self._received = Counter(
            "fourfold_received_bytes", "Bytes of files received.", registry=self.registry
        )

    def watch(self, counts: Callable[[], dict[str, int]], stored: Callable[[], int]) -> None:
        """Read jobs by state and bytes on disk whenever somebody asks."""

        class Now(Collector):
            def collect(self) -> Iterable[Metric]:
                jobs = GaugeMetricFamily("fourfold_jobs", "Jobs by state.", labels=["state"])
                for state, count in counts().items():
                    jobs.add_metric([state], count)
                yield jobs
                yield GaugeMetricFamily("fourfold_stored_bytes", "Bytes kept.", value=stored())

        self.registry.register(Now())

    def received(self, count: int) -> None:
        """A file of so many bytes has come."""
        self._received.inc(count)

    def ended(self, state: str, seconds: float | None = None, megapixels: float = 0.0) -> None:
        """A job is `done`, `failed` or `cancelled`."""
        self._ended.labels(state).inc()
        self._megapixels.inc(megapixels)
        if seconds is not None:
            self._seconds.observe(seconds)

    def text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self.registry)


__all__ = ["Metrics"]
