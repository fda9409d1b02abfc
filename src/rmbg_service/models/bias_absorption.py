"""Prepares an ONNX network for bfloat16: large constants are taken out of its activations.

bfloat16 has eight significant bits. If batch normalisation was merged into the convolutions, a
channel may be a small signal on top of a large constant that a later bias takes away again. In
u2netp one is 228 plus a signal which is then multiplied by 5.6: bfloat16 rounds it to whole
numbers. Absorbing high biases (Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction", ICCV 2019, section 4.1.3) moves the constant c to where it is used:

    Relu(x + b)  becomes  Max(x + b - c, -c), which is smaller by c,
    Conv(y)      becomes  Conv(y - c) + Conv(c), whose second term does not depend on the image.

Unlike in the paper, nothing is approximated: Max keeps what Relu would have cut off, and Conv(c)
is a map, because zeros pad the image at its border.
"""

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

LARGE_BIAS = 32.0
"""A bias above this is absorbed: bfloat16 keeps such sums in steps of 1/4 or more."""

_PLAIN_RESIZE = (b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners")

_Array = NDArray[np.float32]


class _Use(NamedTuple):
    """A convolution that reads a tensor, as its input channels from the first one on."""

    convolution: onnx.NodeProto
    first_channel: int


def absorb_large_biases(model: onnx.ModelProto) -> int:
    """Change `model` in place; the number of convolutions that have lost their large biases.

    A bias stays if its channel reaches anything but convolutions of a fixed size, by way of ReLU,
    interpolation, maximum pooling and concatenation. A model with branches or loops, or whose nodes
    are out of order, stays as it is.
    """
    if not _has_large_bias(model.graph):
        return 0
    if _has_subgraphs(model.graph) or not _is_sorted(model.graph):
        return 0
    network = _Network(model)
    return sum(network.absorb(node) for node in list(model.graph.node) if node.op_type == "Conv")


class _Network:
    """A graph by what its nodes read and write."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self.outputs = {value.name for value in self.graph.output}
        self.writers = {name: node for node in self.graph.node for name in node.output}
        self.readers: dict[str, list[tuple[onnx.NodeProto, int]]] = {}
        for node in self.graph.node:
            for position, name in enumerate(node.input):
                self.readers.setdefault(name, []).append((node, position))
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True).graph
        self.shapes = {
            value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in (*inferred.value_info, *inferred.output)
        }
        self.missing: dict[str, _Array] = {}
        """By the output of a convolution, the constants that its input channels have lost."""

    def absorb(self, node: onnx.NodeProto) -> bool:
        """Take the large biases from a convolution, and give it what its input has lost."""
        if not self._is_plain(node):
            return False
        name = node.output[0]
        weight, bias = self._weight(node), self._bias(node)
        missing = self.missing.get(name, np.zeros(weight.shape[1], np.float32))
        taps = np.einsum("ocij,c->oij", weight, missing, dtype=np.float64)
        whole_bias = bias + taps.sum(axis=(1, 2))
        large = np.where(whole_bias > LARGE_BIAS, whole_bias, 0).astype(np.float32)
        uses = self._uses_after_relu(node) if large.any() else None
        if not uses:
            large[:] = 0
        if taps.any():
            self._add_map(node, self._padded_constant(node, taps) + (bias - large)[:, None, None])
        elif large.any():
            node.input[2] = self._new_tensor(f"{name}.bias", bias - large)
        if not uses:
            return False
        (relu, _) = self.readers[name][0]
        relu.op_type = "Max"
        relu.input.append(self._new_tensor(f"{name}.least", -large[None, :, None, None]))
        for convolution, first in uses:
            lost = np.zeros(self._weight(convolution).shape[1], np.float32)
            lost[first : first + len(large)] = large
            reader = convolution.output[0]
            self.missing[reader] = self.missing.get(reader, np.float32(0)) + lost
        return True

    def _is_plain(self, node: onnx.NodeProto) -> bool:
        """Whether it is a two-dimensional float32 convolution of stride 1 and a fixed size."""
        weight = self.tensors.get(node.input[1])
        attributes = _attributes(node)
        return (
            weight is not None
            and weight.data_type == onnx.TensorProto.FLOAT
            and len(weight.dims) == 4
            and all(name in self.tensors for name in node.input[2:])
            and len(size := self.shapes.get(node.output[0], ())) == 4
            and all(size)
            and attributes.get("group", 1) == 1
            and all(step == 1 for step in attributes.get("strides", []))
            and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        )

    def _weight(self, node: onnx.NodeProto) -> _Array:
        return numpy_helper.to_array(self.tensors[node.input[1]])

    def _bias(self, node: onnx.NodeProto) -> _Array:
        if len(node.input) < 3:
            return np.zeros(self._weight(node).shape[0], np.float32)
        return numpy_helper.to_array(self.tensors[node.input[2]])

    def _uses_after_relu(self, node: onnx.NodeProto) -> list[_Use] | None:
        """All convolutions that read it by way of a ReLU; None if anything else does."""
        name = node.output[0]
        readers = self.readers.get(name, [])
        if name in self.outputs or [reader.op_type for reader, _ in readers] != ["Relu"]:
            return None
        return self._uses(readers[0][0].output[0], 0)

    def _uses(self, name: str, first_channel: int) -> list[_Use] | None:
        """The convolutions that read a tensor whose first channel has moved to `first_channel`."""
        if name in self.outputs:
            return None
        uses: list[_Use] = []
        for node, position in self.readers.get(name, []):
            further: list[_Use] | None = None
            attributes = _attributes(node)
            if node.op_type == "Shape":
                further = []
            elif node.op_type == "Conv" and position == 0 and self._is_plain(node):
                further = [_Use(node, first_channel)]
            elif node.op_type == "Concat" and attributes["axis"] == 1:
                before = [self._channels(other) for other in node.input[:position]]
                if None not in before:
                    moved = first_channel + sum(count or 0 for count in before)
                    further = self._uses(node.output[0], moved)
            elif position == 0 and _carries_constants(node, attributes):
                further = self._uses(node.output[0], first_channel)
            if further is None:
                return None
            uses += further
        return uses

    def _channels(self, name: str) -> int | None:
        """How many channels a tensor has, if that is known."""
        shape = self.shapes.get(name, ())
        if len(shape) == 4 and shape[1]:
            return int(shape[1])
        writer = self.writers.get(name)
        if writer is None or writer.op_type not in ("Relu", "Max", "MaxPool", "Resize"):
            return None
        return self._channels(writer.input[0])

    def _padded_constant(self, node: onnx.NodeProto, taps: NDArray[np.float64]) -> _Array:
        """A convolution's response to constants, `(channels, height, width)`.

        `taps` has the response of each element of the kernel; those over the padding do not count.
        """
        attributes = _attributes(node)
        pads = attributes.get("pads", [0, 0, 0, 0])
        dilations = attributes.get("dilations", [1, 1])
        inside = []
        for axis, size in enumerate(self.shapes[node.output[0]][2:]):
            offsets = dilations[axis] * np.arange(taps.shape[1 + axis]) - pads[axis]
            read = offsets[:, None] + np.arange(size)
            length = size + offsets[-1] - pads[axis + 2]
            inside.append((read >= 0) & (read < length))
        rows, columns = inside
        return np.asarray(np.einsum("oij,iy,jx->oyx", taps, rows, columns), np.float32)

    def _add_map(self, node: onnx.NodeProto, constant: _Array) -> None:
        """Add a map to the output of a convolution, in place of its bias."""
        name = node.output[0]
        del node.input[2:]
        node.output[0] = f"{name}.signal"
        added = [node.output[0], self._new_tensor(f"{name}.constant", constant[None])]
        place = next(i for i, other in enumerate(self.graph.node) if other.output[0] == added[0])
        self.graph.node.insert(place + 1, helper.make_node("Add", added, [name]))

    def _new_tensor(self, name: str, values: _Array) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model whose weights are inputs: shape inference copies what a model has, twice."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.CopyFrom(
        onnx.GraphProto(
            name=model.graph.name,
            node=model.graph.node,
            input=model.graph.input,
            output=model.graph.output,
            value_info=model.graph.value_info,
        )
    )
    known = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if len(tensor.dims) < 2:
            light.graph.initializer.append(tensor)  # may be a size that others depend on
        elif tensor.name not in known:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return light


def _has_large_bias(graph: onnx.GraphProto) -> bool:
    """Whether a convolution has a bias that would be absorbed, by a look at the biases alone."""
    biases = {node.input[2] for node in graph.node if node.op_type == "Conv" and node.input[2:]}
    return any(
        bool((numpy_helper.to_array(tensor) > LARGE_BIAS).any())
        for tensor in graph.initializer
        if tensor.name in biases
    )


def _has_subgraphs(graph: onnx.GraphProto) -> bool:
    return any(attribute.HasField("g") for node in graph.node for attribute in node.attribute)


def _is_sorted(graph: onnx.GraphProto) -> bool:
    """Whether each node comes after those whose output it reads, as ONNX requires."""
    unwritten = {name for node in graph.node for name in node.output if name}
    for node in graph.node:
        if not unwritten.isdisjoint(node.input):
            return False
        unwritten.difference_update(node.output)
    return True


def _carries_constants(node: onnx.NodeProto, attributes: dict[str, Any]) -> bool:
    """Whether a constant added to the input is added to the output."""
    if node.op_type == "MaxPool":
        return len(node.output) == 1
    mode = attributes.get("coordinate_transformation_mode", b"half_pixel")
    return node.op_type == "Resize" and mode in _PLAIN_RESIZE


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
