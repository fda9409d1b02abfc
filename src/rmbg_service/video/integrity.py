"""Whether a clip is complete: what its file declares, compared with what it contains."""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from rmbg_service.errors import VideoError

AnyPacket: TypeAlias = "av.Packet[Any]"

_INDEXED, _TIMED = "mp4", "matroska"
"""Parts of the names of FFmpeg's demuxers: of MP4 and QuickTime, whose index lists every packet of
a track, and of Matroska and WebM, which declare a duration. Other demuxers estimate it."""

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_HEAD_BYTES = 256
_UNKNOWN_RIFF = 2**32 - 1

_SLACK_S = Fraction(1)
"""How far the declared duration of an intact file may exceed its last packet: some are measured
with a clock."""


def check_size(path: Path) -> None:
    """Raise `VideoError` for a Matroska, WebM or AVI file that is shorter than it declares."""
    with path.open("rb") as file:
        announced = _announced_bytes(file.read(_HEAD_BYTES))
    there = path.stat().st_size
    if there < announced:
        raise VideoError(f"the file is truncated: {there} of {announced} bytes")


class IntegrityCheck:
    """Counts the packets of a file and compares them with what the file declares.

    MP4 and QuickTime declare each packet, in the index after edit lists. Matroska and WebM declare
    the duration of their longest track. A file may not say how long its last frame is shown: up to
    twice the longest time between two frames may be missing.
    """

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self._container = container
        self._video = video
        self._counts: Counter[int] = Counter()
        self._end_s = Fraction(0)
        self._last_dts: int | None = None
        self._longest_step_s = Fraction(0)

    def count(self, packet: AnyPacket) -> None:
        """Count a packet; called in the file's order."""
        if packet.size == 0 or packet.is_corrupt:  # such as half a packet at the end of the file
            return
        self._counts[packet.stream.index] += 1
        if packet.pts is not None:
            end_s = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._end_s = max(self._end_s, end_s)
        if packet.stream is self._video and packet.dts is not None:
            if self._last_dts is not None:
                step_s = (packet.dts - self._last_dts) * packet.time_base
                self._longest_step_s = max(self._longest_step_s, step_s)
            self._last_dts = packet.dts

    def check(self) -> None:
        """Called at the end of the file: raise `VideoError` if it is truncated."""
        if _INDEXED in self._container.format.name:
            self._check_count(self._video, "frames")
            for stream in self._container.streams.audio[:1]:
                self._check_count(stream, "audio packets")
        elif _TIMED in self._container.format.name and self._container.duration is not None:
            length_s = Fraction(self._container.duration, av.time_base)
            if self._end_s + max(_SLACK_S, 2 * self._longest_step_s) < length_s:
                told = f"{float(self._end_s):.1f} of {float(length_s):.1f} s"
                raise VideoError(f"the clip is truncated: {told}")

    def _check_count(self, stream: Stream, what: str) -> None:
        there = self._counts[stream.index]
        announced = sum(entry.size > 0 for entry in stream.index_entries)
        if there < announced:
            raise VideoError(f"the clip is truncated: {there} of {announced} {what}")


def _announced_bytes(head: bytes) -> int:
    """The length of a file with this beginning; 0 if it does not declare it, as streams do not."""
    if head[:4] == b"RIFF":
        size = int.from_bytes(head[4:8], "little")  # 8 less than the file has, or should be
        return size if size < _UNKNOWN_RIFF else 0
    if head[:4] == _EBML:
        header, at = _ebml_size(head, 4)
        at += header or 0
        if head[at : at + 4] == _SEGMENT:
            segment, at = _ebml_size(head, at + 4)
            return 0 if segment is None else at + segment
    return 0


def _ebml_size(head: bytes, at: int) -> tuple[int | None, int]:
    """The size field at `at` (RFC 8794), None if it says unknown, and where the field ends."""
    width = 9 - head[at].bit_length() if at < len(head) and head[at] else 8
    ones = (1 << 7 * width) - 1
    size = int.from_bytes(head[at : at + width], "big") & ones
    return (None if size == ones else size), at + width
