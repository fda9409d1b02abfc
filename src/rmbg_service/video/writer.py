"""Cutouts to a video: with alpha in WebM, QuickTime, WebP and GIF, or opaque in MP4."""

from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from rmbg_service.imaging.bleed import extend_colours
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.video.audio import CopiedAudio, EncodedAudio
from rmbg_service.video.reader import AudioPacket, Clip


class Writer(Protocol):
    """Takes cutouts and audio packets in the order of the clip.

    A context manager: the end of the block completes the output. After an error the file is only
    closed, so that it can be deleted.
    """

    def __enter__(self) -> Self:
        """The writer."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Complete the output, or close it after an error."""

    def write(self, cutout: Cutout, pts: int) -> None:
        """Add a frame that is shown from `pts` on, in the clip's time base."""

    def pass_audio(self, packet: AudioPacket) -> None:
        """Add a packet of the clip's audio."""


@dataclass(frozen=True)
class Kind:
    """A kind of video file.

    `audio` is the codec for sound that cannot be copied, and `keeps` those that can be; without a
    codec the file has no sound. `time_base` is the unit of its times, None for the clip's.
    """

    container: str
    codec: str
    pixels: str
    has_alpha: bool = True
    audio: str | None = None
    keeps: frozenset[str] = frozenset()
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    time_base: Fraction | None = None


_FOREVER = {"loop": "0"}

KINDS = {
    ".webm": Kind(
        container="webm",
        codec="libvpx-vp9",
        pixels="yuva420p",
        audio="libopus",
        keeps=frozenset({"opus", "vorbis"}),
        # auto-alt-ref would reorder frames, which alpha does not follow.
        options={"crf": "24", "auto-alt-ref": "0", "row-mt": "1", "cpu-used": "4"},
    ),
    ".mov": Kind(
        container="mov",
        codec="prores_ks",
        pixels="yuva444p10le",
        audio="pcm_s16le",
        keeps=frozenset({"aac", "mp3", "mp3float", "ac3", "alac", "pcm_s16le", "pcm_s24le"}),
        options={"profile": "4444", "alpha_bits": "16"},
    ),
    ".mp4": Kind(
        container="mp4",
        codec="libx264",
        pixels="yuv420p",
        has_alpha=False,
        audio="aac",
        keeps=frozenset({"aac", "mp3", "mp3float", "ac3", "alac"}),
        options={"crf": "18"},
        container_options={"movflags": "+faststart"},
    ),
    ".webp": Kind(
        container="webp",
        codec="libwebp_anim",
        pixels="bgra",
        options={"quality": "80"},
        container_options=_FOREVER,
        time_base=Fraction(1, 1000),
    ),
    ".gif": Kind(
        container="gif",
        codec="gif",
        pixels="pal8",
        container_options=_FOREVER,
        time_base=Fraction(1, 100),
    ),
}
"""By the output's suffix."""


class FileWriter:
    """Writes a file of one `Kind`: straight alpha, the clip's own times, colours and audio."""

    def __init__(self, path: Path, kind: Kind, clip: Clip, audio: AudioStream | None) -> None:
        self._clip = clip
        self._kind = kind
        self._container: OutputContainer = av.open(
            str(path), "w", format=kind.container, container_options=kind.container_options
        )
        self._video = _add_video(self._container, kind, clip)
        self._palette = _Palette(self._video) if kind.pixels == "pal8" else None
        self._last_pts = -1
        self._audio: CopiedAudio | EncodedAudio | None = None
        if audio is not None and kind.audio is not None:
            copied = audio.codec_context.name in kind.keeps
            made = CopiedAudio if copied else EncodedAudio
            self._audio = made(self._container, audio, kind.audio)

    def __enter__(self) -> Self:
        """See `Writer`."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """See `Writer`."""
        if error is not None:
            with suppress(av.FFmpegError, OSError):  # such as a full disk, once more
                self._container.close()
            return
        with self._container:
            self._container.mux(self._video.encode())
            if self._audio is not None:
                for packet in self._audio.end():
                    self._container.mux_one(packet)

    def write(self, cutout: Cutout, pts: int) -> None:
        """See `Writer.write`."""
        frame = self._reformatted(self._pixels(cutout))
        unit = self._kind.time_base or self._clip.time_base
        self._last_pts = max(self._last_pts + 1, round(pts * self._clip.time_base / unit))
        frame.pts, frame.time_base = self._last_pts, unit
        self._container.mux(self._video.encode(frame))

    def _pixels(self, cutout: Cutout) -> VideoFrame:
        if self._kind.has_alpha:
            rgba = np.dstack([extend_colours(cutout.rgb, cutout.alpha), cutout.alpha])
            return VideoFrame.from_ndarray(rgba, "rgba")
        missing = (
            (0, self._video.height - self._clip.height),
            (0, self._video.width - self._clip.width),
        )
        return VideoFrame.from_ndarray(np.pad(cutout.rgb, (*missing, (0, 0)), "edge"), "rgb24")

    def _reformatted(self, frame: VideoFrame) -> VideoFrame:
        if self._palette is not None:
            return self._palette.reduced(frame)
        if not self._kind.pixels.startswith("yuv"):
            return frame.reformat(format=self._kind.pixels)
        return frame.reformat(
            format=self._kind.pixels,
            dst_colorspace=self._clip.colour.matrix,
            dst_color_range=ColorRange.MPEG,
        )

    def pass_audio(self, packet: AudioPacket) -> None:
        """See `Writer.pass_audio`."""
        if self._audio is not None:
            for taken in self._audio.take(packet):
                self._container.mux_one(taken)


class _Palette:
    """Reduces each frame to 256 colours of its own, one of them transparent."""

    def __init__(self, video: VideoStream) -> None:
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=video.width,
            height=video.height,
            format=VideoFormat("rgba"),
            time_base=Fraction(1, 100),
        )
        split = self._graph.add("split")
        colours = self._graph.add("palettegen", "stats_mode=single:reserve_transparent=1")
        reduce = self._graph.add("paletteuse", "new=1:dither=bayer:alpha_threshold=128")
        sink = self._graph.add("buffersink")
        source.link_to(split)
        split.link_to(colours, output_idx=0)
        split.link_to(reduce, output_idx=1)
        colours.link_to(reduce, input_idx=1)
        reduce.link_to(sink)
        self._graph.configure()
        self._count = 0

    def reduced(self, frame: VideoFrame) -> VideoFrame:
        """The frame in `pal8`."""
        self._count += 1
        frame.pts, frame.time_base = self._count, Fraction(1, 100)
        self._graph.push(frame)
        reduced = self._graph.pull()
        assert isinstance(reduced, VideoFrame)
        return reduced


def _add_video(container: OutputContainer, kind: Kind, clip: Clip) -> VideoStream:
    stream = container.add_stream(kind.codec, rate=clip.rate, options=dict(kind.options))
    assert isinstance(stream, VideoStream)
    # H.264 with halved colours has an even number of rows and columns.
    even = 0 if kind.has_alpha else 1
    stream.width, stream.height = (
        clip.width + (clip.width & even),
        clip.height + (clip.height & even),
    )
    stream.pix_fmt = kind.pixels
    codec = stream.codec_context
    codec.time_base = kind.time_base or clip.time_base
    codec.sample_aspect_ratio = clip.aspect
    if kind.pixels.startswith("yuv"):
        codec.bit_rate = 0  # the quality decides
        codec.color_range = ColorRange.MPEG
        codec.colorspace, codec.color_primaries, codec.color_trc = clip.colour
    return stream
