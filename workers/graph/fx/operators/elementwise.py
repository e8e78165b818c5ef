"""Arithmetic, comparison and logic, element by element with broadcasting.

Source: https://onnx.ai/onnx/operators/, the pages of these operators.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workers.graph.fx.operators.constants import torch_type
from workers.graph.fx.table import operator


@operator("Add")
def add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


@operator("Sub")
def sub(a: Tensor, b: Tensor) -> Tensor:
    return a - b


@operator("Mul")
def mul(a: Tensor, b: Tensor) -> Tensor:
    return a * b


@operator("Div")
def div(a: Tensor, b: Tensor) -> Tensor:
    """Integers are divided towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


@operator("Pow")
def power(base: Tensor, exponent: Tensor) -> Tensor:
    """The result has the type of the base."""
    if exponent.ndim == 0:  # a number keeps its derivative cheap and free of logarithms
        return torch.pow(base, exponent.item()).to(base.dtype)
    return torch.pow(base, exponent).to(base.dtype)


@operator("Mod")
def modulo(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """The sign follows the divisor, or with ``fmod`` the dividend."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Max")
def maximum(*inputs: Tensor) -> Tensor:
    return functools.reduce(torch.maximum, inputs)


@operator("Min")
def minimum(*inputs: Tensor) -> Tensor:
    return functools.reduce(torch.minimum, inputs)


@operator("Sum")
def total(*inputs: Tensor) -> Tensor:
    return functools.reduce(torch.add, inputs)


@operator("Mean")
def average(*inputs: Tensor) -> Tensor:
    return functools.reduce(torch.add, inputs) / len(inputs)


@operator("Neg")
def negative(x: Tensor) -> Tensor:
    return -x


@operator("Abs")
def absolute(x: Tensor) -> Tensor:
    return x.abs()


@operator("Sqrt")
def square_root(x: Tensor) -> Tensor:
    return x.sqrt()


@operator("Reciprocal")
def reciprocal(x: Tensor) -> Tensor:
    return x.reciprocal()


@operator("Exp")
def exponential(x: Tensor) -> Tensor:
    return x.exp()


@operator("Log")
def logarithm(x: Tensor) -> Tensor:
    return x.log()


@operator("Erf")
def error_function(x: Tensor) -> Tensor:
    return torch.erf(x)


@operator("Sign")
def sign(x: Tensor) -> Tensor:
    return x.sign()


@operator("Floor")
def floor(x: Tensor) -> Tensor:
    return x.floor()


@operator("Ceil")
def ceiling(x: Tensor) -> Tensor:
    return x.ceil()


@operator("Round")
def rounded(x: Tensor) -> Tensor:
    """Halves go to the even neighbour."""
    return x.round()


@operator("Sin")
def sine(x: Tensor) -> Tensor:
    return x.sin()


@operator("Cos")
def cosine(x: Tensor) -> Tensor:
    return x.cos()


@operator("Tan")
def tangent(x: Tensor) -> Tensor:
    return x.tan()


@operator("Asin")
def arc_sine(x: Tensor) -> Tensor:
    return x.asin()


@operator("Acos")
def arc_cosine(x: Tensor) -> Tensor:
    return x.acos()


@operator("Atan")
def arc_tangent(x: Tensor) -> Tensor:
    return x.atan()


@operator("Sinh")
def hyperbolic_sine(x: Tensor) -> Tensor:
    return x.sinh()


@operator("Cosh")
def hyperbolic_cosine(x: Tensor) -> Tensor:
    return x.cosh()


@operator("Asinh")
def area_sine(x: Tensor) -> Tensor:
    return x.asinh()


@operator("Acosh")
def area_cosine(x: Tensor) -> Tensor:
    return x.acosh()


@operator("Atanh")
def area_tangent(x: Tensor) -> Tensor:
    return x.atanh()


@operator("Clip")
def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    if low is None and high is None:
        return x
    return torch.clamp(x, min=low, max=high)


@operator("Cast")
def cast(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    return x.to(torch_type(to))


@operator("CastLike")
def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    return x.to(like.dtype)


@operator("Identity")
def identity(x: Any) -> Any:
    return x


@operator("Where")
def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition, a, b)


@operator("Equal")
def equal(a: Tensor, b: Tensor) -> Tensor:
    return a == b


@operator("Greater")
def greater(a: Tensor, b: Tensor) -> Tensor:
    return a > b


@operator("GreaterOrEqual")
def greater_or_equal(a: Tensor, b: Tensor) -> Tensor:
    return a >= b


@operator("Less")
def less(a: Tensor, b: Tensor) -> Tensor:
    return a < b


@operator("LessOrEqual")
def less_or_equal(a: Tensor, b: Tensor) -> Tensor:
    return a <= b


@operator("And")
def both(a: Tensor, b: Tensor) -> Tensor:
    return a & b


@operator("Or")
def either(a: Tensor, b: Tensor) -> Tensor:
    return a | b


@operator("Xor")
def one_of(a: Tensor, b: Tensor) -> Tensor:
    return a ^ b


@operator("Not")
def negated(x: Tensor) -> Tensor:
    return ~x


@operator("BitwiseAnd")
def bits_of_both(a: Tensor, b: Tensor) -> Tensor:
    return a & b


@operator("BitwiseOr")
def bits_of_either(a: Tensor, b: Tensor) -> Tensor:
    return a | b


@operator("BitwiseXor")
def bits_of_one(a: Tensor, b: Tensor) -> Tensor:
    return a ^ b


@operator("BitwiseNot")
def bits_negated(x: Tensor) -> Tensor:
    return ~x


@operator("IsNaN")
def is_nan(x: Tensor) -> Tensor:
    return x.isnan()


@operator("IsInf")
def is_infinite(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    nothing = torch.zeros_like(x, dtype=torch.bool)
    return (x.isneginf() if detect_negative else nothing) | (x.isposinf() if detect_positive else nothing)


@operator("Shrink")
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))


@operator("LpNormalization")
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    return functional.normalize(x, p=p, dim=axis, eps=0.0)
