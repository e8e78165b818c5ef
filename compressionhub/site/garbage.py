"""When a web process looks for cyclic garbage: seldom, and never among what it loaded at its start."""

import gc

# Python's own 700 is meant for scripts. A large page makes tens of thousands of objects that are alive until it is
# sent: looking through them again and again took half of its time.
NEW_OBJECTS = 20_000


def rarely() -> None:
    """Call it once all modules are loaded: what is alive now stays and is not looked through any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
