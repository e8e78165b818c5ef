"""Boundaries that hold the two houses apart, checked on the real tree."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compressionhub.env import ROOT

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


NEWCOMER = '''"""A technique that nobody has heard of."""
from typing import ClassVar, Literal
from pydantic import Field
from workers.technique import About, Family, Forecast, Technique


class Nothing(Technique):
    """Do nothing, thoroughly.

    Here to see who notices.
    """

    about: ClassVar = About(title="Thorough nothing", family=Family.SHARING, source="nobody, 2026")
    technique: Literal["thorough-nothing"]
    effort: float = Field(0.5, gt=0, lt=1, title="Effort", description="How hard nothing is done.")

    def forecast(self, facts):
        raise NotImplementedError

    def apply(self, model, bench):
        return model
'''


def test_one_new_file_is_a_new_technique_everywhere(tmp_path):
    (tmp_path / "nothing.py").write_text(NEWCOMER)
    script = f"""
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "compressionhub.settings"
import workers.techniques
workers.techniques.__path__.append({str(tmp_path)!r})
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
from compressionhub.accounts import actions
from compressionhub.accounts.models import User
actions.first_start()
client = Client(headers={{"host": "localhost"}})
client.force_login(User.objects.get(), backend="compressionhub.accounts.backends.NameOrEmailBackend")
paths = ["/docs/techniques/", "/docs/techniques/thorough-nothing/", "/api/v1/techniques"]
print(json.dumps([client.get(path).content.decode() for path in paths]))
"""
    environment = {"PATH": "/usr/bin:/bin", "HUB_DATA": str(tmp_path / "hub"), "HUB_DEBUG": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed, page, api = json.loads(done.stdout.splitlines()[-1])

    assert "Thorough nothing" in listed
    assert "How hard nothing is done." in page
    assert "thorough-nothing" in api


def test_no_file_speaks_of_where_it_was_made():
    kinds = {".py", ".html", ".js", ".css", ".md", ".toml", ".yml", ".txt"}
    skipped = {".venv", ".git", "var", "node_modules", "vendor", "staticfiles"}
    files = [
        p for p in ROOT.rglob("*") if p.suffix in kinds and p.is_file() and not skipped & set(p.relative_to(ROOT).parts)
    ]
    place = re.compile("|".join(["/" + "work/", "/" + "root/", "/tmp/" + "setup"]))

    assert [str(path.relative_to(ROOT)) for path in files if place.search(path.read_text(errors="replace"))] == []
