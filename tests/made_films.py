"""Small films made in code: every trait a test needs, a few hundred bytes a frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

SIDE = (64, 48)


def picture(number: int, *, size: tuple[int, int] = SIDE, dtype: Any = np.uint8) -> np.ndarray:
    """A drifting gradient with a moving bar, `(H, W, 3)`."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    planes = [(x * 3 + number * 5) % 200, (y * 4 + number) % 200, (x + y + 40) % 220]
    pixels = np.stack(planes, axis=2) + 20
    pixels[:, (number * 3) % max(1, width - 4) :][:, :4] = (230, 40, 60)
    return pixels.astype(np.uint8) if dtype == np.uint8 else (pixels * 257).astype(np.uint16)


def make_film(
    path: Path,
    *,
    stamps: Sequence[int] = tuple(range(12)),
    time_base: Fraction = Fraction(1, 12),
    size: tuple[int, int] = SIDE,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: str | None = "aac",
    sound_seconds: float | None = None,
    sound_rate: int = 16000,
    sound_begin: Fraction = Fraction(0),
    subtitles: Sequence[tuple[int, int, str]] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
    chapters: Sequence[tuple[int, int, str]] = (),
    metadata: dict[str, str] | None = None,
    rotation: int | None = None,
    aspect: Fraction | None = None,
    colour: dict[str, int] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    options: dict[str, str] | None = None,
    format: str | None = None,
    rate: int = 12,
    to: Any = None,
) -> Path:
    """Write a film with the traits given; times of subtitles and chapters in milliseconds."""
    import av

    with av.open(to or str(path), "w", format=format) as out:
        video = out.add_stream(codec, rate=rate, options={"threads": "1", **(options or {})})
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = time_base
        video.time_base = time_base
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            video.set_display_rotation(rotation)
        for name, code in (colour or {}).items():
            setattr(video.codec_context, name, code)
        audio = None if sound is None else out.add_stream(sound, rate=sound_rate, layout="mono")
        if audio is not None and audio.codec_context.name.startswith("wma"):
            audio.bit_rate = 64_000
        text = None if not subtitles else out.add_mux_stream("subrip")
        if text is not None:
            text.metadata["language"] = "fra"
        for name, mime, content in attachments:
            out.add_attachment(name, mime, content)
        out.metadata.update(metadata or {})
        if chapters:
            out.set_chapters([chapter(number, *entry) for number, entry in enumerate(chapters)])
        out.start_encoding()
        for number, pts in enumerate(stamps):
            pixels = picture(number, size=size) if pictures is None else pictures[number]
            frame = av.VideoFrame.from_ndarray(
                pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le"
            )
            frame = frame.reformat(format=pix_fmt)
            for name, code in (colour or {}).items():
                setattr(frame, name, code)
            frame.pts, frame.time_base = pts, time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            seconds = float((stamps[-1] + 1 - stamps[0]) * time_base)
            _write_sound(out, audio, sound_seconds or seconds, sound_begin)
        for start, end, line in subtitles:
            packet = av.Packet(line.encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = end - start
            out.mux(packet)
    return path


def chapter(number: int, start: int, end: int, title: str) -> dict[str, Any]:
    times = {"start": start, "end": end, "time_base": Fraction(1, 1000)}
    return {"id": number + 1, **times, "metadata": {"title": title}}


def _write_sound(out: Any, audio: Any, seconds: float, begin: Fraction) -> None:
    import av

    rate = audio.codec_context.sample_rate
    samples = int(rate * seconds)
    wave = (8000 * np.sin(np.arange(samples) / 7)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    frame.rate, frame.pts, frame.time_base = rate, round(begin * rate), Fraction(1, rate)
    resampler = av.AudioResampler(
        format=audio.format.name, layout="mono", rate=rate, frame_size=audio.frame_size or 1024
    )
    for ready in [*resampler.resample(frame), *resampler.resample(None)]:
        out.mux(audio.encode(ready))
    out.mux(audio.encode(None))


def times(path: Path, *, stream: int = 0) -> list[Fraction]:
    """Seconds at which the frames of a video stream are shown, decoded."""
    import av

    with av.open(str(path)) as film:
        video = film.streams.video[stream]
        return [frame.pts * Fraction(frame.time_base) for frame in film.decode(video)]


def frames(path: Path) -> list[np.ndarray]:
    """Decoded frames of the first video stream, `(H, W, 3)` uint8."""
    import av

    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def packets(path: Path, kind: str, *, number: int = 0) -> list[tuple[float, bytes]]:
    """Times and bytes of the packets of a stream of a kind (`audio`, `subtitle`, ...)."""
    import av

    with av.open(str(path)) as film:
        stream = [s for s in film.streams if s.type == kind][number]
        return [
            (float(p.pts * p.time_base), bytes(p))
            for p in film.demux(stream)
            if p.pts is not None and p.size
        ]


def in_memory(**traits: Any) -> bytes:
    """A film as bytes written without seeking, so that its length is unknown."""

    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    buffer = Stream()
    make_film(Path("unused"), to=buffer, **traits)
    return buffer.getvalue()


def upscale_video(
    source: Path,
    target: Path | None = None,
    *,
    upscaler: Any,
    scale: float | None = None,
    fit: str | None = None,
    start: Any = None,
    end: Any = None,
    progress: Any = None,
    cancel: Any = None,
    overwrite: bool = True,
    **settings: Any,
) -> Any:
    """A film enlarged by the film room alone, without claims and records."""
    from fourfold.jobs.films.run import run_video
    from fourfold.jobs.films.settings import VideoSettings, parse_time
    from fourfold.jobs.size import TargetSize

    made = VideoSettings(
        size=TargetSize.parse(scale, fit),
        start=None if start is None else parse_time(str(start), name="start"),
        end=None if end is None else parse_time(str(end), name="end"),
        overwrite=overwrite,
        **settings,
    )
    return run_video(source, target, upscaler, made, progress=progress, cancel=cancel)
