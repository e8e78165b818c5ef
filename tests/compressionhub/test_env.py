"""Environment variables and what the settings make of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from compressionhub import env
from compressionhub.settings import database, kept_secret
from compressionhub.site.management.commands.settings_page import PAGE, page


def test_a_wrong_value_names_the_variable_and_what_it_takes(monkeypatch):
    monkeypatch.setenv("HUB_DEBUG", "perhaps")

    with pytest.raises(env.BadVariable, match="HUB_DEBUG: expected 1 or 0, found 'perhaps'"):
        env.DEBUG.read()


def test_an_empty_variable_is_one_left_out(monkeypatch):
    monkeypatch.setenv("HUB_HOSTS", "")

    assert env.HOSTS.read() == ("localhost", "127.0.0.1", "[::1]")


def test_a_postgres_address_is_taken_apart():
    found = database("postgres://hub:p%40ss@db.example:5433/hub?sslmode=require")

    wanted = {"NAME": "hub", "USER": "hub", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": "5433"}
    assert wanted.items() <= found.items()
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_a_database_of_another_kind_is_refused():
    with pytest.raises(env.BadVariable, match="DATABASE_URL"):
        database("mysql://localhost/hub")


def test_the_secret_is_made_once_and_private(tmp_path):
    first = kept_secret(tmp_path / "key")

    assert kept_secret(tmp_path / "key") == first
    assert len(first) >= 50
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_settings_page_is_up_to_date():
    assert PAGE.read_text() == page()


def test_every_variable_the_code_reads_is_in_the_table():
    ours = re.compile(r"""["']((?:HUB_[A-Z_]+)|DATABASE_URL|REDIS_URL)["']""")
    known = {each.name for each in env.VARIABLES}

    files = [path for folder in ("workers", "compressionhub") for path in (env.ROOT / folder).rglob("*.py")]
    read = {name for path in files for name in ours.findall(path.read_text())}

    assert read - known == set()


def test_nothing_but_the_table_and_the_site_reads_the_environment_of_the_hub():
    allowed = {Path("compressionhub/env.py"), Path("compressionhub/asgi.py")}
    files = [path.relative_to(env.ROOT) for path in (env.ROOT / "compressionhub").rglob("*.py")]

    readers = {path for path in files if "os.environ" in (env.ROOT / path).read_text()}

    assert {path for path in readers - allowed if path.parts[1] != "site"} == set()


def test_the_settings_load_without_any_variable(tmp_path):
    script = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'compressionhub.settings'; from django.conf import settings; print(settings.REDIS_URL)"  # noqa: E501
    environment = {"PATH": "/usr/bin:/bin", "HUB_DATA": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", script], cwd=env.ROOT, env=environment, capture_output=True, text=True)

    assert done.stdout.strip() == "redis://127.0.0.1:6379/0", done.stderr


def test_logged_errors_show_no_local_variables(tmp_path):
    script = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'compressionhub.settings'\n"
        "import django, logging; django.setup()\n"
        "def fail(password): raise ValueError('broken')\n"
        "try: fail('hunter' + '2')\n"
        "except ValueError: logging.getLogger('x').exception('it failed')\n"
    )
    for json in ("0", "1"):
        environment = {"PATH": "/usr/bin:/bin", "HUB_DATA": str(tmp_path), "HUB_LOG_JSON": json}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=env.ROOT, env=environment, capture_output=True, text=True
        )

        assert "ValueError: broken" in done.stderr
        assert "hunter2" not in done.stderr
