"""The confined process that touches files somebody uploaded, and its parent's side of it.

``Child`` starts ``python -m workers child``, which loads its libraries, gives up every right the work
does not need and serves one order. What this protects against, and what each host reaches, is said by ``level``.
"""

from workers.sandbox.child import Child
from workers.sandbox.confinement import confine, level
from workers.sandbox.inside import child_main, describe
from workers.sandbox.nursery import Nursery
from workers.sandbox.outcome import Outcome
from workers.sandbox.wire import AloneOver, AloneWanted, Tick

__all__ = [
    "AloneOver",
    "AloneWanted",
    "Child",
    "Nursery",
    "Outcome",
    "Tick",
    "child_main",
    "confine",
    "describe",
    "level",
]
