"""Attempts to escape from a confined child, against the real thing."""

from pathlib import Path

import pytest

from tests.workers.sandbox.world import ORDERS
from workers.events import Log
from workers.sandbox import landlock, level, seccomp

LEVEL = level()
confined = pytest.mark.skipif(LEVEL.level != "full", reason=f"this host confines only in part: {LEVEL.says}")


def test_an_input_can_be_read(run, work):
    assert run("read", work.parent / "in" / "model").text == "value: the model"


def test_what_the_product_needs_still_works(run):
    ran = run("run_a_network", preload="onnxruntime")

    assert (ran.text, ran.outcome.kind) == ("value: 8192.0", "done")


@confined
@pytest.mark.parametrize(
    "deed", ["read", "write", "truncate", "remove", "escape_by_symlink", "write_through_a_hard_link"]
)
def test_a_file_of_another_job_is_out_of_reach(run, work, deed):
    secret = work.parent / "secret"

    ran = run(deed, secret)

    assert ran.text.startswith("refused: ")
    assert secret.read_text() == "the secret of another job"


@confined
@pytest.mark.parametrize("deed", ["write", "truncate", "remove", "write_through_a_hard_link"])
def test_an_input_cannot_be_changed(run, work, deed):
    model = work.parent / "in" / "model"

    ran = run(deed, model)

    assert ran.text.startswith("refused: ")
    assert model.read_text() == "the model"


@confined
def test_the_mode_of_an_input_cannot_be_changed(run, work):
    model = work.parent / "in" / "model"
    before = model.stat().st_mode

    run("change_the_mode", model)

    assert model.stat().st_mode == before


@confined
@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/hostname", "/root", "/proc/1/environ", __file__])
def test_files_of_the_host_are_out_of_reach(run, path):
    deed = "list" if Path(path).is_dir() else "read"

    assert run(deed, path).text == "refused: PermissionError 13"


@confined
def test_a_second_thread_is_bound_too(run):
    assert run("read_from_another_thread", "/etc/passwd", preload="onnxruntime").text == "value: refused 13"


@confined
def test_a_shell_is_bound_too(run):
    assert "denied" in run("run_a_shell", "/etc/hostname").text


@confined
@pytest.mark.parametrize("deed", ["tcp", "udp", "unix", "open_io_uring"])
def test_no_socket_can_be_opened(run, deed):
    assert run(deed).text.startswith("refused: ")


@confined
@pytest.mark.parametrize(
    "deed", ["read_the_parents_memory", "trace_the_parent", "signal_the_parent", "raise_its_own_limits"]
)
def test_its_parent_and_its_limits_are_out_of_reach(run, deed):
    assert run(deed).text.startswith("refused: ")


@confined
def test_it_cannot_leave_its_process_group(run):
    assert run("leave_the_group").text == "value: stayed"


@confined
@pytest.mark.parametrize("version", [1, 3, 5])
@pytest.mark.parametrize("deed", ["read", "write_through_a_hard_link", "tcp", "signal_the_parent", "truncate"])
def test_an_older_kernel_confines_as_well(run, work, version, deed):
    secret = work.parent / "secret"

    ran = run(deed, secret, perform=f"{ORDERS}_on_landlock_{version}")

    assert [message.text for message in ran.said if isinstance(message, Log)][-1].startswith("refused: ")
    assert secret.read_text() == "the secret of another job"


def test_a_host_that_cannot_confine_works_and_says_so(run):
    ran = run("run_a_network", perform=f"{ORDERS}_on_landlock_0", preload="onnxruntime")

    said = [message for message in ran.said if isinstance(message, Log)]
    assert ran.outcome.kind == "done"
    assert {message.level for message in said[:-1]} == {"warning"}
    assert any("Files" in message.text for message in said) and any("Network" in message.text for message in said)


@pytest.mark.parametrize(
    ("version", "filtered", "word"),
    [(7, True, "full"), (2, True, "partial"), (0, True, "partial"), (0, False, "minimal")],
)
def test_the_level_is_named_after_what_is_missing(monkeypatch, version, filtered, word):
    monkeypatch.setattr(landlock, "abi", lambda: version)
    monkeypatch.setattr(seccomp, "available", lambda: filtered)

    assert level().level == word


def test_nothing_of_the_parents_environment_leaks(run, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")

    names = set(run("sweep_environment").text.removeprefix("value: ").split())

    harmless = "HOME LANG LC_CTYPE PATH USER TMPDIR TZ PYTHONPATH PYTHONHASHSEED ORT_DISABLE_TELEMETRY LD_LIBRARY_PATH"
    threads = (
        "OMP_NUM_THREADS OMP_WAIT_POLICY OPENBLAS_NUM_THREADS MKL_NUM_THREADS "
        "NUMEXPR_NUM_THREADS VECLIB_MAXIMUM_THREADS"
    )
    devices = "CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES"
    assert names <= set(f"{harmless} {threads} {devices}".split())
