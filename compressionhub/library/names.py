"""Names that people and their files bring: kept for reading, never for paths or headers."""

import unicodedata

MOST_LETTERS = 120


def display_name(raw: str, *, otherwise: str = "", most: int = MOST_LETTERS) -> str:
    """A name fit to be shown: one line, no control or direction-changing characters, at most ``most`` letters.

    Line breaks would split headers and logs; bidirectional controls can make ``exe.xnno`` look like
    ``onnx.exe``. Letters, marks, emoji and the joiners inside them stay.
    """
    joiners = ("\u200d", "\u200c")
    kept = "".join(
        letter if letter in joiners or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else " "
        for letter in unicodedata.normalize("NFC", raw)
    )
    return " ".join(kept.split())[:most].strip() or otherwise


def plain_text(raw: str, most: int) -> str:
    """A longer text as it was typed, without the NUL that no database stores."""
    return raw.replace("\x00", "").strip()[:most]


def file_name(raw: str, *, otherwise: str = "file") -> str:
    """The last part of a path somebody sent, fit to be shown. Both kinds of slash end a folder."""
    return display_name(raw.replace("\\", "/").rsplit("/", 1)[-1].lstrip("."), otherwise=otherwise)


def name_from(filename: str) -> str:
    """A name for what a file holds: the file's without its endings."""
    return file_name(filename).split(".")[0].replace("_", " ").strip() or "untitled"
