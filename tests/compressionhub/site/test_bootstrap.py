"""What is installed, and when that is asked again."""

from importlib import metadata

from compressionhub.site import bootstrap


def test_pins_follow_the_files_a_file_names(tmp_path):
    (tmp_path / "core.txt").write_text("# a remark\nnumpy==2.4.6\n")
    (tmp_path / "all.txt").write_text("-r core.txt\nuvicorn[standard]==0.54.0  # serves\n")

    assert bootstrap.pins([tmp_path / "all.txt"]) == {"numpy": "2.4.6", "uvicorn": "0.54.0"}


def test_a_change_in_a_named_file_changes_the_digest(tmp_path):
    (tmp_path / "core.txt").write_text("numpy==2.4.6\n")
    (tmp_path / "all.txt").write_text("-r core.txt\n")
    before = bootstrap.digest([tmp_path / "all.txt"])

    (tmp_path / "core.txt").write_text("numpy==2.4.7\n")

    assert bootstrap.digest([tmp_path / "all.txt"]) != before


def test_a_local_build_of_the_pinned_version_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0+cpu")
    (tmp_path / "one.txt").write_text("torch==2.13.0\n")
    (tmp_path / "other.txt").write_text("torch==2.13.1\n")

    assert bootstrap.satisfied([tmp_path / "one.txt"])
    assert not bootstrap.satisfied([tmp_path / "other.txt"])


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    (tmp_path / "all.txt").write_text("old==1.1\nright==1.0\n")

    assert bootstrap.missing([tmp_path / "all.txt"]) == ["old"]


def test_every_requirement_of_the_product_is_pinned_exactly():
    files = [bootstrap.SITE, bootstrap.TESTS, bootstrap.ROOT / "workers" / "requirements-gpu.txt"]
    lines = [line for path in files for line in _all_lines(path)]

    assert [line for line in lines if "==" not in line] == []


def _all_lines(path):
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from _all_lines(path.parent / text[3:])
        elif text:
            yield text
