"""Ids as they come in addresses, forms and messages."""

from uuid import UUID


def as_uuid(text: str) -> UUID | None:
    """The id in a text; None where it is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None
