"""Fetches the vendored front-end libraries and cuts the icon sprite down to what the pages use.

Run from the repository root with npm on PATH: ``python frontend/vendor.py``. It reads
``frontend/static/vendor/vendor.json``, fetches each package at its version, copies the named files,
drops ``sourceMappingURL`` comments (the manifest storage looks for the maps and fails), and writes the
sha256 of every file back. A changed hash shows in the diff, and a test compares it with the files.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent / "static" / "vendor"
LIST = ROOT / "vendor.json"
TESTS = Path(__file__).parent.parent / "tests" / "journeys" / "vendor"
SOURCE_MAP = re.compile(rb"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+\s*\*/)\n?")
SYMBOL = re.compile(r'<symbol id="tabler-(?P<name>[a-z0-9-]+)".*?</symbol>', re.DOTALL)
INVISIBLE = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'


def fetch(package: dict[str, Any], into: Path) -> Path:
    """Unpack one npm package and return its folder."""
    asked = f"{package['name']}@{package['version']}"
    packed = subprocess.run(["npm", "pack", "-s", asked], cwd=into, check=True, capture_output=True, text=True)
    archive = into / packed.stdout.strip().splitlines()[-1]
    with tarfile.open(archive) as tar:
        tar.extractall(into / archive.stem, filter="data")
    return into / archive.stem / "package"


def clean(content: bytes, name: str) -> bytes:
    """Drop source map comments from scripts and sheets; other files stay as they are."""
    return SOURCE_MAP.sub(b"\n", content) if name.endswith((".js", ".css")) else content


def subset(sprite: str, names: list[str]) -> str:
    """Keep the named symbols, without the invisible square each of them starts with.

    Raises:
        ValueError: if the sprite has no such icon.
    """
    found = {match["name"]: match[0] for match in SYMBOL.finditer(sprite)}
    missing = sorted(set(names) - found.keys())
    if missing:
        raise ValueError(f"expected icons of the sprite, found {', '.join(missing)}; see tabler.io/icons for the names")
    kept = (found[name].replace(' stroke-width="2"', "").replace(INVISIBLE, "") for name in sorted(set(names)))
    symbols = "\n".join(kept)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def place(package: dict[str, Any], folder: Path, icons: list[str]) -> None:
    """Copy the files of a package to their places and note their hashes."""
    for file in package["files"]:
        content = clean((folder / file["from"]).read_bytes(), file["from"])
        if file["to"] == "icons.svg":
            content = subset(content.decode(), icons).encode()
        target = (TESTS if package.get("tests_only") else ROOT) / file["to"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        file["sha256"] = hashlib.sha256(content).hexdigest()


def main() -> None:
    listed = json.loads(LIST.read_text())
    listed["icons"] = sorted(set(listed["icons"]))
    with tempfile.TemporaryDirectory() as scratch:
        for package in listed["packages"]:
            place(package, fetch(package, Path(scratch)), listed["icons"])
    LIST.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
