"""``python -m workers``: the engine from a shell. Exit status: 0 done, 2 the input is at fault, 1 ours."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.errors import EngineError, YoursToFix

if TYPE_CHECKING:
    from workers.device import DeviceProfile
    from workers.emulation import Anchor
    from workers.facts import ModelFacts

TIMES = "a latency file of the device, written by run.py --bench; may be given several times"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Errors leave one line on stderr: what was expected, what was found, what would help."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["child"]:
        from workers.sandbox import child_main

        return child_main(argv[1:])
    if argv[:1] == ["work"]:
        from workers.tasks import work

        return int(work(argv[1:]))
    options = parser().parse_args(argv)
    try:
        return int(options.command(options) or 0)
    except EngineError as error:
        from workers.shell import complain

        return complain(error.as_problem())
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m workers", description="Compress neural networks and measure what it did."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_work(commands)
    _add_answers(commands)
    commands.add_parser("work", help="take jobs from a queue")
    return top


def _add_work(commands: Any) -> None:
    """The commands that run a network."""
    run = _command(commands, "run", run_command, "apply a recipe to a model and measure the result beside its baseline")
    run.add_argument("--model", required=True, type=Path)
    run.add_argument("--data", required=True, type=Path)
    run.add_argument("--recipe", required=True, type=Path, help="YAML or JSON; see 'techniques'")
    run.add_argument("--student", type=Path, metavar="FILE", help="another model that learns in a step of distillation")
    run.add_argument(
        "--out", required=True, type=Path, help="folder for model.onnx, report.json, manifest.json, events.jsonl"
    )
    _common(run)
    inspect = _command(commands, "inspect", inspect_command, "say what a model or a dataset is")
    inspect.add_argument("file", type=Path)
    inspect.add_argument("--target", default="", help="the target column of a table")
    inspect.add_argument("--json", action="store_true")
    evaluate = _command(commands, "evaluate", evaluate_command, "measure one model on test data")
    evaluate.add_argument("--model", required=True, type=Path)
    evaluate.add_argument("--data", required=True, type=Path)
    evaluate.add_argument("--json", action="store_true")
    _common(evaluate)
    sensitivity = _command(commands, "sensitivity", sensitivity_command, "find the layers that a technique harms")
    sensitivity.add_argument("--model", required=True, type=Path)
    sensitivity.add_argument("--data", required=True, type=Path)
    sensitivity.add_argument("--technique", required=True, metavar="SLUG", help="see 'techniques'")
    sensitivity.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the technique; repeatable"
    )
    sensitivity.add_argument("--json", action="store_true")
    _common(sensitivity)


def _add_answers(commands: Any) -> None:
    """The commands that list or compute, and run nothing."""
    techniques = _command(commands, "techniques", techniques_command, "list the techniques with their parameters")
    techniques.add_argument("--json", action="store_true")
    devices = _command(commands, "devices", devices_command, "list the device profiles")
    devices.add_argument("--json", action="store_true")
    predict = _command(commands, "predict", predict_command, "predict a time on a device that is not here")
    given = predict.add_mutually_exclusive_group(required=True)
    given.add_argument("--facts", type=Path, help='JSON with {"layers": [...]} and, if known, {"host": {...}}')
    given.add_argument("--model", type=Path, help="a network; read in a child process")
    predict.add_argument("--device", required=True, metavar="KEY", help="device profile; see 'devices'")
    predict.add_argument("--runtime", default="", help="the runtime it will run under; the profile's own without it")
    predict.add_argument("--times", type=Path, action="append", default=[], metavar="FILE", help=TIMES)
    predict.add_argument("--json", action="store_true")
    estimate = _command(commands, "estimate", estimate_command, "say what serving networks costs, emits and takes")
    asked = estimate.add_mutually_exclusive_group(required=True)
    asked.add_argument("--workload", type=Path, metavar="FILE", help="traffic, machine and service times as JSON")
    asked.add_argument("--example", action="store_true", help="print a workload to start from")
    estimate.add_argument("--json", action="store_true")


def _command(commands: Any, name: str, command: Any, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    added.set_defaults(command=command)
    return added


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="host-1t", metavar="KEY", help="device profile; see 'devices'")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--contract", type=Path, help="input contract as JSON; guessed without it")
    command.add_argument("--target", default="", help="the target column of a table")
    command.add_argument("--quick", action="store_true", help="measure latency in fewer rounds")
    command.add_argument("--cache", type=Path, help="folder of finished steps; DIR/.cache without it")


def run_command(options: argparse.Namespace) -> int:
    from workers import recipe
    from workers.shell import Shell

    _existing(options.model, options.data, options.recipe)
    wanted = recipe.parse(options.recipe.read_text())
    others = {name: options.recipe.parent / name for name in wanted.other_models}
    if options.student is not None:
        wanted, others[str(options.student)] = wanted.with_other_model(str(options.student)), options.student
    _existing(*others.values())
    return Shell(options, cache=options.cache or options.out / ".cache").run(wanted, others)


def evaluate_command(options: argparse.Namespace) -> int:
    from workers.shell import Shell

    _existing(options.model, options.data)
    with tempfile.TemporaryDirectory() as folder:
        options.out = Path(folder)
        return Shell(options, cache=Path(folder)).evaluate()


def sensitivity_command(options: argparse.Namespace) -> int:
    from workers import recipe
    from workers.shell import Shell

    _existing(options.model, options.data)
    lines = [f"technique: {options.technique}", *(item.replace("=", ": ", 1) for item in options.set)]
    wanted = recipe.parse("steps:\n- " + "\n  ".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        options.out = Path(folder)
        return Shell(options, cache=options.cache or Path(folder) / ".cache").sensitivity(wanted)


def inspect_command(options: argparse.Namespace) -> int:
    from workers.shell import Shell

    _existing(options.file)
    options.model = options.data = options.contract = None
    options.device, options.seed, options.quick = "host-1t", 0, True
    with tempfile.TemporaryDirectory() as folder:
        options.out = Path(folder)
        return Shell(options, cache=Path(folder)).inspect(options.file)


def techniques_command(options: argparse.Namespace) -> int:
    from workers.recipe import techniques

    listed = [
        {
            "slug": slug,
            "title": kind.about.title,
            "family": kind.about.family,
            "card": kind.card(),
            "needs": sorted(kind.about.needs),
            "takes_low_precision": kind.about.takes_low_precision,
            "lowers_precision": kind.about.lowers_precision,
            "source": kind.about.source,
            "parameters": kind.model_json_schema(),
        }
        for slug, kind in techniques().items()
    ]
    return _show(options.json, listed, [f"{item['slug']:20} {item['card']}" for item in listed])


def devices_command(options: argparse.Namespace) -> int:
    from workers.device import profiles

    listed = [profile.model_dump(mode="json") for profile in profiles().values()]
    return _show(options.json, listed, [f"{item['key']:20} {item['title']}" for item in listed])


def predict_command(options: argparse.Namespace) -> int:
    from workers.device import profile
    from workers.emulation import ask_about, predict, read_ask

    there = profile(options.device)
    _existing(options.facts or options.model)
    if options.facts:
        ask = read_ask(options.facts.read_bytes())
    else:
        ask = ask_about(_facts_of(options))
    changes = {"runtime": options.runtime or ask.runtime, "anchors": (*ask.anchors, *_times(options.times, there))}
    found = predict(ask.model_copy(update=changes), there)
    said = found.model_dump(mode="json", by_alias=True)
    return _show(options.json, said, [found.sentence, *found.notes])


def estimate_command(options: argparse.Namespace) -> int:
    from workers.question import answer, example, read_question

    if options.example:
        return _show(False, None, [example()])
    _existing(options.workload)
    found = answer(read_question(options.workload.read_bytes()))
    lines = [f"{name}: {saved['sentence']}" for name, saved in found["savings"].items()]
    return _show(options.json, found, lines or ["One network alone saves nothing; see --json for its figures."])


def _times(paths: "Sequence[Path]", there: "DeviceProfile") -> "list[Anchor]":
    """Times measured on a device, from its latency files."""
    from workers.emulation import latency_file

    _existing(*paths)
    files = [(path.name, latency_file.read(path.read_bytes())) for path in paths]
    for _, file in files:
        latency_file.require_from(file, there)
    return [file.anchor(f"latency file {name}") for name, file in files]


def _facts_of(options: argparse.Namespace) -> "ModelFacts":
    """The facts of ``options.model``, read in a child process."""
    from workers.shell import Shell

    options.data = options.contract = None
    options.device, options.seed, options.quick, options.target = "host-1t", 0, True, ""
    with tempfile.TemporaryDirectory() as folder:
        options.out = Path(folder)
        return Shell(options, cache=Path(folder)).facts(options.model)


def _show(as_json: bool, value: Any, lines: Sequence[str]) -> int:
    print(json.dumps(value, indent=1) if as_json else "\n".join(lines))
    return 0


def _existing(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise YoursToFix(f"Expected a file, found nothing at {path}.", hint="Check the path.", code="file.missing")
    if shutil.disk_usage(tempfile.gettempdir()).free < 256 << 20:
        raise YoursToFix(
            f"Expected 256 MiB of free disk in {tempfile.gettempdir()}, found less.",
            hint="Free some space or set TMPDIR.",
            code="disk.full",
        )


if __name__ == "__main__":
    sys.exit(main())
