"""Finds the members of a collection by importing its folder.

A collection is a package with one class per file. Nothing is listed anywhere: a new file
is a new member. An import error or a duplicate slug is raised at once, never swallowed.
"""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def members(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Import every module of ``package`` and collect its concrete subclasses of ``base``.

    Args:
        package: the folder, already imported.
        base: the idea its members share; each member has a ``slug()`` class method.

    Returns:
        The members by slug, sorted by slug.

    Raises:
        ValueError: if two members claim the same slug.
        ImportError: whatever a member raises on import.
    """
    found: dict[str, type[T]] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for _, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ != module.__name__ or not issubclass(member, base) or inspect.isabstract(member):
                continue
            slug = member.slug()  # type: ignore[attr-defined]
            if slug in found:
                raise ValueError(f"two members of {package.__name__} are called {slug!r}: {found[slug]} and {member}")
            found[slug] = member
    return dict(sorted(found.items()))
