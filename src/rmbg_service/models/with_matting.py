"""A predictor and a matting network beside it, behind one `Predictor`."""

from collections.abc import Sequence
from typing import Any

from rmbg_service.models.predictor import Predictor
from rmbg_service.types import Matte, MattingInput, ModelInput


class PredictorWithMatting:
    """Predicts model inputs with `predictor`, and matting inputs, of four channels, with `matting`.

    Whoever drives it treats both alike: one thread, one queue, one kind of error. Its name, licence
    and input size are those of `predictor`, and so is whatever else that tells about itself.
    """

    def __init__(self, predictor: Predictor, matting: Predictor) -> None:
        self.predictor = predictor
        self.matting = matting

    def __getattr__(self, name: str) -> Any:
        """Facts that only some predictors tell, such as their number format."""
        if name in ("predictor", "matting"):  # not set yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.predictor, name)

    @property
    def name(self) -> str:
        """The name of the predictor."""
        return self.predictor.name

    @property
    def licence(self) -> str:
        """The licence of the predictor's weights."""
        return self.predictor.licence

    @property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of model inputs."""
        return self.predictor.input_size

    @property
    def device(self) -> str:
        """Where the predictor runs."""
        return self.predictor.device

    @property
    def device_memory_bytes(self) -> int:
        """What both hold on an accelerator, which PyTorch reports for both together."""
        return max(self.predictor.device_memory_bytes, self.matting.device_memory_bytes)

    def load(self) -> None:
        """Load both, and warm up the matting network: `warm_up` measures the predictor alone."""
        self.predictor.load()
        self.matting.load()
        self.matting.warm_up()

    def warm_up(self) -> None:
        """Warm up the predictor."""
        self.predictor.warm_up()

    def predict(self, batch: Sequence[ModelInput | MattingInput]) -> list[Matte]:
        """One matte for each input, at the input's size; see `Predictor.predict`."""
        mattes: dict[int, Matte] = {}
        for network, channels in ((self.predictor, 3), (self.matting, 4)):
            places = [i for i, image in enumerate(batch) if image.shape[2] == channels]
            if places:
                found = network.predict([batch[i] for i in places])
                mattes.update(zip(places, found, strict=True))
        return [mattes[i] for i in range(len(batch))]

    def close(self) -> None:
        """Free both."""
        self.predictor.close()
        self.matting.close()


def matting_of(predictor: Predictor) -> Predictor | None:
    """The matting network beside `predictor`, if there is one."""
    return predictor.matting if isinstance(predictor, PredictorWithMatting) else None
