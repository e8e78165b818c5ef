"""When a web process looks for cyclic garbage: seldom, and never among what it loaded at its start."""

import gc

# Python's own 700, 10, 10 are meant for scripts. A large page makes tens of thousands of objects that are alive until
# it is sent, and a process keeps what it read of published records: looking through either again and again took half of
# home's time.
NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS = 20_000, 10, 100


def rarely() -> None:
    """Call it once all modules are loaded: what is alive now stays and is not looked through any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS)
