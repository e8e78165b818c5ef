"""The words that pages share.

Those that carry a colour, verdicts, states and classes, have an icon each: colour never stands alone.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Word:
    """A word, its icon and its tone: "" neutral, "ok" teal, "mid" amber, "no" red."""

    text: str
    icon: str
    tone: str


GRADES: Final = {"A": "measured", "B": "modelled", "C": "from a table", "D": "assumed"}

VERDICTS: Final[dict[str | None, Word]] = {
    "faster": Word("faster", "gauge", "ok"),
    "smaller-only": Word("smaller only", "package", "mid"),
    "slower": Word("slower", "arrow-down-right", "no"),
    "no-gain": Word("no gain", "minus", ""),
    None: Word("not measured: host too noisy", "help", ""),
    "": Word("not measured: host too noisy", "help", ""),
}

STATES: Final[dict[str, Word]] = {
    # jobs and steps
    "queued": Word("queued", "clock", ""),
    "waiting": Word("waiting", "clock", ""),
    "running": Word("running", "loader-2", "ok"),
    "cancelling": Word("cancelling", "player-stop", "mid"),
    "succeeded": Word("succeeded", "check", "ok"),
    "done": Word("done", "check", "ok"),
    "cached": Word("from cache", "check", "ok"),
    "failed": Word("failed", "x", "no"),
    "cancelled": Word("cancelled", "ban", ""),
    # files
    "uploading": Word("uploading", "cloud-upload", ""),
    "arrived": Word("arrived", "clock", ""),
    "checking": Word("checking", "loader-2", "ok"),
    "inspecting": Word("checking", "loader-2", "ok"),
    "ready": Word("ready", "check", "ok"),
    "confirmed": Word("confirmed", "check", "ok"),
    "unconfirmed": Word("to be confirmed", "help", "mid"),
    "rejected": Word("rejected", "x", "no"),
    # nodes
    "alive": Word("alive", "heartbeat", "ok"),
    "silent": Word("silent", "wifi-off", "no"),
    "leaving": Word("leaving", "logout", "mid"),
    "gone": Word("gone", "server-off", ""),
    # gate and entries
    "passed": Word("passed", "check", "ok"),
    "at-risk": Word("gate at risk", "alert-triangle", "mid"),
    "published": Word("published", "check", "ok"),
    "superseded": Word("superseded", "history", ""),
    "withdrawn": Word("withdrawn", "ban", "no"),
}


def sentence(text: str) -> str:
    """The text with a full stop at its end, whoever wrote it; nothing for nothing."""
    clean = text.strip()
    return clean if not clean or clean.endswith((".", "!", "?")) else f"{clean}."


def who(person: object) -> str:
    """Who did something; what they did outlives their account."""
    return str(person) if person else "somebody who left"
