"""Engine values in rows: stored as plain JSON, read back through the engine's own classes."""

from __future__ import annotations

from typing import Generic, TypeVar, overload

from django.db import models
from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


class Value(Generic[T]):
    """A typed view of a JSON column. Reading validates lazily, so a list page never pays for facts it does not show.

    >>> facts = Value(ModelFacts, "facts_json")  # version.facts is ModelFacts | None
    """

    def __init__(self, kind: type[T], column: str) -> None:
        self.kind = kind
        self.column = column

    @overload
    def __get__(self, row: None, owner: type[models.Model]) -> Value[T]: ...
    @overload
    def __get__(self, row: models.Model, owner: type[models.Model]) -> T | None: ...
    def __get__(self, row: models.Model | None, owner: type[models.Model]) -> Value[T] | T | None:
        if row is None:
            return self
        stored = getattr(row, self.column)
        return None if stored is None else self.kind.model_validate(stored)

    def __set__(self, row: models.Model, value: T | None) -> None:
        setattr(row, self.column, None if value is None else value.model_dump(mode="json"))
