"""How fast a network would run where it was never run: predicted from its layers, with a band, never measured."""

from workers.emulation.asking import ask_about, read_ask
from workers.emulation.layers import Layer
from workers.emulation.predictor import Anchor, Ask, Foretold, HostTime, Prediction, predict, predicted_ratio
from workers.report import Band

__all__ = [
    "Anchor",
    "Ask",
    "Band",
    "Foretold",
    "HostTime",
    "Layer",
    "Prediction",
    "ask_about",
    "predict",
    "predicted_ratio",
    "read_ask",
]
