"""One admitted picture on its way through the service."""

import time
from dataclasses import dataclass, field

from rmbg_service.errors import Cancelled, DeadlineExceeded, InvalidImage
from rmbg_service.imaging.decode import decode
from rmbg_service.imaging.source import ImageInfo
from rmbg_service.matting.plan import TimeBudget
from rmbg_service.removal import pipeline
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.removal.passes import Passes, predict_passes
from rmbg_service.removal.result import Encoded, background_pixels, encode
from rmbg_service.serving.fair_share import Visit
from rmbg_service.serving.timings import StageTimings
from rmbg_service.types import RgbImage


class Abandoned(Cancelled):
    """The client has left; nobody waits for the result."""


@dataclass(eq=False)
class Job:
    """A picture and what to do with it.

    `deadline` is on `time.monotonic`'s clock, `visit` the request that the job belongs to. A client
    that leaves only sets `abandoned`, which is checked between the stages. `predictor_s` is the
    job's own share of the predictor's time. `data` is empty once it is decoded.
    """

    data: bytes
    info: ImageInfo
    options: RemovalOptions
    deadline: float
    visit: Visit
    background: bytes | None = None
    background_info: ImageInfo | None = None
    timings: StageTimings = field(default_factory=StageTimings)
    abandoned: bool = False
    predictor_s: float = 0.0

    @property
    def pixels(self) -> int:
        """Pixels of the picture and its background."""
        background = 0 if self.background_info is None else self.background_info.pixels
        return self.info.pixels + background

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
            source = pipeline.read(self.data, self.info, self.options)
            self.data = b""
            passes = predict_passes(source, self.options, input_size, self._time_budget)
            inputs = next(passes)
        while True:
            mattes = yield inputs
            self.check()
            with self.timings.measure("refine"):
                try:
                    inputs = passes.send(mattes)
                except StopIteration as end:
                    prediction = end.value
                    break
        self.check()
        with self.timings.measure("refine"):
            cutout = pipeline.cut_out(source, prediction, self.options)
        self.check()
        with self.timings.measure("encode"):
            return encode(cutout, self.options, max_pixels, self._background_pixels())

    def _time_budget(self) -> TimeBudget:
        """The time left, and what the first prediction took of it, with its wait in the queue."""
        seconds = self.timings.seconds
        prediction_s = seconds.get("queue", 0.0) + seconds.get("predict", 0.0)
        return TimeBudget(prediction_s, max(0.0, self.deadline - time.monotonic()))

    def _background_pixels(self) -> RgbImage | None:
        if self.background is None or self.background_info is None:
            return None
        try:
            return background_pixels(decode(self.background, self.background_info))
        except InvalidImage as error:
            raise InvalidImage(f"the background: {error}") from None
