"""Errors that say whose fault it was and carry a stable code.

Every message has three parts: what was expected, what was found, what would help.
The page, the API, the log and the command line show the same three things.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value that travels: immutable, typed, and refusing fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Fault = Literal["yours", "ours"]


class Problem(Frozen):
    """An error as it travels from the child to the page."""

    fault: Fault
    code: str
    message: str
    hint: str = ""


class EngineError(Exception):
    """Base of every error the engine raises on purpose."""

    fault: Fault = "ours"
    code = "engine.error"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or type(self).code

    def as_problem(self) -> Problem:
        return Problem(fault=self.fault, code=self.code, message=self.message, hint=self.hint)


class YoursToFix(EngineError):
    """The input is at fault: a person can change it and try again."""

    fault = "yours"
    code = "input.invalid"


class OursToFix(EngineError):
    """The engine or its host is at fault: trying the same input elsewhere may work."""

    fault = "ours"


class Stopped(EngineError):
    """Somebody asked the work to stop; not a failure."""

    code = "job.stopped"

    def __init__(self) -> None:
        super().__init__("The job was asked to stop.")
