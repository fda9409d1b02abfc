"""The audio of a clip for the file that is written: copied or re-encoded."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer

from rmbg_service.errors import VideoError
from rmbg_service.video.reader import AudioPacket

_RATE_HZ = 48_000  # what Opus runs at

_MIN_GAP_S = Fraction(1, 20)
"""Shorter gaps between the times are rounding and jitter."""


class CopiedAudio:
    """Copies packets unchanged."""

    def __init__(self, container: OutputContainer, source: AudioStream, _: str) -> None:
        self._stream = container.add_stream_from_template(source)

    def take(self, packet: AudioPacket) -> Iterator[AudioPacket]:
        """The packets to write for a packet of the clip."""
        packet.stream = self._stream
        yield packet

    def end(self) -> Iterator[AudioPacket]:
        """The packets left at the end."""
        return iter(())


class EncodedAudio:
    """Re-encodes packets as mono or stereo; a gap between them becomes silence.

    The encoders count samples and would otherwise join the two sides of a gap.
    """

    def __init__(self, container: OutputContainer, source: AudioStream, codec: str) -> None:
        stream = container.add_stream(codec, rate=_RATE_HZ)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._stream.layout = "mono" if source.channels == 1 else "stereo"
        self._stream.codec_context.open()
        self._resampler = AudioResampler(
            self._stream.format,
            self._stream.layout,
            _RATE_HZ,
            self._stream.codec_context.frame_size or None,
        )
        self._end_s: Fraction | None = None

    def take(self, packet: AudioPacket) -> Iterator[AudioPacket]:
        """The packets to write for a packet of the clip. Raises `VideoError` if it is damaged."""
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            raise VideoError(f"the audio is damaged: {error.strerror or error}") from None
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            for part in self._with_silence(frame):
                yield from self._encode(part)

    def end(self) -> Iterator[AudioPacket]:
        """The packets left at the end."""
        yield from self._encode(None)
        yield from self._stream.encode()

    def _with_silence(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Silence since the end of the previous frame, in parts of a second, then the frame."""
        begin_s = self._end_s
        if frame.pts is not None:
            assert frame.time_base is not None
            begin_s = frame.pts * frame.time_base
            if self._end_s is not None and begin_s > self._end_s + _MIN_GAP_S:
                missing = round((begin_s - self._end_s) * frame.sample_rate)
                at = frame.pts - round((begin_s - self._end_s) / frame.time_base)
                while missing > 0:
                    samples = min(missing, frame.sample_rate)
                    yield _silence(frame, samples, at)
                    missing -= samples
                    at += round(Fraction(samples, frame.sample_rate) / frame.time_base)
        if begin_s is not None:
            self._end_s = begin_s + Fraction(frame.samples, frame.sample_rate)
        yield frame

    def _encode(self, frame: AudioFrame | None) -> Iterator[AudioPacket]:
        for resampled in self._resampler.resample(frame):
            yield from self._stream.encode(resampled)


def _silence(like: AudioFrame, samples: int, pts: int) -> AudioFrame:
    silent = AudioFrame(like.format.name, like.layout.name, samples)
    level = b"\x80" if like.format.name in ("u8", "u8p") else b"\0"
    for plane in silent.planes:
        plane.update(level * plane.buffer_size)
    silent.sample_rate, silent.time_base, silent.pts = like.sample_rate, like.time_base, pts
    return silent
