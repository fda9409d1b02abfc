from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from rmbg_service.errors import VideoError
from rmbg_service.video.reader import Frame, frames_and_audio, open_clip
from tests.video.clips import BLUE, HEIGHT, RED, TICK, TIMES, WIDTH, add_cover, turn, write_clip


def frames_of(path: Path) -> list[Frame]:
    clip = open_clip(path)
    with av.open(str(path)) as container:
        return [part for part in frames_and_audio(clip, container) if isinstance(part, Frame)]


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_colours_are_those_of_the_matrix_and_range_it_names(
    tmp_path: Path, matrix: Colorspace, colour_range: ColorRange
) -> None:
    path = write_clip(tmp_path / "a.mp4", matrix=matrix, colour_range=colour_range)
    rgb = frames_of(path)[0].rgb
    assert np.abs(rgb[HEIGHT // 2, 10].astype(int) - RED).max() <= 4
    assert np.abs(rgb[HEIGHT // 2, -10].astype(int) - BLUE).max() <= 4


@pytest.mark.parametrize(
    ("matrix", "size"), [(Colorspace.ITU601, (WIDTH, HEIGHT)), (Colorspace.ITU709, (1280, 720))]
)
def test_where_it_names_none_large_pictures_are_bt709(
    tmp_path: Path, matrix: Colorspace, size: tuple[int, int]
) -> None:
    path = write_clip(tmp_path / "a.mp4", matrix=matrix, tagged=False, size=size)
    assert open_clip(path).colour.matrix == matrix
    assert np.abs(frames_of(path)[0].rgb[30, 10].astype(int) - RED).max() <= 4


def test_frames_keep_their_times_and_audio_comes_between_them(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    clip = open_clip(path)
    assert (clip.width, clip.height, clip.time_base, clip.frames) == (WIDTH, HEIGHT, TICK, 5)
    assert clip.has_audio
    with av.open(str(path)) as container:
        parts = list(frames_and_audio(clip, container))
    assert [part.pts for part in parts if isinstance(part, Frame)] == list(TIMES)
    assert sum(not isinstance(part, Frame) for part in parts) >= 8


def test_a_clip_that_begins_late_begins_at_0(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", audio=None)
    with av.open(str(path)) as container:
        assert container.start_time is not None
        assert container.start_time > 0
    clip = open_clip(path)
    seconds = [float(frame.pts * clip.time_base) for frame in frames_of(path)]
    assert seconds == pytest.approx([float(time * TICK) for time in TIMES], abs=0.001)


def test_a_turned_clip_comes_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    turn(path)
    clip = open_clip(path)
    assert (clip.width, clip.height) == (HEIGHT, WIDTH)
    rgb = frames_of(path)[0].rgb
    assert rgb.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(rgb[10, HEIGHT // 2].astype(int) - RED).max() <= 4  # left is now on top
    assert np.abs(rgb[-10, HEIGHT // 2].astype(int) - BLUE).max() <= 4
    assert clip.aspect == Fraction(1)


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_one_clear_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError):
        open_clip(path)
    with pytest.raises(VideoError, match="No such file"):
        open_clip(tmp_path / "none.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        container.add_stream("pcm_s16le", rate=8000)
        container.start_encoding()
    with pytest.raises(VideoError, match="has no video"):
        open_clip(path)


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = add_cover(tmp_path / "b.mp4", write_clip(tmp_path / "a.mp4"))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
    clip = open_clip(path)
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)
    assert [frame.pts for frame in frames_of(path)] == list(TIMES)


def test_a_track_of_one_picture_is_not_the_video(tmp_path: Path) -> None:
    source, path = write_clip(tmp_path / "a.mp4"), tmp_path / "b.mov"
    with av.open(str(source)) as clip, av.open(str(path), "w") as container:
        still = container.add_stream("mjpeg", rate=1, width=32, height=32, pix_fmt="yuvj420p")
        video = container.add_stream_from_template(clip.streams.video[0])
        grey = VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), "rgb24")
        container.mux([*still.encode(grey), *still.encode()])
        for packet in clip.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)
    assert len(frames_of(path)) == len(TIMES)
