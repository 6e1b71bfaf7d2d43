"""What a service may take and keep, and for how long."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from fourfold.errors import UsageError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of one service. Wrong values are `UsageError`s."""

    data: Path
    """Folder of the job store and of all files."""
    host: str = "127.0.0.1"
    tokens: tuple[str, ...] = ()
    """Each is a user, who sees only jobs of that token. None: everybody who may connect is one."""
    names: tuple[str, ...] = ()
    """Further names the service is reached by, as a reverse proxy's."""
    path: str = ""
    """Under which a reverse proxy shows the service, such as `/fourfold`."""

    max_upload: int = 200_000_000
    """Bytes of one file."""
    max_pixels: int = 500_000_000
    """Of a result; a request may ask for less."""
    max_memory: str = "1GB"
    """Of each job under way; see `workers`."""
    max_waiting: int = 1000
    """Jobs in the queue; more are told to come again."""
    max_stored: int = 50_000_000_000
    """Bytes of all files, results included; new ones are refused beyond it."""
    keep_hours: float = 24.0
    """After which a job that has ended is forgotten, with its files."""
    uploads: int = 8
    """Files received at once."""
    patience: float = 30.0
    """Seconds a client may send nothing, and in which the head of a request must be there."""
    grace: float = 60.0
    """Seconds before the rate of an upload counts."""
    least_rate: int = 1024
    """Bytes a second an upload must reach then."""
    workers: int = 2
    """Pictures under way at once: while one is in the network another is read or written. One film
    more runs beside them."""
    streams: int = 500
    """Clients that listen to events at once; each costs a look at the store for every change."""
    previews: int = 2
    """Crops computed at once; and views and estimates, which have as many places."""

    def __post_init__(self) -> None:
        if any(len(token) < 8 for token in self.tokens):
            raise UsageError("--token: want at least 8 characters")
        if not self.is_loopback and not self.tokens:
            raise UsageError(
                f"--host {self.host}: other machines could use this service; set --token SECRET too"
            )
        if self.path and (not self.path.startswith("/") or self.path.endswith("/")):
            raise UsageError(f"--path: want /NAME without a slash at the end, got {self.path!r}")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def knows_host(self, name: str) -> bool:
        """Whether a request may call the service so (against DNS rebinding).

        Addresses cannot be rebound, so where other machines may connect any is right.
        """
        name = name.lower()
        if name in LOOPBACK_NAMES or name in {n.lower() for n in (*self.names, self.host)}:
            return True
        if self.is_loopback:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def owner_of(token: str) -> str:
    """What stands for a token in the job store."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


__all__ = ["LOOPBACK_NAMES", "Settings", "owner_of"]
