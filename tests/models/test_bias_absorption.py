from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from rmbg_service.models.bias_absorption import LARGE_BIAS, absorb_large_biases
from rmbg_service.models.store import EMBEDDED_PATH

RNG = np.random.default_rng(5)
BIAS = np.array([228.3, -300.0, 0.5, 90.7], np.float32)
ABSORBED = np.where(BIAS > LARGE_BIAS, BIAS, 0)


def convolution(name: str, read: str, channels: tuple[int, int], **attributes: Any) -> list[Any]:
    """A convolution with its tensors; `channels` are those of the input and the output."""
    weight = RNG.normal(size=(channels[1], channels[0], 3, 3)).astype(np.float32)
    bias = np.resize(BIAS, channels[1]).astype(np.float32)
    if "auto_pad" not in attributes:
        attributes = {"pads": [1, 1, 1, 1]} | attributes
    return [
        numpy_helper.from_array(weight, f"{name}.w"),
        numpy_helper.from_array(bias, f"{name}.b"),
        helper.make_node("Conv", [read, f"{name}.w", f"{name}.b"], [name], **attributes),
    ]


def network(*parts: Any, outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    """A model of nodes and tensors, from `x` of `(1, 3, 12, 10)` to `outputs`."""
    made = helper.make_graph(
        [part for part in parts if isinstance(part, onnx.NodeProto)],
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 12, 10))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [part for part in parts if isinstance(part, onnx.TensorProto)],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def node(operator: str, read: list[str], written: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, read, [written], **attributes)


def run(model: onnx.ModelProto, *names: str, scale: float = 9, side: int = 0) -> list[Any]:
    """What a model computes for noise, by default so strong that ReLU cuts off even large sums."""
    shape = (1, 3, side, side) if side else (1, 3, 12, 10)
    noise = np.random.default_rng(0).normal(scale=scale, size=shape).astype(np.float32)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    found: list[Any] = session.run(list(names) or None, {session.get_inputs()[0].name: noise})
    return found


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


SIZES = numpy_helper.from_array(np.array([1, 4, 12, 10], np.int64), "sizes")
NO_ROI = numpy_helper.from_array(np.array([], np.float32), "none")
POOLED_AND_RESIZED = network(
    *convolution("a", "x", (3, 4)),
    node("Relu", ["a"], "b"),
    node("MaxPool", ["b"], "c", kernel_shape=[2, 2], strides=[2, 2]),
    *convolution("d", "x", (3, 2)),
    SIZES,
    NO_ROI,
    node("Resize", ["c", "none", "none", "sizes"], "e", mode="linear"),
    node("Concat", ["d", "e", "b"], "f", axis=1),
    *convolution("g", "f", (10, 4), pads=[2, 2, 2, 2], dilations=[2, 2]),
    node("Relu", ["g"], "h"),
    *convolution("y", "h", (4, 1), pads=[0, 0, 2, 1]),
)


def test_a_network_computes_the_same_without_its_large_biases() -> None:
    model = copied(POOLED_AND_RESIZED)
    assert absorb_large_biases(model) == 2
    (before,), (after,) = run(POOLED_AND_RESIZED), run(model)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    assert float(before.std()) > 1
    # What is between the convolutions is smaller by what the bias was.
    (was,), (now,) = (
        run(with_output(POOLED_AND_RESIZED, "b"), "b"),
        run(with_output(model, "b"), "b"),
    )
    np.testing.assert_allclose(
        was - now, np.broadcast_to(ABSORBED[:, None, None], was.shape), atol=1e-4
    )
    assert (was == 0).any()


def with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    copy = copied(model)
    copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return copy


def largest_inputs(model: onnx.ModelProto) -> float:
    """The largest value that a convolution reads."""
    read = {node.input[0] for node in model.graph.node if node.op_type == "Conv"}
    copy = copied(model)
    names = sorted(read - {value.name for value in model.graph.input})
    for name in names:
        copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return max(float(np.abs(value).max()) for value in run(copy, *names, scale=1, side=320))


def test_the_embedded_model_stays_the_same_with_smaller_activations() -> None:
    original = onnx.load(EMBEDDED_PATH)
    model = copied(original)
    assert absorb_large_biases(model) == 2
    matte = original.graph.output[0].name
    (before,), (after,) = (run(each, matte, side=320) for each in (original, model))
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert before.max() - before.min() > 0.5
    assert largest_inputs(original) > 200
    assert largest_inputs(model) < 100


def chain(**attributes: Any) -> onnx.ModelProto:
    """Two convolutions, of which the second has these attributes."""
    return network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        *convolution("y", "b", (4, 1), **attributes),
    )


def unordered() -> onnx.ModelProto:
    """A chain whose order is wrong."""
    model = chain()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])
    return model


def grouped() -> onnx.ModelProto:
    model = chain(group=2)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "y.w")
    values = numpy_helper.to_array(weight).reshape(2, 2, 3, 3)[[0, 1]]
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), "y.w"))
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "y.b")
    bias.CopyFrom(numpy_helper.from_array(BIAS[:2], "y.b"))
    return model


def branching() -> onnx.ModelProto:
    """The activation is read within the branch of an If, too."""
    read = helper.make_graph(
        [node("Identity", ["b"], "z")],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    return network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        *convolution("y", "b", (4, 1)),
        numpy_helper.from_array(np.array(True), "true"),
        helper.make_node("If", ["true"], ["w"], then_branch=read, else_branch=read),
        outputs=("y", "w"),
    )


def test_the_bias_of_a_plain_chain_is_absorbed() -> None:
    assert absorb_large_biases(chain()) == 1


STAY = {
    "stride 2": lambda: chain(strides=[2, 2]),
    "groups": grouped,
    "padding by name": lambda: chain(auto_pad="SAME_UPPER"),
    "the activation is an output": lambda: network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        *convolution("y", "b", (4, 1)),
        outputs=("y", "b"),
    ),
    "the convolution is an output": lambda: network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        *convolution("y", "b", (4, 1)),
        outputs=("y", "a"),
    ),
    "read by a product": lambda: network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        *convolution("c", "b", (4, 4)),
        node("Mul", ["b", "c"], "y"),
    ),
    "concatenated along the height": lambda: network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        node("Concat", ["b", "b"], "c", axis=2),
        *convolution("y", "c", (4, 1)),
    ),
    "without a ReLU": lambda: network(
        *convolution("a", "x", (3, 4)), *convolution("y", "a", (4, 1))
    ),
    "an If": branching,
    "out of order": unordered,
}  # fmt: skip


@pytest.mark.parametrize("made", STAY.values(), ids=STAY)
def test_biases_stay_if_their_channel_is_more_than_a_sum(
    made: Callable[[], onnx.ModelProto],
) -> None:
    model = made()
    before = model.SerializeToString()
    assert absorb_large_biases(model) == 0
    assert model.SerializeToString() == before


def test_a_tensor_that_is_concatenated_twice_is_absorbed_twice() -> None:
    original = network(
        *convolution("a", "x", (3, 4)),
        node("Relu", ["a"], "b"),
        node("Concat", ["b", "b"], "c", axis=1),
        *convolution("y", "c", (8, 2)),
    )
    model = copied(original)
    assert absorb_large_biases(model) == 1
    (before,), (after,) = run(original), run(model)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
