"""Makes the typefaces of printed reports from the ones of the pages, which the typesetter cannot read.

Run from the repository root with fontTools and brotli installed: ``python frontend/print_fonts.py``. The
vendored Inter is variable and cut by script; each file it writes to ``frontend/print`` is one weight of all
scripts but Vietnamese, as TrueType. The licence stays Inter's own, ``frontend/static/vendor/inter/LICENSE``.
"""

import tempfile
from pathlib import Path

from fontTools.merge import Merger, Options
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

HERE = Path(__file__).parent
SOURCES = HERE / "static" / "vendor" / "inter" / "files"
SCRIPTS = ("latin", "latin-ext", "greek", "cyrillic")
WEIGHTS = {"Regular": 400, "SemiBold": 600, "Bold": 700}
POINTS = 14  # the optical size for small text
LAYOUT = ["GSUB", "GDEF", "STAT"]  # kerning (GPOS) is what print needs of the rest


def one_weight(script: str, weight: int, into: Path) -> str:
    """Write one script at one weight and return the file's name."""
    font = TTFont(SOURCES / f"inter-{script}-opsz-normal.woff2")
    font = instantiateVariableFont(font, {"wght": weight, "opsz": POINTS})
    font.flavor = None
    for table in LAYOUT:
        if table in font:
            del font[table]
    font.save(into / f"{script}.ttf")
    return str(into / f"{script}.ttf")


def named(font: TTFont, style: str, weight: int) -> None:
    """Let programs find the font as Inter in this style."""
    names = {1: f"Inter {style}", 2: "Regular", 4: f"Inter {style}", 6: f"Inter-{style}", 16: "Inter", 17: style}
    for number, text in names.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    font["OS/2"].usWeightClass = weight


def main() -> None:
    for style, weight in WEIGHTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            parts = [one_weight(script, weight, Path(scratch)) for script in SCRIPTS]
            font = Merger(options=Options(drop_tables=["HVAR", "MVAR", "gasp", "prep"])).merge(parts)
        named(font, style, weight)
        font.save(HERE / "print" / f"Inter-{style}.ttf")


if __name__ == "__main__":
    main()
