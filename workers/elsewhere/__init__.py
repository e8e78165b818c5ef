"""The child's side of edge emulation: what the judge predicts, a run under a cap, answers as a processor."""

from workers.elsewhere.answers import answer
from workers.elsewhere.judging import elsewhere
from workers.elsewhere.under_cap import emulate

__all__ = ["answer", "elsewhere", "emulate"]
