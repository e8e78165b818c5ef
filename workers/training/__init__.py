"""Training a network inside a step: samples in memory, losses, the loop. Imports torch: import it inside ``apply``."""

from workers.training.loop import Plan, Trained, train
from workers.training.network import copied, forget, savings, trainable, written
from workers.training.samples import Samples, read
from workers.training.school import School

__all__ = [
    "Plan",
    "Samples",
    "School",
    "Trained",
    "copied",
    "forget",
    "read",
    "savings",
    "train",
    "trainable",
    "written",
]
