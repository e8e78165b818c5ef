"""LSTM, GRU and RNN as torch modules that take and give what the ONNX operators do.

Source: https://onnx.ai/onnx/operators/onnx__LSTM.html and onnx__GRU.html. ONNX stacks the gates as
input, output, forget, cell and update, reset, hidden; torch as input, forget, cell, output and
reset, update, new. Weights come as W (directions, gates · hidden, in), R (directions, gates ·
hidden, hidden), B (directions, 2 · gates · hidden): input biases, then recurrent biases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from onnx import NodeProto
from torch import Tensor, fx, nn
from torch.nn.utils import rnn

from workers.graph.fx.builder import Builder
from workers.graph.fx.source import attributes_of, tensor_of
from workers.graph.fx.table import reader, writes_module
from workers.graph.fx.writer import Call, Writer

TO_TORCH = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # torch's gate i is ONNX's gate TO_TORCH[i]
TO_ONNX = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}
USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
INPUTS = {"LSTM": 7, "GRU": 6, "RNN": 6}


def _gates(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """Reorder the blocks of the first axis."""
    blocks = tensor.chunk(len(order))
    return torch.cat([blocks[gate] for gate in order])


class _Recurrent:
    """What the three cells share: ONNX's layouts around torch's forward pass."""

    turned: bool  # layout 1: batch before time, and before directions
    bidirectional: bool
    hidden_size: int
    backwards: bool = False  # direction "reverse": one direction, from the end

    def around(self, run: Callable[..., Any], x: Tensor, lengths: Tensor | None, *states: Tensor | None) -> Any:
        """Run torch's cell on ONNX's inputs.

        Args:
            x: (time, batch, in), or (batch, time, in) when ``turned``.
            lengths: steps of each row, (batch,); None when all are full.
            states: (directions, batch, hidden), turned as well when ``turned``; all or none given.

        Returns:
            Y (time, directions, batch, hidden), then the last states.
        """
        if self.turned:
            x, states = x.transpose(0, 1), tuple(s if s is None else s.transpose(0, 1) for s in states)
        time, batch = x.shape[:2]
        given = tuple(s for s in states if s is not None)
        if given and len(given) < len(states):
            given = tuple(torch.zeros_like(given[0]) if s is None else s for s in states)
        first = (given if len(given) > 1 else given[0]) if given else None
        x = self._reversed(x, lengths)
        if lengths is None:
            y, last = run(x, first)
        else:
            packed, last = run(rnn.pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False), first)
            y, _ = rnn.pad_packed_sequence(packed, total_length=time)
        y = self._reversed(y, lengths)
        y = y.reshape(time, batch, 2 if self.bidirectional else 1, -1).transpose(1, 2)
        ends = last if isinstance(last, tuple) else (last,)
        if self.turned:
            return (y.permute(2, 0, 1, 3), *(end.transpose(0, 1) for end in ends))
        return (y, *ends)

    def _reversed(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Backwards in time, where the direction is "reverse"."""
        if not self.backwards:
            return x
        if lengths is None:
            return x.flip(0)
        steps = torch.arange(x.shape[0], device=x.device)[:, None]
        order = torch.where(steps < lengths, lengths - 1 - steps, steps)
        return x.gather(0, order[..., None].expand(x.shape).long())


class LSTM(_Recurrent, nn.LSTM):
    def forward(  # type: ignore[override]
        self, x: Tensor, lengths: Tensor | None = None, h: Tensor | None = None, c: Tensor | None = None
    ) -> Any:
        return self.around(super().forward, x, lengths, h, c)


class GRU(_Recurrent, nn.GRU):
    def forward(self, x: Tensor, lengths: Tensor | None = None, h: Tensor | None = None) -> Any:  # type: ignore[override]
        return self.around(super().forward, x, lengths, h)


class RNN(_Recurrent, nn.RNN):
    def forward(self, x: Tensor, lengths: Tensor | None = None, h: Tensor | None = None) -> Any:  # type: ignore[override]
        return self.around(super().forward, x, lengths, h)


class ResetFirstGRU(GRU):
    """``linear_before_reset=0``: the reset gate acts on the state before its product, which torch's GRU cannot."""

    def forward(self, x: Tensor, lengths: Tensor | None = None, h: Tensor | None = None) -> Any:  # type: ignore[override]
        return self.around(self._steps, x, lengths, h)

    def _steps(self, x: Any, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Step by step, each direction for itself."""
        assert isinstance(x, Tensor), "rows of unequal length are refused when the network is read"
        ways = ["", "_reverse"] if self.bidirectional else [""]
        made, ends = [], []
        for index, way in enumerate(ways):
            state = x.new_zeros(x.shape[1], self.hidden_size) if first is None else first[index]
            states = []
            for step in x.flip(0) if way else x:
                state = self._step(step, state, way)
                states.append(state)
            whole = torch.stack(states)
            made.append(whole.flip(0) if way else whole)
            ends.append(state)
        return torch.cat(made, -1), torch.stack(ends)

    def _step(self, x: Tensor, state: Tensor, way: str) -> Tensor:
        w_r, w_z, w_n = getattr(self, f"weight_ih_l0{way}").chunk(3)
        u_r, u_z, u_n = getattr(self, f"weight_hh_l0{way}").chunk(3)
        b_r, b_z, b_n = getattr(self, f"bias_ih_l0{way}").chunk(3) if self.bias else (0, 0, 0)
        c_r, c_z, c_n = getattr(self, f"bias_hh_l0{way}").chunk(3) if self.bias else (0, 0, 0)
        reset = torch.sigmoid(x @ w_r.T + b_r + state @ u_r.T + c_r)
        update = torch.sigmoid(x @ w_z.T + b_z + state @ u_z.T + c_z)
        new = torch.tanh(x @ w_n.T + b_n + (reset * state) @ u_n.T + c_n)
        return (1 - update) * new + update * state


KINDS: dict[str, Any] = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}


@reader("LSTM", "GRU", "RNN")
def read_recurrent(builder: Builder, node: NodeProto) -> fx.Node | None:
    """A recurrent module with trained weights.

    Raises:
        UnsupportedOperator: for computed weights, peepholes, clipping and unusual activations.
    """
    attributes = attributes_of(node)
    _refuse_unusual(builder, node, attributes)
    weights = {"weight_ih_l0": node.input[1], "weight_hh_l0": node.input[2]}
    if builder.has(node, 3):
        weights["bias_ih_l0"] = node.input[3]
    states = [builder.optional(node, index) for index in range(4, INPUTS[node.op_type])]
    args = [builder.value(node.input[0]), *(builder.value(name) if name else None for name in states)]
    while args[-1] is None:
        args.pop()
    count = 3 if node.op_type == "LSTM" else 2
    outputs = [*node.output, *[""] * (count - len(node.output))]
    return builder.place(node, lambda: _module(builder, node, attributes), weights=weights, args=args, outputs=outputs)


def _refuse_unusual(builder: Builder, node: NodeProto, attributes: dict[str, Any]) -> None:
    if not builder.is_weight(node.input[1]) or not builder.is_weight(node.input[2]) or not builder.are_weights(node, 3):
        raise builder.unsupported(node, "its weights are computed")
    if builder.has(node, 7):
        raise builder.unsupported(node, "it has peepholes")
    for name in ("clip", "input_forget"):
        if attributes.get(name, 0):
            raise builder.unsupported(node, f"it uses {name}")
    if _resets_first(node, attributes) and builder.has(node, 4):
        raise builder.unsupported(node, "its reset gate acts first and its rows have lengths of their own")
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    usual = USUAL[node.op_type] * directions
    if tuple(attributes.get("activations", usual)) != usual and not _is_relu_rnn(node, attributes):
        raise builder.unsupported(node, f"its activations are {', '.join(attributes['activations'])}")


def _resets_first(node: NodeProto, attributes: dict[str, Any]) -> bool:
    return node.op_type == "GRU" and not attributes.get("linear_before_reset", 0)


def _is_relu_rnn(node: NodeProto, attributes: dict[str, Any]) -> bool:
    return node.op_type == "RNN" and set(attributes.get("activations", ())) == {"Relu"}


def _module(builder: Builder, node: NodeProto, attributes: dict[str, Any]) -> nn.Module:
    kind = KINDS[node.op_type]
    if _resets_first(node, attributes):
        kind = ResetFirstGRU
    w, r = tensor_of(builder.source.array(node.input[1])), tensor_of(builder.source.array(node.input[2]))
    directions = w.shape[0]
    options = {"nonlinearity": "relu"} if _is_relu_rnn(node, attributes) else {}
    module = kind(
        w.shape[2], r.shape[2], bias=builder.has(node, 3), bidirectional=directions == 2, dtype=w.dtype, **options
    )
    module.turned = bool(attributes.get("layout", 0))
    module.backwards = attributes.get("direction") == "reverse"
    order = TO_TORCH[node.op_type]
    for way, suffix in enumerate(["", "_reverse"][:directions]):
        _fill(module, f"weight_ih_l0{suffix}", _gates(w[way], order))
        _fill(module, f"weight_hh_l0{suffix}", _gates(r[way], order))
        if builder.has(node, 3):
            inner, recurrent = tensor_of(builder.source.array(node.input[3]))[way].chunk(2)
            _fill(module, f"bias_ih_l0{suffix}", _gates(inner, order))
            _fill(module, f"bias_hh_l0{suffix}", _gates(recurrent, order))
    return module  # type: ignore[no-any-return]


def _fill(module: nn.Module, name: str, values: Tensor) -> None:
    with torch.no_grad():
        module.get_parameter(name).copy_(values)


@writes_module(LSTM, GRU, RNN)
def write_recurrent(writer: Writer, call: Call, module: Any) -> None:
    op_type = {"LSTM": "LSTM", "GRU": "GRU"}.get(module.mode, "RNN")
    order = TO_ONNX[op_type]
    suffixes = ["", "_reverse"] if module.bidirectional else [""]

    def stacked(*fields: str) -> Callable[[Tensor], Tensor]:
        """The blocks of both directions in ONNX's order of gates."""
        ways = [[_gates(getattr(module, f"{f}_l0{s}").detach(), order) for f in fields] for s in suffixes]
        return lambda _: torch.stack([torch.cat(parts) for parts in ways])

    stored = [
        writer.tensor(module.weight_ih_l0, "W", layout="W", change=stacked("weight_ih")),
        writer.tensor(module.weight_hh_l0, "R", layout="R", change=stacked("weight_hh")),
        writer.tensor(module.bias_ih_l0, "B", layout="B", change=stacked("bias_ih", "bias_hh")) if module.bias else "",
    ]
    relu = module.mode == "RNN_RELU"
    writer.emit(
        op_type,
        [call.args[0], *stored, *(name or "" for name in call.args[1:])],
        call.outputs,
        name=call.origin.name,
        hidden_size=module.hidden_size,
        direction="bidirectional" if module.bidirectional else "reverse" if module.backwards else None,
        layout=1 if module.turned else None,
        linear_before_reset=int(type(module) is GRU) or None,
        activations=("Relu",) * len(suffixes) if relu else None,
    )
