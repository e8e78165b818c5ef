import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "frontend" / "static"
TEMPLATES = ROOT / "frontend" / "templates"
LISTED = json.loads((STATIC / "vendor" / "vendor.json").read_text())
FREE = {"0BSD", "MIT", "Apache-2.0", "OFL-1.1", "MPL-2.0"}


def place(package: dict, file: dict) -> Path:
    return (ROOT / "tests/journeys/vendor" if package.get("tests_only") else STATIC / "vendor") / file["to"]


@pytest.mark.parametrize("package", LISTED["packages"], ids=lambda package: package["name"])
def test_a_vendored_package_has_version_licence_and_the_recorded_bytes(package):
    hashes = {file["to"]: hashlib.sha256(place(package, file).read_bytes()).hexdigest() for file in package["files"]}

    assert hashes == {file["to"]: file["sha256"] for file in package["files"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"]) and package["licence"] in FREE


def test_nothing_lies_among_the_vendored_files_that_is_not_listed():
    listed = {place(package, file) for package in LISTED["packages"] for file in package["files"]}

    found = {path for path in (STATIC / "vendor").rglob("*") if path.is_file()} - {STATIC / "vendor" / "vendor.json"}

    assert found == {path for path in listed if STATIC in path.parents}


def test_no_file_points_to_a_source_map_that_is_not_there():
    files = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css")]

    assert [path.name for path in files if b"sourceMappingURL" in path.read_bytes()] == []


def test_templates_hold_no_inline_script_style_or_handler():
    inline = re.compile(
        r"<style|\sstyle=|\son[a-z]+=[\"']|[\"']javascript:|<script(?![^>]*\b(src=|type=\"application/json\"))",
        re.IGNORECASE,
    )

    found = {str(path.relative_to(TEMPLATES)): inline.findall(path.read_text()) for path in TEMPLATES.rglob("*.html")}

    assert {name: hits for name, hits in found.items() if hits} == {}


def test_sheets_hold_no_colour_literal_outside_the_tokens():
    text = (STATIC / "css" / "components.css").read_text()

    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s])", text) == []


def test_every_icon_a_template_names_is_in_the_sprite():
    sprite = set(re.findall(r'id="tabler-([a-z0-9-]+)"', (STATIC / "vendor" / "icons.svg").read_text()))
    named = re.compile(r"""{% icon ["']([a-z0-9-]+)["']|\bicon=["']([a-z0-9-]+)["']""")

    asked = {
        name for path in TEMPLATES.rglob("*.html") for pair in named.findall(path.read_text()) for name in pair if name
    }

    assert asked - sprite == set()
