"""Titles, languages and chapters: what is handed on, and what described the old file only."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

_OF_THE_OLD_FILE: Final = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
)
_OF_THE_OLD_ENCODING: Final = (
    "bps",
    "number_of_",
    "_statistics",
    "duration",
    "encoder",
    "alpha_mode",
)

_MOV_KNOWS: Final = frozenset(
    {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"}
    | {"copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"}
    | {"network", "keywords", "episode_sort", "season_number", "media_type", "hd_video"}
    | {"track", "disc", "compilation", "gapless_playback", "creation_time", "rating"}
)


def file_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags of a file that hold for its enlarged version too."""
    return {key: text for key, text in metadata.items() if key.lower() not in _OF_THE_OLD_FILE}


def stream_metadata(metadata: Mapping[str, str], *, encoded_anew: bool = False) -> dict[str, str]:
    """Tags of a stream; without those that describe an encoding that is replaced."""
    if not encoded_anew:
        return dict(metadata)
    return {
        key: text
        for key, text in metadata.items()
        if not key.lower().startswith(_OF_THE_OLD_ENCODING)
    }


def mov_flags(source: Any) -> str:
    """Options of MP4: playable while it loads; free tags only where there are such."""
    unknown = {key.lower() for key in file_metadata(source.metadata)} - _MOV_KNOWS
    return "+faststart" + ("+use_metadata_tags" if unknown else "")


def chapters_within(
    chapters: list[dict[str, Any]], start: Fraction | None, end: Fraction | None
) -> list[dict[str, Any]]:
    """The chapters between two times in seconds, cut to them and counted from `start`."""
    if start is None and end is None:
        return chapters
    kept = []
    for chapter in chapters:
        unit = Fraction(chapter["time_base"])
        low = 0 if start is None else round(start / unit)
        high = chapter["end"] if end is None else min(chapter["end"], round(end / unit))
        first = max(chapter["start"], low)
        if first < high:
            kept.append({**chapter, "start": first - low, "end": high - low})
    return kept


__all__ = ["chapters_within", "file_metadata", "mov_flags", "stream_metadata"]
