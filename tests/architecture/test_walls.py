"""Boundaries that hold the two houses apart, checked on the real tree."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compressionhub.env import ROOT
from workers.recipe import techniques

TENSOR_LIBRARIES = ("torch", "onnx", "onnxruntime", "sklearn", "scipy", "transformers")
TEMPLATES = sorted((ROOT / "frontend" / "templates").rglob("*.html"))


def test_the_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.fixture(scope="module")
def modules_of_the_hub(tmp_path_factory) -> set[str]:
    """What is loaded once the hub is ready to answer: every app, address, command and the ASGI application."""
    script = """
import importlib, json, os, pkgutil, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "compressionhub.settings"
import compressionhub.asgi, compressionhub.urls, compressionhub
from workers.recipe import techniques
techniques()
for found in pkgutil.walk_packages(compressionhub.__path__, "compressionhub."):
    importlib.import_module(found.name)
print(json.dumps(sorted(sys.modules)))
"""
    environment = {"PATH": "/usr/bin:/bin", "HUB_DATA": str(tmp_path_factory.mktemp("hub"))}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("library", TENSOR_LIBRARIES)
def test_the_hub_never_loads(modules_of_the_hub, library):
    assert library not in modules_of_the_hub


def test_the_whole_hub_was_looked_at(modules_of_the_hub):
    assert {"compressionhub.jobs.views", "compressionhub.zoo.actions", "uvicorn"} <= modules_of_the_hub


def test_the_hub_starts_where_no_tensor_library_is_installed(tmp_path):
    refuse = f"import sys; [sys.modules.__setitem__(name, None) for name in {TENSOR_LIBRARIES!r}]\n"
    script = refuse + (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'compressionhub.settings'\n"
        "import compressionhub.asgi\n"
        "from django.core.management import call_command\n"
        "call_command('check'); call_command('migrate', verbosity=0)\n"
        "from django.test import Client\n"
        "print(Client().get('/sign-in/', headers={'host': 'localhost'}).status_code)"
    )
    environment = {"PATH": "/usr/bin:/bin", "HUB_DATA": str(tmp_path), "HUB_DEBUG": "1"}

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1:] == ["200"], done.stderr


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "frontend/templates")))
def test_templates_hold_no_inline_style_script_or_handler(template):
    text = re.sub(r"{#.*?#}|{% comment %}.*?{% endcomment %}", "", template.read_text(), flags=re.DOTALL)

    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text)
    assert not re.search(r"(href|src|action)\s*=\s*[\"']\s*javascript:", text)
    scripts = re.findall(r"<script\b([^>]*)>", text)
    assert [each for each in scripts if "src=" not in each and "application/json" not in each] == []


def test_no_list_of_techniques_is_kept_by_hand():
    slugs = set(techniques())
    own = set((ROOT / "workers" / "techniques").glob("*.py"))
    files = [
        path for folder in ("workers", "compressionhub") for path in (ROOT / folder).rglob("*.py") if path not in own
    ]

    knowing = {}
    for path in files:
        named = {slug for slug in slugs if re.search(rf"[\"']{slug}[\"']", path.read_text())}
        if len(named) >= 0.8 * len(slugs):  # a recipe may name a few
            knowing[str(path.relative_to(ROOT))] = sorted(named)

    assert knowing == {}


def test_no_file_speaks_of_where_it_was_made():
    kinds = {".py", ".html", ".js", ".css", ".md", ".toml", ".yml", ".txt"}
    skipped = {".venv", ".git", "var", "node_modules", "vendor", "staticfiles"}
    files = [
        p for p in ROOT.rglob("*") if p.suffix in kinds and p.is_file() and not skipped & set(p.relative_to(ROOT).parts)
    ]
    place = re.compile("|".join(["/" + "work/", "/" + "root/", "/tmp/" + "setup"]))

    assert [str(path.relative_to(ROOT)) for path in files if place.search(path.read_text(errors="replace"))] == []
