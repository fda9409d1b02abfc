"""Clips that break off, and healthy ones that look like it."""

import struct
from pathlib import Path

import av
import pytest

from rmbg_service.errors import VideoError
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.video.convert import convert
from rmbg_service.video.integrity import check_size
from rmbg_service.video.reader import Frame, frames_and_audio, open_clip
from tests.fakes import FakePredictor
from tests.video.clips import TIMES, write_clip

FAST = {"movflags": "faststart"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
MANY = tuple(range(0, 60 * 512, 512))


def count_frames(path: Path) -> int:
    clip = open_clip(path)
    with av.open(str(path)) as container:
        return sum(isinstance(part, Frame) for part in frames_and_audio(clip, container))


def cut(path: Path, share: float) -> Path:
    """The file without what comes after `share` of it."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("options", [FAST, FRAGMENTS])
@pytest.mark.parametrize("share", [0.75, 0.97])
def test_an_mp4_that_breaks_off_says_after_how_many_frames(
    tmp_path: Path, options: dict[str, str], share: float
) -> None:
    clip = write_clip(tmp_path / "a.mp4", audio=None, times=MANY, container_options=options)
    assert count_frames(clip) == 60
    with pytest.raises(VideoError, match=r"is truncated: \d+ of \d+ frames"):
        count_frames(cut(clip, share))


@pytest.mark.parametrize("name", ["b.webm", "b.mov"])
def test_half_a_packet_of_sound_is_not_taken_for_damage(tmp_path: Path, name: str) -> None:
    clip = write_clip(tmp_path / "a.mp4", container_options=FAST)
    with av.open(str(clip)) as container:
        last = container.streams.audio[0].index_entries[-1]
    clip.write_bytes(clip.read_bytes()[: last.pos + last.size // 2])
    with pytest.raises(VideoError, match="is truncated"):
        convert(open_clip(clip), tmp_path / name, Path(name).suffix, FakePredictor(),
                RemovalOptions(detail="off"), 1, lambda: None)  # fmt: skip


def test_sound_that_breaks_off_is_seen(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", container_options=FAST)  # all sound after the frames
    data = clip.read_bytes()
    with av.open(str(clip)) as container:
        last = container.streams.audio[0].index_entries[-1]
    clip.write_bytes(data[: last.pos + last.size - 1])
    with pytest.raises(VideoError, match="audio packets"):
        count_frames(clip)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
@pytest.mark.parametrize("share", [0.6, 0.99])
def test_a_file_that_says_its_size_is_refused_at_once(
    tmp_path: Path, name: str, share: float
) -> None:
    clip = cut(write_clip(tmp_path / name, audio=None, times=MANY), share)
    with pytest.raises(VideoError, match=r"is truncated: \d+ of \d+ bytes"):
        open_clip(clip)


def test_a_matroska_file_of_unknown_size_is_measured_by_its_length(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", audio=None, times=tuple(t * 4 for t in MANY))
    data = clip.read_bytes()
    at = data.index(b"\x18\x53\x80\x67") + 4
    clip.write_bytes(data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :])
    assert count_frames(clip) == 60
    with pytest.raises(VideoError, match=r"is truncated: \d\.\d of 9\.\d s"):
        count_frames(cut(clip, 0.75))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.avi", "a.ts"])
def test_uneven_times_and_a_longer_sound_are_healthy(tmp_path: Path, name: str) -> None:
    times = TIMES if name != "a.avi" else MANY[:5]
    sound = "ac3" if name == "a.avi" else "aac"
    clip = write_clip(tmp_path / name, times=times, audio=sound, gap_s=3)
    assert count_frames(clip) == len(times)


def test_a_long_last_frame_is_healthy(tmp_path: Path) -> None:
    times = (0, 512, 12800 * 20, 12800 * 50)
    for name in ("a.mkv", "a.mp4"):
        assert count_frames(write_clip(tmp_path / name, audio=None, times=times)) == 4


@pytest.mark.parametrize("begin", [0, 20 * 512])
def test_an_edit_list_that_leaves_frames_out_is_healthy(tmp_path: Path, begin: int) -> None:
    clip = write_clip(tmp_path / "a.mp4", audio=None, times=MANY, container_options=FAST)
    data = bytearray(clip.read_bytes())
    at = data.index(b"elst") + 12
    duration, media_time = struct.unpack_from(">Ii", data, at)
    struct.pack_into(">Ii", data, at, duration // 2, media_time + begin)
    clip.write_bytes(data)
    assert count_frames(clip) == 30


@pytest.mark.parametrize("head", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00\x18"])
def test_a_head_that_breaks_off_announces_nothing(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.mkv").write_bytes(head)
    check_size(tmp_path / "a.mkv")
