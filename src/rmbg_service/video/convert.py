"""One clip from its file to a file without its background."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import av
import numpy as np
from av.container import InputContainer

from rmbg_service.errors import VideoError
from rmbg_service.imaging.compose import WHITE, on_colour
from rmbg_service.imaging.cutout import Cutout
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.temporal import (
    MattedFrame,
    Neighbourhood,
    mean_with_neighbours,
    neighbourhoods,
)
from rmbg_service.models.predictor import Predictor
from rmbg_service.removal import pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Prediction, predict
from rmbg_service.types import Alpha, Colour, RgbImage
from rmbg_service.video.reader import Clip, Frame, frames_and_audio
from rmbg_service.video.sequence import SequenceWriter
from rmbg_service.video.writer import KINDS, FileWriter, Writer

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class _Predicted(NamedTuple):
    """A frame and what the network says about it."""

    frame: Frame
    prediction: Prediction


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

    `kind` is a key of `KINDS`, or `.png` if `out` is a numbered name such as `frame-%05d.png`.
    `predictor` is a loaded one; of `options`, `detail`, `decontaminate` and `background` count. A
    kind without alpha has a white background by default. Frames stream through: about
    `2 * threads + 4` are in memory. One thread predicts, `threads` refine and cut out the frames
    before, and the calling one decodes and writes. Raises `VideoError`.
    """
    with (
        av.open(str(clip.path)) as container,
        worker_threads(threads, "frames") as pool,
        worker_threads(1, "predictor") as model,
    ):
        try:
            colour = _background(kind, options)
            with _writer(clip, out, kind, container) as writer:
                frames = _frames(clip, container, writer)
                predicted = _in_order(model, lambda f: _predict(f, predictor, options), frames, 1)
                matted = _in_order(pool, lambda f: _full_size(f, options), predicted, threads)
                triples = neighbourhoods(matted)
                cutouts = _in_order(pool, lambda t: _cut_out(t, options, colour), triples, threads)
                for cutout, pts in cutouts:
                    writer.write(cutout, pts)
                    advance()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"cannot be written: {error.strerror or error}") from None


def _frames(clip: Clip, container: InputContainer, writer: Writer) -> Iterator[Frame]:
    """The frames; audio that comes between them goes to the writer."""
    for part in frames_and_audio(clip, container):
        if isinstance(part, Frame):
            yield part
        else:
            writer.pass_audio(part)


def _predict(frame: Frame, predictor: Predictor, options: RemovalOptions) -> _Predicted:
    return _Predicted(frame, predict(_source(frame.rgb, frame.alpha), predictor, options))


def _full_size(predicted: _Predicted, options: RemovalOptions) -> MattedFrame:
    frame, prediction = predicted
    source = _source(frame.rgb, frame.alpha)
    alpha = pipeline.full_size_alpha(source, prediction, options)
    return MattedFrame(frame.rgb, alpha, frame.pts, frame.alpha)


def _background(kind: str, options: RemovalOptions) -> Colour | None:
    if options.background is not None:
        return options.background.value
    return None if kind not in KINDS or KINDS[kind].has_alpha else WHITE


def _cut_out(
    neighbourhood: Neighbourhood, options: RemovalOptions, background: Colour | None
) -> tuple[Cutout, int]:
    """The cutout of a frame, its alpha averaged over time, and its presentation time."""
    frame = mean_with_neighbours(neighbourhood)
    alpha = frame.alpha
    if frame.own_alpha is not None:  # the mean must not show what this frame hides
        alpha = np.minimum(alpha, frame.own_alpha)
    rgb = pipeline.clean_colours(_source(frame.rgb, frame.own_alpha), alpha, options)
    cutout = Cutout(rgb, alpha)
    return cutout if background is None else on_colour(cutout, background), frame.pts


def _source(rgb: RgbImage, alpha: Alpha | None) -> SourceImage:
    height, width = rgb.shape[:2]
    return SourceImage(ImageInfo("video", width, height), rgb, alpha)


@contextmanager
def worker_threads(threads: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that after an error or an interrupt finish what they have begun, and no more."""
    pool = ThreadPoolExecutor(threads, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int
) -> Iterator[_Out]:
    """`map` through the pool, in order, at most `ahead` items ahead of the consumer."""
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
