"""Small synthetic clips, and what is in a file."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

WIDTH, HEIGHT = 96, 64
RED, BLUE = (200, 40, 30), (30, 60, 190)
TICK = Fraction(1, 12800)
TIMES = (0, 512, 1100, 1536, 2048)
"""In ticks; the third frame is late."""

_RATE_HZ = 44_100


def picture(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Red on the left, blue on the right."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:, : width // 2], rgb[:, width // 2 :] = RED, BLUE
    return rgb


def write_clip(
    path: Path,
    *,
    audio: str | None = "aac",
    matrix: Colorspace = Colorspace.ITU601,
    colour_range: ColorRange = ColorRange.MPEG,
    tagged: bool = True,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times: Sequence[int] = TIMES,
    gap_s: float = 0,
    container_options: dict[str, str] | None = None,
) -> Path:
    """An H.264 clip of `picture`s at `times`, with a tone of 0.2 s, `gap_s` of nothing in it."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream("libx264", rate=Fraction(25), options={"crf": "5"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = (*size, "yuv420p")
        video.codec_context.time_base = TICK
        if tagged:
            video.codec_context.colorspace = int(matrix)
            video.codec_context.color_range = int(colour_range)
        sound = None if audio is None else container.add_stream(audio, rate=_RATE_HZ, layout="mono")
        for time in times:
            frame = VideoFrame.from_ndarray(picture(*size), "rgb24").reformat(
                format="yuv420p", dst_colorspace=matrix, dst_color_range=colour_range
            )
            frame.pts, frame.time_base = time, TICK
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None:
            assert isinstance(sound, AudioStream)
            _write_tone(container, sound, round(gap_s * _RATE_HZ))
    return path


def write_transparent(path: Path, codec: str, pixels: str, hidden: Sequence[slice | None]) -> Path:
    """A clip of `picture`s without audio; each hides these columns, if any, with alpha 0."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(25))
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, pixels
        if codec.startswith("libvpx"):
            video.options = {"auto-alt-ref": "0", "crf": "5", "b": "2M"}
        for number, columns in enumerate(hidden):
            rgba = np.dstack([picture(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
            if columns is not None:
                rgba[:, columns, 3] = 0
            frame = VideoFrame.from_ndarray(rgba, "rgba").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def _write_tone(container: av.container.OutputContainer, sound: AudioStream, gap: int) -> None:
    for begin in range(0, _RATE_HZ // 5, 1024):
        wave = 0.3 * np.sin(np.arange(begin, begin + 1024) * 0.06)
        kind = "flt" if sound.codec_context.name == "pcm_f32le" else "fltp"
        frame = AudioFrame.from_ndarray(wave[None].astype(np.float32), kind, "mono")
        pts = begin + (gap if begin >= _RATE_HZ // 10 else 0)
        frame.sample_rate, frame.pts, frame.time_base = _RATE_HZ, pts, Fraction(1, _RATE_HZ)
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def turn(path: Path) -> None:
    """Say in the header of an MP4 that its picture is to be shown a quarter clockwise."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    matrix = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], ">i4")
    data[header + 40 : header + 76] = matrix.tobytes()
    path.write_bytes(data)


class Content(NamedTuple):
    """A decoded file: RGBA frames, their times in s, and its audio."""

    frames: list[NDArray[np.uint8]]
    times: list[float]
    audio_codec: str | None
    audio_s: float
    peak: float
    matrix: int


def read(path: Path) -> Content:
    """Everything in a file, alpha included."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        # FFmpeg's own VP9 decoder does not know alpha.
        vp9 = video.codec_context.name == "vp9"
        decoder = av.CodecContext.create("libvpx-vp9", "r") if vp9 else None
        frames, times = [], []
        for packet in container.demux(video):
            for frame in decoder.decode(packet) if decoder is not None else packet.decode():
                assert isinstance(frame, VideoFrame)
                rgba = frame.reformat(format="rgba", dst_color_range=ColorRange.JPEG)
                frames.append(np.asarray(rgba.to_ndarray(), np.uint8))
                assert packet.time_base is not None
                times.append(float(frame.pts * packet.time_base) if frame.pts is not None else 0)
        matrix = int(video.codec_context.colorspace)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Content(frames, times, None, 0, 0, matrix)
        audio = container.streams.audio[0]
        sounds = [frame.to_ndarray().astype(np.float64) for frame in container.decode(audio)]
        samples = sum(sound.size for sound in sounds) / audio.channels
        peak = max(float(np.abs(sound).max()) for sound in sounds)
        return Content(frames, times, audio.codec_context.name, samples / audio.rate, peak, matrix)


def add_cover(path: Path, source: Path) -> Path:
    """The MP4 `source` with a grey cover picture of 32 x 32 px, which FFmpeg lists first."""
    with av.open(str(source)) as clip, av.open(str(path), "w") as container:
        tracks = {
            track.index: container.add_stream_from_template(track)
            for track in (*clip.streams.video, *clip.streams.audio)
        }
        cover = container.add_stream("mjpeg", rate=1)
        assert isinstance(cover, VideoStream)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        grey = np.full((32, 32, 3), 128, np.uint8)
        container.mux(cover.encode(VideoFrame.from_ndarray(grey, "rgb24")))
        container.mux(cover.encode())
        for packet in clip.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                container.mux(packet)
    _move_metadata_first(path)
    return path


def _move_metadata_first(path: Path) -> None:
    """Move `udta`, which holds the cover picture, before the tracks of an MP4."""
    data = path.read_bytes()
    begin = data.index(b"moov") + 4
    at, end = begin, begin - 8 + int.from_bytes(data[begin - 8 : begin - 4], "big")
    boxes = []
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append(data[at : at + size])
        at += size
    boxes.sort(key=lambda box: box[4:8] == b"trak")
    path.write_bytes(data[:begin] + b"".join(boxes) + data[end:])
