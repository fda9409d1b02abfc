"""One clip from its file to a file with alpha."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import av
import numpy as np
from av.container import InputContainer

from rmbg_service.errors import VideoError
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.plan import to_full_size
from rmbg_service.matting.temporal import MattedFrame, steady
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.remove import Prediction, predict
from rmbg_service.video.reader import Clip, Frame, frames_and_audio
from rmbg_service.video.sequence import SequenceWriter
from rmbg_service.video.writer import KINDS, FileWriter, Writer

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class _Predicted(NamedTuple):
    """A frame and what the network says of it."""

    frame: Frame
    found: Prediction


def convert(
    clip: Clip,
    out: Path,
    kind: str,
    predictor: Predictor,
    options: RemovalOptions,
    threads: int,
    advance: Callable[[], None],
) -> None:
    """Write the clip without its background to `out`; `advance` is called for each frame.

    `kind` is a key of `KINDS`, or `.png` where `out` is a numbered name such as `frame-%05d.png`.
    `predictor` is a loaded one; of `options`, `detail` and `decontaminate` count. Frames stream
    through: about `2 * threads` are in memory, and that many are refined at once while the next
    ones are decoded and predicted. Raises `VideoError`.
    """
    with av.open(str(clip.path)) as container, ThreadPoolExecutor(threads, "frames") as pool:
        try:
            writer = _writer(clip, out, kind, container)
            predicted = _predict(_frames(clip, container, writer), predictor, options)
            steadied = steady(_in_order(pool, _matte, predicted, threads))
            cutouts = _in_order(pool, lambda f: _cut_out(f, options), steadied, threads)
            for cutout, pts in cutouts:
                writer.write(cutout, pts)
                advance()
            writer.close()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"cannot be written: {error.strerror or error}") from None


def _frames(clip: Clip, container: InputContainer, writer: Writer) -> Iterator[Frame]:
    """The frames; audio that comes between them goes to the writer."""
    for part in frames_and_audio(clip, container):
        if isinstance(part, Frame):
            yield part
        else:
            writer.pass_audio(part)


def _predict(
    frames: Iterable[Frame], predictor: Predictor, options: RemovalOptions
) -> Iterator[_Predicted]:
    for frame in frames:
        height, width = frame.rgb.shape[:2]
        source = SourceImage(ImageInfo("video", width, height), frame.rgb)
        yield _Predicted(frame, predict(source, predictor, options))


def _matte(predicted: _Predicted) -> MattedFrame:
    frame, (matte, guided) = predicted
    if matte.max() < pipeline.FOUND:
        return MattedFrame(frame.rgb, np.zeros(frame.rgb.shape[:2], np.uint8), frame.pts)
    return MattedFrame(frame.rgb, to_full_size(frame.rgb, matte, guided), frame.pts)


def _cut_out(frame: MattedFrame, options: RemovalOptions) -> tuple[Cutout, int]:
    rgb = estimate_foreground(frame.rgb, frame.alpha) if options.decontaminate else frame.rgb
    return Cutout(rgb, frame.alpha), frame.pts


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int
) -> Iterator[_Out]:
    """`map` through the pool, in order, at most `ahead` items ahead of what was taken."""
    running: deque[Future[_Out]] = deque()
    for item in items:
        running.append(pool.submit(work, item))
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _writer(clip: Clip, out: Path, kind: str, container: InputContainer) -> Writer:
    if kind not in KINDS:
        return SequenceWriter(out)
    audio = container.streams.audio[0] if clip.has_audio else None
    return FileWriter(out, KINDS[kind], clip, audio)
