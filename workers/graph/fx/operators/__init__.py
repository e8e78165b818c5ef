"""One file per group of operators; loading this package fills the table."""

import importlib
import pkgutil


def load() -> None:
    """Import every file of this folder, so that its operators stand in the table."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
