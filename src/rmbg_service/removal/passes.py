"""What the network is asked for one image, and in which order.

`predict_passes` is a generator in the manner of httpx's auth flows: it yields batches of model
inputs, receives their mattes, and returns the `Prediction`. It needs neither a predictor nor a
queue; whoever drives it brings its own. `predict` drives it with a predictor at hand, the serving
engine through its queue.
"""

import time
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from rmbg_service.errors import NoMattingModel
from rmbg_service.imaging.colour import rgb_to_srgb
from rmbg_service.imaging.resize import shrink, shrink_visible
from rmbg_service.imaging.source import SourceImage
from rmbg_service.imaging.tiling import Tile
from rmbg_service.matting.augmentation import FULL_VIEW, View, combine_views
from rmbg_service.matting.plan import TimeBudget, plan_detail
from rmbg_service.matting.trimap import BACKGROUND, Band
from rmbg_service.matting.upsampling import Refinement
from rmbg_service.models.predictor import Predictor, require_matte
from rmbg_service.models.with_matting import matting_of
from rmbg_service.removal.options import RemovalOptions
from rmbg_service.types import Alpha, Matte, MattingInput, ModelInput

FOUND = 0.5
"""A matte that reaches this somewhere has a subject."""

TILES_AT_ONCE = 8
"""Tiles that wait for the matting network together, so that no more are in memory."""

_Result = TypeVar("_Result")


class Prediction(NamedTuple):
    """What the network says about an image, the mattes of all views combined.

    `refinement` says how the matte is brought to full size. `alpha` is the result of that, if it is
    known already.
    """

    matte: Matte
    refinement: Refinement
    alpha: Alpha | None = None

    @property
    def found(self) -> bool:
        """Whether there is a subject: the matte reaches 0.5 somewhere."""
        if self.alpha is not None:
            return bool(self.alpha.max() >= FOUND * 255)
        return bool(self.matte.max() >= FOUND)

    @property
    def confidence(self) -> float:
        """How decided the network is about what it keeps, in [0, 1]: sum(m^2) / sum(m)."""
        total = float(self.matte.sum(dtype=np.float64))
        return float(np.square(self.matte, dtype=np.float64).sum()) / total if total > 0 else 0.0


Passes: TypeAlias = Generator[Sequence[ModelInput | MattingInput], Sequence[Matte], _Result]
"""Yields model or matting inputs, is sent one matte for each, and returns a result."""


def predict_passes(
    source: SourceImage,
    options: RemovalOptions,
    input_size: tuple[int, int],
    budget: Callable[[], TimeBudget] = TimeBudget,
) -> Passes[Prediction]:
    """Ask for the full view, then for all further views that `options.detail` means, together.

    With `detail=matting`, the matting network is then asked for the tiles of the unsure band.
    `budget` is asked after the first prediction; by default, time is unlimited.
    """
    height, width = source.rgb.shape[:2]
    (matte,) = yield [model_input(source, FULL_VIEW, input_size)]
    plan = plan_detail(options.detail, matte, (height, width), input_size, budget())
    further: Sequence[Matte] = []
    if plan.views:
        further = yield [model_input(source, view, input_size) for view in plan.views]
    combined = combine_views(matte, (height, width), plan.views, further, plan.box_share)
    prediction = Prediction(combined, plan.refinement)
    if options.detail != "matting" or not prediction.found:
        return prediction
    return prediction._replace(alpha=(yield from _matting_passes(source, combined)))


def _matting_passes(source: SourceImage, matte: Matte) -> Passes[Alpha]:
    """Ask for the tiles of the band in which `matte` is unsure, a few at a time."""
    height, width = source.rgb.shape[:2]
    band = Band(matte, (height, width))
    tiles = list(band.tiles())
    for first in range(0, len(tiles), TILES_AT_ONCE):
        group = tiles[first : first + TILES_AT_ONCE]
        mattes = yield [_matting_input(source, band, tile) for tile in group]
        for tile, decided in zip(group, mattes, strict=True):
            band.add(tile, decided)
    return band.finish()


def require_matting_model(options: RemovalOptions, predictor: Predictor) -> None:
    """Raise `NoMattingModel` if `options` ask for a matting network and there is none."""
    if options.detail == "matting" and matting_of(predictor) is None:
        raise NoMattingModel(
            "detail=matting needs a matting model, which is switched on by the setting"
            " RMBG_MATTING_MODEL={example}",
            example="vitmatte-small-composition-1k",
        )


def predict(source: SourceImage, predictor: Predictor, options: RemovalOptions) -> Prediction:
    """Run all passes of a decoded image; each input is predicted on its own.

    Raises `InferenceError` if the predictor returns what is not a matte.
    """
    require_matting_model(options, predictor)
    seconds = 0.0
    passes = predict_passes(source, options, predictor.input_size, lambda: TimeBudget(seconds))
    inputs = next(passes)
    while True:
        started = time.perf_counter()
        mattes = [_predicted(predictor, model_input) for model_input in inputs]
        del inputs  # of many views, they take as much memory as the mattes
        seconds = time.perf_counter() - started
        try:
            inputs = passes.send(mattes)
        except StopIteration as end:
            prediction: Prediction = end.value
            return prediction


def _predicted(predictor: Predictor, seen: ModelInput | MattingInput) -> Matte:
    (matte,) = predictor.predict([seen])
    height, width = seen.shape[:2]
    require_matte(matte, (height, width))
    return matte


def model_input(source: SourceImage, view: View, input_size: tuple[int, int]) -> ModelInput:
    """What the network sees of an image in this view: `(h, w, 3)` uint8 sRGB of `input_size`."""
    part = source if view.box is None else source.cut(view.box)
    if part.alpha is None:
        small = shrink(part.rgb, input_size)
    else:
        small = shrink_visible(part.rgb, part.alpha, input_size)
    if view.mirrored:
        small = np.ascontiguousarray(small[:, ::-1])
    return small if source.icc is None else rgb_to_srgb(small, source.icc)


def _matting_input(source: SourceImage, band: Band, tile: Tile) -> MattingInput:
    """A tile of the image at full size, with its trimap; hidden pixels are background."""
    rgb, trimap = source.rgb[tile], band.trimap(tile)
    if source.alpha is not None:
        trimap[source.alpha[tile] == 0] = BACKGROUND
    if source.icc is not None:
        rgb = rgb_to_srgb(rgb, source.icc)
    return np.dstack((rgb, trimap))
