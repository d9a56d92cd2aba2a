"""Convert a network to an ONNX model.

JAX traces the network. Operations that do not depend on the input are evaluated and become constants; each other operation
becomes a node. The number of sequences is traced as one special number, so that the dimensions that depend on it are recognised
by their size. Constants that half precision holds exactly, as the weights that ship, are stored in it, which halves the file.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import onnx

_ROWS = 65_537  # the special number of sequences: a prime above any width, so that no other dimension is a multiple of it
_LARGE = 100  # numbers in a constant that may be stored in half precision
_OPSET, _IR_VERSION = 17, 8  # of 2022, which older runtimes support too
_NODES = {
    "add": "Add",
    "div": "Div",
    "exp": "Exp",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "logistic": "Sigmoid",
    "max": "Max",
    "mul": "Mul",
    "neg": "Neg",
    "sub": "Sub",
}
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
}  # operations that contain a program: the parameter that holds it


def convert(network: Callable[[jax.Array], jax.Array], shape: tuple[int, ...]) -> onnx.ModelProto:
    """Convert a network to an ONNX model with the input `inputs_2d` and the output `poses_3d`.

    Args:
      network: maps an array [B, *shape] to one array, for any B.
      shape: of one sequence.

    Raises:
      NotImplementedError: if the network has a JAX operation that this module cannot convert.
    """
    traced = jax.make_jaxpr(network)(jax.ShapeDtypeStruct((_ROWS, *shape), np.float32))
    graph = _Graph()
    (output,) = graph.add(traced, ["inputs_2d"])
    graph.nodes.append(onnx.helper.make_node("Identity", [output], ["poses_3d"]))
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", *dims])
        for name, dims in (("inputs_2d", shape), ("poses_3d", traced.out_avals[0].shape[1:]))
    ]
    return onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "network", ends[:1], ends[1:], graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


class _Graph:
    """The nodes and constants of a model so far. A value is an array if constant, else the name of a node's output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, traced: Any, inputs: list[Any]) -> list[Any]:
        """Add the operations of a traced program, and return its output values."""
        values: dict[Any, Any] = dict(zip(traced.jaxpr.invars, inputs, strict=True))
        values |= zip(traced.jaxpr.constvars, traced.consts, strict=True)

        def value(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else values[atom]

        for operation in traced.jaxpr.eqns:
            outputs = self._operation(operation, [value(atom) for atom in operation.invars])
            values |= zip(operation.outvars, outputs, strict=True)
        return [value(atom) for atom in traced.jaxpr.outvars]

    def _operation(self, operation: Any, inputs: list[Any]) -> list[Any]:
        name, params = operation.primitive.name, operation.params
        if name in _CALLS:
            return self.add(params[_CALLS[name]], inputs)
        if not any(isinstance(found, str) for found in inputs):
            if name == "broadcast_in_dim":  # ONNX broadcasts over the sequences by itself
                params = params | {"shape": tuple(1 if _depends(size) else size for size in params["shape"])}
            found = operation.primitive.bind(*inputs, **params)
            return list(found) if operation.primitive.multiple_results else [found]
        shapes = [getattr(atom.aval, "shape", ()) for atom in operation.invars]
        result = [-1 if _depends(size) else size for size in operation.outvars[0].aval.shape]
        match name:
            case _ if name in _NODES:
                return self._node(_NODES[name], *inputs)
            case "stop_gradient" | "copy":
                return inputs
            case "select_n" if len(inputs) == 3:
                return self._node("Where", inputs[0], inputs[2], inputs[1])
            case "reshape" | "squeeze":
                return self._node("Reshape", inputs[0], np.array(result))
            case "broadcast_in_dim":
                kept = dict(zip(params["broadcast_dimensions"], shapes[0], strict=True))
                thin = [result[axis] if kept.get(axis, 1) != 1 else 1 for axis in range(len(result))]
                (reshaped,) = self._node("Reshape", inputs[0], np.array(thin))
                return self._node("Expand", reshaped, np.maximum(result, 1))
            case "transpose":
                return self._node("Transpose", inputs[0], perm=params["permutation"])
            case "concatenate":
                return self._node("Concat", *inputs, axis=params["dimension"])
            case "stack":
                parts = [self._node("Unsqueeze", part, np.array([params["axis"]]))[0] for part in inputs]
                return self._node("Concat", *parts, axis=params["axis"])
            case "split":
                return self._node(
                    "Split", inputs[0], np.array(params["sizes"]), outputs=len(params["sizes"]), axis=params["axis"]
                )
            case "slice":
                ends = [np.iinfo(np.int64).max if _depends(end) else end for end in params["limit_indices"]]
                steps = params["strides"] or (1,) * len(result)
                return self._node(
                    "Slice", inputs[0], *map(np.array, (params["start_indices"], ends, range(len(result)), steps))
                )
            case "convert_element_type":
                return self._node("Cast", inputs[0], to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(params["new_dtype"])))
            case "dot_general":
                equation = _equation(params["dimension_numbers"], *map(len, shapes))
                if equation == "ab,bd->ad":  # for a single frame it takes half the time of Einsum
                    return self._node("MatMul", *inputs)
                return self._node("Einsum", *inputs, equation=equation)
            case "gather" if isinstance(inputs[1], jax.Array | np.ndarray) and _is_take(params, shapes):
                (axis,) = params["dimension_numbers"].start_index_map
                return self._node("Gather", inputs[0], np.asarray(inputs[1])[..., 0].astype(np.int64), axis=axis)
            case "scatter-add" if isinstance(inputs[1], jax.Array | np.ndarray) and _is_window(params, shapes):
                before = np.zeros(len(result), int)
                before[list(params["dimension_numbers"].scatter_dims_to_operand_dims)] = np.asarray(inputs[1])
                after = np.array(shapes[0]) - shapes[2] - before
                (padded,) = self._node("Pad", inputs[2], np.concatenate([before, after]))
                return self._node("Add", inputs[0], padded)
        raise NotImplementedError(
            f"JAX operation {name}: no ONNX node for it, {', '.join(f'{key}={item}' for key, item in params.items())}"
        )

    def _node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> list[str]:
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        found = [f"value_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(onnx.helper.make_node(kind, names, found, **attributes))
        return found

    def _constant(self, array: Any) -> str:
        name, array = f"constant_{len(self.constants)}", np.asarray(array)
        half = _in_half_precision(array)
        self.constants.append(onnx.numpy_helper.from_array(array if half is None else half, name))
        return name if half is None else self._node("Cast", name, to=onnx.TensorProto.FLOAT)[0]


def _in_half_precision(array: np.ndarray) -> np.ndarray | None:
    """Return a large float32 array in half precision; None if it is small, of another dtype, or would change."""
    if array.dtype != np.float32 or array.size < _LARGE:
        return None
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), array, equal_nan=True) else None


def _depends(size: int) -> bool:
    """Return whether a dimension depends on the number of sequences."""
    return size > 0 and size % _ROWS == 0


def _equation(numbers: Any, left: int, right: int) -> str:
    """Return the equation, for Einsum, of a `dot_general` of arrays with `left` and `right` axes."""
    contracted, batch = numbers
    second = {axis: chr(ord("a") + left + axis) for axis in range(right)}
    first = {axis: chr(ord("a") + axis) for axis in range(left)}
    second |= {b: first[a] for pairs in (contracted, batch) for a, b in zip(*pairs, strict=True)}
    free = [first[a] for a in first if a not in (*contracted[0], *batch[0])]
    free += [second[b] for b in second if b not in (*contracted[1], *batch[1])]
    return f"{''.join(first.values())},{''.join(second.values())}->{''.join([*(first[a] for a in batch[0]), *free])}"


def _is_take(params: dict[str, Any], shapes: list[tuple[int, ...]]) -> bool:
    """Return whether a gather takes whole slices along one axis."""
    numbers, (operand, indices) = params["dimension_numbers"], shapes
    axes = numbers.start_index_map
    if len(axes) != 1 or numbers.collapsed_slice_dims != axes or numbers.operand_batching_dims:
        return False
    places = set(range(axes[0], axes[0] + len(indices) - 1))  # of the indices in the result
    whole = tuple(1 if axis == axes[0] else size for axis, size in enumerate(operand))
    return params["slice_sizes"] == whole and not places & set(numbers.offset_dims)


def _is_window(params: dict[str, Any], shapes: list[tuple[int, ...]]) -> bool:
    """Return whether a scatter adds one block at one position."""
    numbers = params["dimension_numbers"]
    return len(shapes[1]) == 1 and numbers.update_window_dims == tuple(range(len(shapes[0])))
