"""One admitted image on its way through the service."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from rmbg_service.errors import Cancelled, DeadlineExceeded, InvalidImage, OutOfMemory
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.source import ImageInfo, SourceImage
from rmbg_service.matting.plan import TimeBudget
from rmbg_service.removal import pipeline
from rmbg_service.removal.attachments import Attachment, AttachmentName, named
from rmbg_service.removal.guidance import Guidance, prediction_of, read_matte, read_strokes
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Passes, Prediction, predict_passes
from rmbg_service.removal.result import Encoded, background_pixels, encode
from rmbg_service.serving.fair_share import Visit
from rmbg_service.serving.timings import StageTimings
from rmbg_service.system.memory_errors import as_memory_error
from rmbg_service.types import Matte, MattingInput, ModelInput, RgbImage

_T = TypeVar("_T")


class Abandoned(Cancelled):
    """The client has left; nobody waits for the result."""


@dataclass(eq=False, kw_only=True)
class CodecWork:
    """All work on an image but the predictions, which it asks for.

    `deadline` is on `time.monotonic`'s clock. A client that leaves only sets `abandoned`, which is
    checked between the stages. `data` is empty once it is decoded, and so is that of each
    attachment. `further` options make further files of the same prediction: they differ from
    `options` only in what `encode` uses.
    """

    data: bytes
    info: ImageInfo
    options: RemovalOptions
    deadline: float
    attachments: dict[AttachmentName, Attachment] = field(default_factory=dict)
    further: Sequence[RemovalOptions] = ()
    timings: StageTimings = field(default_factory=StageTimings)
    abandoned: bool = False

    def check(self) -> None:
        """Raise `Abandoned` or `DeadlineExceeded` if the result would be of no use to anyone."""
        if self.abandoned:
            raise Abandoned
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded("the job's deadline passed before it was finished")

    def run(self, input_size: tuple[int, int], max_pixels: int) -> Passes[Encoded]:
        """All of the job's work but the predictions, which it asks for; see `predict_passes`.

        Each step between two predictions takes long: run it in a thread.
        """
        self.check()
        with self.timings.measure("decode"):
            guidance = self._guidance()
            source = pipeline.read(self.data, self.info, self.options)
            self.data = b""
            guidance = guidance.within(source)
        if guidance.matte is None:
            prediction = yield from self._predict(source, input_size)
        else:
            with self.timings.measure("refine"):
                prediction = prediction_of(guidance.matte, source.rgb.shape[:2], self.options)
        self.check()
        with self.timings.measure("refine"):
            cutout = pipeline.cut_out(source, prediction, self.options, guidance.strokes)
        self.check()
        with self.timings.measure("encode"):
            background = self._background_pixels()
            result, *further = (
                encode(cutout, options, max_pixels, background, self.check)
                for options in (self.options, *self.further)
            )
            return replace(result, further=further)

    def _predict(self, source: SourceImage, input_size: tuple[int, int]) -> Passes[Prediction]:
        with self.timings.measure("decode"):
            passes = predict_passes(source, self.options, input_size, self._time_budget)
            inputs = next(passes)
        while True:
            mattes = yield inputs
            del inputs  # of many views, they take as much memory as the mattes
            self.check()
            with self.timings.measure("refine"):
                try:
                    inputs = passes.send(mattes)
                except StopIteration as end:
                    prediction: Prediction = end.value
                    return prediction

    def _time_budget(self) -> TimeBudget:
        """The time left, and what the first prediction took of it, with its wait in the queue."""
        seconds = self.timings.seconds
        prediction_s = seconds.get("queue", 0.0) + seconds.get("predict", 0.0)
        return TimeBudget(prediction_s, max(0.0, self.deadline - time.monotonic()))

    def _guidance(self) -> Guidance:
        size = self.info.height, self.info.width
        matte = self._decoded("matte", lambda image: read_matte(image, size))
        return Guidance(matte, self._decoded("strokes", lambda image: read_strokes(image, size)))

    def _background_pixels(self) -> RgbImage | None:
        return self._decoded("background_image", background_pixels)

    def _decoded(self, name: AttachmentName, read: Callable[[SourceImage], _T]) -> _T | None:
        """What `read` makes of the image that is attached by this name."""
        if name not in self.attachments:
            return None
        file = self.attachments[name]
        self.attachments[name] = file._replace(data=b"")
        try:
            return read(decode(file.data, file.info, as_values=name == "matte"))
        except InvalidImage as error:
            raise named(name, error) from None


@dataclass(eq=False, kw_only=True)
class Job(CodecWork):
    """An image and what to do with it.

    `visit` is the request that the job belongs to, `predictor_s` the job's own share of the
    predictor's time.
    """

    visit: Visit
    predictor_s: float = 0.0

    @property
    def pixels(self) -> int:
        """Pixels of the image and its attachments."""
        return self.info.pixels + sum(file.info.pixels for file in self.attachments.values())

    @property
    def needs_prediction(self) -> bool:
        """Whether the network is asked for a matte."""
        return "matte" not in self.attachments


Step: TypeAlias = Sequence[ModelInput | MattingInput] | Encoded
"""What a job asks the predictor for, or its result."""

Advance: TypeAlias = Callable[[Sequence[Matte] | None], Step]
"""Takes the mattes that the job has asked for, None at first, and works until its next step."""


def advance(passes: Passes[Encoded], mattes: Sequence[Matte] | None) -> Step:
    """The next step of a job, see `Advance`. Raises `OutOfMemory`."""
    try:
        with as_memory_error():
            return next(passes) if mattes is None else passes.send(mattes)
    except StopIteration as end:  # a future cannot hold it
        result: Encoded = end.value
        return result
    except MemoryError:
        pass  # raised below, outside this block: the exception holds the frames with the arrays
    raise no_memory()


def no_memory() -> OutOfMemory:
    """What a job that the host has no memory for ends in."""
    return OutOfMemory("the service has no memory left for this image: try again later")
