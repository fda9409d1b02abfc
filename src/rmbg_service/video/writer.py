"""Cutouts to a video with alpha: VP9 in WebM or ProRes 4444 in QuickTime."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from rmbg_service.imaging.cutout import Cutout
from rmbg_service.types import Alpha, RgbImage
from rmbg_service.video.audio import CopiedAudio, EncodedAudio
from rmbg_service.video.reader import AudioPacket, Clip

BLOCK_PX = 16
"""How far a block of a codec reaches over the edge of the subject."""


class Writer(Protocol):
    """Takes cutouts and audio packets in the order of the clip; `close` completes the file."""

    def write(self, cutout: Cutout, pts: int) -> None:
        """Add a frame that is shown from `pts` on, in the clip's time base."""

    def pass_audio(self, packet: AudioPacket) -> None:
        """Add a packet of the clip's audio."""

    def close(self) -> None:
        """Complete the file."""


@dataclass(frozen=True)
class Kind:
    """A kind of file for video with alpha, and the audio codecs that it can store unchanged."""

    container: str
    codec: str
    pixels: str
    audio: str
    keeps: frozenset[str]
    options: dict[str, str] = field(default_factory=dict)


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
}
"""By the output's suffix."""


class FileWriter:
    """Writes a file of one `Kind`: straight alpha, the clip's own times, colours and audio."""

    def __init__(self, path: Path, kind: Kind, clip: Clip, audio: AudioStream | None) -> None:
        self._clip = clip
        self._container: OutputContainer = av.open(str(path), "w", format=kind.container)
        self._video = _add_video(self._container, kind, clip)
        self._audio: CopiedAudio | EncodedAudio | None = None
        if audio is not None:
            copied = audio.codec_context.name in kind.keeps
            made = CopiedAudio if copied else EncodedAudio
            self._audio = made(self._container, audio, kind.audio)

    def write(self, cutout: Cutout, pts: int) -> None:
        """See `Writer.write`."""
        rgba = np.dstack([extend_colours(cutout.rgb, cutout.alpha), cutout.alpha])
        frame = VideoFrame.from_ndarray(rgba, "rgba").reformat(
            format=self._video.pix_fmt,
            dst_colorspace=self._clip.colour.matrix,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = pts, self._clip.time_base
        self._container.mux(self._video.encode(frame))

    def pass_audio(self, packet: AudioPacket) -> None:
        """See `Writer.pass_audio`."""
        if self._audio is not None:
            self._container.mux(self._audio.take(packet))

    def close(self) -> None:
        """See `Writer.close`."""
        self._container.mux(self._video.encode())
        if self._audio is not None:
            self._container.mux(self._audio.end())
        self._container.close()


def extend_colours(rgb: RgbImage, alpha: Alpha) -> RgbImage:
    """`rgb` `(H, W, 3)` uint8 with the subject's colours extended into the transparent area.

    Video codecs store colour in blocks and at half resolution, so a hard step to black at alpha 0
    would darken the edge of the subject. The extension is a mean weighted by alpha, `BLOCK_PX` px
    wide and black beyond: it holds nothing of the old background.
    """
    weight = alpha.astype(np.float32)
    size = (2 * BLOCK_PX + 1, 2 * BLOCK_PX + 1)
    total = cv2.boxFilter(weight, -1, size, normalize=False)[..., None]
    near = cv2.boxFilter(rgb * weight[..., None], -1, size, normalize=False) / np.maximum(total, 1)
    return np.where((alpha == 0)[..., None], near, rgb).astype(np.uint8)


def _add_video(container: OutputContainer, kind: Kind, clip: Clip) -> VideoStream:
    stream = container.add_stream(kind.codec, rate=clip.rate, options=dict(kind.options))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, kind.pixels
    codec = stream.codec_context
    codec.bit_rate = 0  # the quality decides
    codec.time_base = clip.time_base
    codec.sample_aspect_ratio = clip.aspect
    codec.color_range = ColorRange.MPEG
    codec.colorspace, codec.color_primaries, codec.color_trc = clip.colour
    return stream
