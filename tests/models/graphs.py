"""ONNX files of tiny networks."""

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper


def graph(
    path: Path,
    operators: tuple[str, ...] = (),
    shape: tuple[Any, ...] = (1, 3, 8, 8),
    element: int = TensorProto.FLOAT,
    inputs: int = 1,
    outputs: int = 1,
) -> Path:
    """A network: mean over the channels, then `operators` in turn."""
    nodes = [helper.make_node("ReduceMean", ["x0"], ["y0"], axes=[1], keepdims=1)]
    nodes += [
        helper.make_node(operator, [f"y{i}"], [f"y{i + 1}"]) for i, operator in enumerate(operators)
    ]
    feeds = [helper.make_tensor_value_info(f"x{i}", element, shape) for i in range(inputs)]
    result = helper.make_tensor_value_info(f"y{len(operators)}", element, None)
    made = helper.make_graph(nodes, "tiny", feeds, [result] * outputs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path
