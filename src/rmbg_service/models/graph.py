"""What an ONNX file's graph is for the predictor, whichever runtime has opened it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray


class GraphInput(NamedTuple):
    """One input: its name, its type as ONNX Runtime writes it, and its shape.

    A side that the graph leaves open is anything but a positive int.
    """

    name: str
    type: str
    shape: Sequence[object]


class Graph(Protocol):
    """An open graph; `outputs` is how many it has."""

    inputs: Sequence[GraphInput]
    outputs: int

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output for the only input; raises what the runtime raises."""
        ...
