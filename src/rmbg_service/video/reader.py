"""A video file to upright RGB frames, and its audio packets between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeAlias

import av
import numpy as np
from av.codec import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from rmbg_service.errors import VideoError
from rmbg_service.types import Alpha, RgbImage
from rmbg_service.video.integrity import IntegrityCheck, check_size

AudioPacket: TypeAlias = "av.Packet[Stream]"

_NO_MATRIX = (0, 2)  # RGB, which the output formats cannot store, and unknown
_HD_ROWS = 720

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these codecs drop alpha."""


class ColourCode(NamedTuple):
    """The meaning of colour values, as code points of ITU-T H.273; 2 is unknown."""

    matrix: int
    primaries: int
    transfer: int


class Frame(NamedTuple):
    """An upright image `(H, W, 3)` uint8, full range, and its time in units of `time_base`.

    `alpha` is the clip's own `(H, W)` uint8 transparency, or None if the frame is opaque.
    """

    rgb: RgbImage
    alpha: Alpha | None
    pts: int


@dataclass(frozen=True)
class Clip:
    """What is known about a video before its frames are read.

    `width` and `height` are those of the upright frame, which is the stored one after
    `quarter_turns` counterclockwise; `aspect` is that of one pixel; `frames` is 0 if the file does
    not say. The colour matrix is always known: if the file does not say, it is
    BT.709 from 720 rows up and BT.601 below, as players assume.
    """

    path: Path
    width: int
    height: int
    quarter_turns: int
    aspect: Fraction
    rate: Fraction
    time_base: Fraction
    frames: int
    colour: ColourCode
    has_audio: bool


def open_clip(path: Path) -> Clip:
    """Read the file's properties and its first frame. Raises `VideoError`."""
    try:
        check_size(path)
        with av.open(str(path)) as container:
            stream = _video_stream(container)
            frame = next(container.decode(stream))
            quarter_turns = round(frame.rotation / 90) % 4
            turned = quarter_turns % 2 == 1
            aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1)
            return Clip(
                path=path,
                width=frame.height if turned else frame.width,
                height=frame.width if turned else frame.height,
                quarter_turns=quarter_turns,
                aspect=1 / aspect if turned else aspect,
                rate=stream.average_rate or stream.guessed_rate or Fraction(25),
                time_base=stream.time_base or Fraction(1, 1000),
                frames=stream.frames,
                colour=_colour(frame),
                has_audio=bool(container.streams.audio),
            )
    except StopIteration:
        raise VideoError("the file has no frames") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"the video cannot be read: {error.strerror or error}") from None


def frames_and_audio(clip: Clip, container: InputContainer) -> "Iterator[Frame | AudioPacket]":
    """The frames in display order, and packets of the first audio track in file order.

    Times start at 0 with the file. Raises `VideoError`, also at the end of a truncated file.
    """
    video, sound = _video_stream(container), container.streams.audio[:1]
    decoder = _decoder(video)
    integrity = IntegrityCheck(container, video)
    begin_s = Fraction(max(container.start_time or 0, 0), av.time_base)
    last = -1
    try:
        for packet in container.demux():
            integrity.count(packet)
            if packet.stream is not video:
                if packet.stream in sound and packet.dts is not None and not packet.is_corrupt:
                    offset = round(begin_s / packet.time_base)
                    packet.dts -= offset
                    packet.pts = None if packet.pts is None else packet.pts - offset
                    yield packet
                continue
            for frame in decoder.decode(packet):
                step = round(1 / (clip.rate * clip.time_base))
                pts = last + step if frame.pts is None else frame.pts
                pts = max(pts - round(begin_s / clip.time_base), last + 1)
                last = pts
                rgb, alpha = _upright_planes(frame, clip)
                if rgb.shape[:2] != (clip.height, clip.width):
                    raise VideoError("the video's frames change their size")
                yield Frame(rgb, alpha, pts)
    except av.FFmpegError as error:
        raise VideoError(f"the video is damaged: {error.strerror or error}") from None
    except IndexError:  # PyAV does not support tracks that begin in the middle
        raise VideoError("the video is damaged: a track that was not announced") from None
    integrity.check()


def _video_stream(container: InputContainer) -> VideoStream:
    """The first video track with more than one image; cover images are tracks, too."""
    tracks = [
        track
        for track in container.streams.video
        if not track.disposition & Disposition.attached_pic
    ]
    if not tracks:
        raise VideoError("the file has no video")
    return min(tracks, key=lambda track: track.frames == 1)


def _decoder(video: VideoStream) -> VideoCodecContext:
    name = _ALPHA_DECODERS.get(video.codec_context.name)
    if name is not None and video.metadata.get("alpha_mode") == "1":
        decoder = CodecContext.create(name, "r")
        assert isinstance(decoder, VideoCodecContext)
        return decoder
    video.thread_type = "AUTO"
    return video.codec_context


def _upright_planes(frame: VideoFrame, clip: Clip) -> tuple[RgbImage, Alpha | None]:
    """The frame's colours, and its alpha unless it is opaque."""
    transparent = _may_be_transparent(frame)
    pixels = frame.reformat(
        format="rgba" if transparent else "rgb24",
        src_colorspace=clip.colour.matrix,
        dst_color_range=ColorRange.JPEG,
    ).to_ndarray()
    upright = np.rot90(np.asarray(pixels, np.uint8), clip.quarter_turns)
    rgb = np.ascontiguousarray(upright[..., :3])
    if not transparent or upright[..., 3].min() == 255:
        return rgb, None
    return rgb, np.ascontiguousarray(upright[..., 3])


def _may_be_transparent(frame: VideoFrame) -> bool:
    pixels = frame.format
    return pixels.has_palette or any(component.is_alpha for component in pixels.components)


def _colour(frame: VideoFrame) -> ColourCode:
    matrix = int(frame.colorspace)
    if matrix in _NO_MATRIX:
        short_side = min(frame.width, frame.height)
        matrix = int(Colorspace.ITU709 if short_side >= _HD_ROWS else Colorspace.ITU601)
    return ColourCode(matrix, int(frame.color_primaries), int(frame.color_trc))
