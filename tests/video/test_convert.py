"""Clips there and back: the left half is the subject, says the fake predictor."""

import errno
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from rmbg_service.errors import InferenceError, VideoError
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Matte, ModelInput
from rmbg_service.video.convert import convert, worker_threads
from rmbg_service.video.reader import open_clip
from rmbg_service.video.writer import KINDS, FileWriter
from tests.fakes import FakePredictor
from tests.video.clips import (
    BLUE,
    HEIGHT,
    RED,
    TICK,
    TIMES,
    WIDTH,
    Content,
    read,
    turn,
    write_clip,
    write_transparent,
)

SECONDS = [float(time * TICK) for time in TIMES]
OFF = RemovalOptions(detail="off")


def convert_file(
    source: Path, out: Path, predictor: FakePredictor | None = None, options: RemovalOptions = OFF
) -> int:
    advances: list[None] = []
    convert(
        open_clip(source),
        out,
        out.suffix,
        predictor or FakePredictor(),
        options,
        2,
        lambda: advances.append(None),
    )
    return len(advances)


def converted(source: Path, name: str) -> Content:
    out = source.with_name(name)
    assert convert_file(source, out) == len(TIMES)
    return read(out)


def check_picture(content: Content) -> None:
    assert len(content.frames) == len(TIMES)
    for rgba in content.frames:
        assert rgba.shape == (HEIGHT, WIDTH, 4)
        assert (rgba[:, : WIDTH // 2 - 8, 3] >= 253).all()
        assert (rgba[:, WIDTH // 2 + 8 :, 3] <= 2).all()
        assert np.abs(rgba[4:-4, 4:30, :3].astype(int) - RED).max() <= 8


def test_webm_has_alpha_times_colours_and_sound(tmp_path: Path) -> None:
    content = converted(write_clip(tmp_path / "a.mp4"), "b.webm")
    check_picture(content)
    assert content.times == pytest.approx(SECONDS, abs=0.001)  # what the container can say
    assert content.audio_codec == "opus"
    assert content.audio_s == pytest.approx(0.2, abs=0.05)
    assert content.peak > 0.1


def test_mov_has_alpha_exact_times_and_the_sound_as_it_was(tmp_path: Path) -> None:
    content = converted(write_clip(tmp_path / "a.mp4"), "b.mov")
    check_picture(content)
    assert content.times == SECONDS
    assert content.audio_codec == "aac"
    assert content.audio_s == pytest.approx(0.2, abs=0.05)
    assert content.peak > 0.1


@pytest.mark.parametrize(
    ("given", "colour"), [({}, (255, 255, 255)), ({"background": "#3366cc"}, (0x33, 0x66, 0xCC))]
)
def test_mp4_has_a_background_and_the_sound_as_it_was(
    tmp_path: Path, given: dict[str, str], colour: tuple[int, int, int]
) -> None:
    source, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4"
    options = RemovalOptions.model_validate({"detail": "off"} | given)
    assert convert_file(source, out, options=options) == len(TIMES)
    content = read(out)
    assert content.times == pytest.approx(SECONDS)
    assert content.audio_codec == "aac"
    for frame in content.frames:
        assert np.abs(frame[32, 10, :3].astype(int) - RED).max() <= 8
        assert np.abs(frame[32, -10, :3].astype(int) - colour).max() <= 4


def test_a_background_makes_a_webm_opaque(tmp_path: Path) -> None:
    source, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "out.webm"
    convert_file(source, out, options=RemovalOptions(detail="off", background="white"))
    for frame in read(out).frames:
        assert frame[..., 3].min() >= 254
        assert frame[32, -10, :3].min() >= 250


def test_an_mp4_of_an_odd_size_gets_a_row_and_a_column_more(tmp_path: Path) -> None:
    source = tmp_path / "clip.webm"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libvpx-vp9", rate=25)
        video.width, video.height, video.pix_fmt = 97, 63, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((63, 97, 3), 90, np.uint8), "rgb24")
        container.mux(video.encode(frame))
        container.mux(video.encode())
    assert convert_file(source, tmp_path / "out.mp4") == 1
    assert read(tmp_path / "out.mp4").frames[0].shape == (64, 98, 4)


@pytest.mark.parametrize(("name", "tolerance"), [("out.gif", 24), ("out.webp", 12)])
def test_animations_have_alpha_and_times(tmp_path: Path, name: str, tolerance: int) -> None:
    """A red disc that moves; where it was before, the frame is transparent."""
    clip = open_clip(write_clip(tmp_path / "clip.mp4"))
    columns = range(12, 12 + 15 * len(TIMES), 15)
    with FileWriter(tmp_path / name, KINDS[Path(name).suffix], clip, None) as writer:
        for time, column in zip(TIMES, columns, strict=True):
            alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.circle(alpha, (column, HEIGHT // 2), 7, 255, -1)
            writer.write(Cutout(np.full((HEIGHT, WIDTH, 3), RED, np.uint8), alpha), time)
    shown_ms = []
    with Image.open(tmp_path / name) as image:
        assert image.n_frames == len(TIMES)  # type: ignore[attr-defined]
        assert image.info["loop"] == 0
        for number, column in enumerate(columns):
            image.seek(number)
            row = np.asarray(image.convert("RGBA"))[HEIGHT // 2]
            assert np.abs(row[column].astype(int) - (*RED, 255)).max() <= tolerance
            assert row[[x for x in columns if x != column], 3].max() == 0
            shown_ms.append(image.info["duration"])
    assert shown_ms[:-1] == pytest.approx(np.diff(SECONDS) * 1000, abs=10)


def test_sound_that_a_file_cannot_hold_is_encoded_anew(tmp_path: Path) -> None:
    content = converted(write_clip(tmp_path / "a.mkv", audio="flac"), "b.mov")
    assert content.audio_codec == "pcm_s16le"
    assert content.audio_s == pytest.approx(0.2, abs=0.05)
    assert content.peak > 3000  # of 32767


@pytest.mark.parametrize("name", ["b.mov", "b.webm"])
def test_a_gap_in_the_sound_stays_when_it_is_encoded_anew(tmp_path: Path, name: str) -> None:
    clip = write_clip(tmp_path / "a.mkv", audio="pcm_f32le", gap_s=2.5)
    assert converted(clip, name).audio_s == pytest.approx(2.7, abs=0.05)


def test_damaged_sound_is_not_called_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", audio="flac")
    with av.open(str(clip)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    data = clip.read_bytes()
    for packet in sound:
        data = data.replace(packet, b"\xff" * len(packet))
    clip.write_bytes(data)
    with pytest.raises(VideoError, match="the audio is damaged"):
        convert_file(clip, tmp_path / "b.mov")


def test_opus_stays_opus(tmp_path: Path) -> None:
    once = tmp_path / "once.webm"
    convert_file(write_clip(tmp_path / "a.mp4"), once)
    twice = converted(once, "twice.webm")
    assert twice.audio_codec == "opus"
    assert twice.audio_s == pytest.approx(read(once).audio_s, abs=0.01)


def test_a_silent_clip_stays_silent(tmp_path: Path) -> None:
    assert converted(write_clip(tmp_path / "a.mp4", audio=None), "b.webm").audio_codec is None


@pytest.mark.parametrize(
    ("matrix", "written"),
    [(Colorspace.ITU709, {1}), (Colorspace.ITU601, {5, 6})],  # two numbers of one matrix
)
def test_the_matrix_stays_what_it_was(
    tmp_path: Path, matrix: Colorspace, written: set[int]
) -> None:
    content = converted(write_clip(tmp_path / "a.mp4", matrix=matrix), "b.mov")
    assert content.matrix in written
    check_picture(content)


def test_the_old_background_does_not_hide_under_alpha_0(tmp_path: Path) -> None:
    for name in ("b.webm", "b.mov"):
        content = converted(write_clip(tmp_path / "a.mp4"), name)
        hidden = content.frames[2][:, WIDTH // 2 + 12 :, :3].astype(int)
        assert np.abs(hidden - BLUE).max(axis=2).min() > 60
        beside = content.frames[2][:, WIDTH // 2 - 8 : WIDTH // 2 - 4, :3].astype(int)
        assert np.abs(beside - RED).max() <= 12  # the edge is not darkened


def test_a_turned_clip_is_written_upright(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4")
    turn(source)
    out = tmp_path / "b.mov"
    convert_file(source, out)
    rgba = read(out).frames[0]
    assert rgba.shape == (WIDTH, HEIGHT, 4)
    assert (rgba[:, -10:, 3] == 0).all()


def test_a_sequence_is_one_png_a_frame(tmp_path: Path) -> None:
    pattern = tmp_path / "frames" / "f-%03d.png"
    convert_file(write_clip(tmp_path / "a.mp4"), pattern)
    names = sorted(path.name for path in pattern.parent.iterdir())
    assert names == [f"f-{number:03d}.png" for number in range(1, 6)]
    rgba = np.asarray(Image.open(pattern.parent / names[0]))
    assert rgba.shape == (HEIGHT, WIDTH, 4)
    assert (rgba[:, 60:] == 0).all()


def test_a_frame_has_its_name_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            if len(names) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            names.append(f"{len(names) + 1}.png")
            return file.write(data[len(data) // 2 :])

    names: list[str] = []
    monkeypatch.setattr(Path, "write_bytes", full)
    clip = write_clip(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="No space left"):
        convert_file(clip, tmp_path / "frames" / "%d.png")
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == names


def test_frames_stream_through(tmp_path: Path) -> None:
    class Watching(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            lead.append(len(self.predicted) - len(written))
            return super().predict(batch)

    lead: list[int] = []
    written: list[None] = []
    clip = open_clip(write_clip(tmp_path / "a.mp4", times=range(0, 15 * 512, 512)))
    out, kind = tmp_path / "b.mov", ".mov"
    convert(clip, out, kind, Watching(), OFF, 1, lambda: written.append(None))
    assert len(written) == 15
    assert max(lead) <= 4  # one at each of two pools, one held by the filter, one at hand


def test_after_an_error_only_the_work_that_has_begun_is_finished() -> None:
    cancelled = threading.Event()
    futures: list[Future[bool]] = []

    def fail() -> None:
        with worker_threads(1, "predictor") as pool:
            futures.extend(pool.submit(cancelled.wait, 60) for _ in range(2))
            futures[1].add_done_callback(lambda _: cancelled.set())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert futures[0].result()
    assert futures[1].cancelled()


def test_a_clip_without_a_subject_is_empty(tmp_path: Path) -> None:
    class Blind(FakePredictor):
        def predict(self, batch: Sequence[ModelInput]) -> list[Matte]:
            return [np.full(self.input_size, 0.4, np.float32) for _ in batch]

    out = tmp_path / "b.mov"
    convert_file(write_clip(tmp_path / "a.mp4"), out, Blind())
    assert all((rgba[..., 3] == 0).all() for rgba in read(out).frames)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be written"):
        convert_file(write_clip(tmp_path / "a.mp4"), tmp_path / "none" / "b.webm")


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.webm", "libvpx", "yuva420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
    ],
)
def test_what_the_clip_hides_stays_hidden(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    source = write_transparent(tmp_path / name, codec, pixels, [slice(0, 24)] * 3)
    convert_file(source, tmp_path / "b.mov")
    frames = read(tmp_path / "b.mov").frames
    assert len(frames) == 3
    for rgba in frames:
        assert rgba[:, :20, 3].max() <= 2
        assert rgba[:, 28:40, 3].min() >= 253


def test_what_one_frame_hides_does_not_come_back_from_the_next(tmp_path: Path) -> None:
    hidden = [None, slice(0, 24), None]
    source = write_transparent(tmp_path / "a.mov", "png", "rgba", hidden)
    convert_file(source, tmp_path / "b.mov")
    frames = read(tmp_path / "b.mov").frames
    assert frames[1][:, :20, 3].max() <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_an_error_the_output_is_closed(tmp_path: Path) -> None:
    def opened() -> list[str]:
        numbers = os.listdir("/proc/self/fd")  # noqa: PTH208
        paths = [os.path.realpath(f"/proc/self/fd/{number}") for number in numbers]
        return [path for path in paths if path.startswith(str(tmp_path))]

    out = tmp_path / "b.webm"
    with pytest.raises(InferenceError):
        convert_file(write_clip(tmp_path / "a.mp4"), out, FakePredictor([InferenceError("broken")]))
    assert opened() == []
