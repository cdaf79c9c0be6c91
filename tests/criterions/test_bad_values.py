"""Every number and choice of every criterion and of the task: what is refused, in one line."""

from __future__ import annotations

import copy
import enum
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest
from fairseq import tasks
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY

from kd_plugin.errors import InputError
from kd_plugin.host.ranges import flag_of
from kd_plugin.tasks.config import TeacherConfig

from .. import support
from ..stored import cache
from ..support import TINY, Setup, build, distillation

ANY = ("nan", "inf", "-inf", -1)  # of every number; an int is none of the first three
BAD: dict[str, tuple[object, ...]] = {
    "--nll-weight": (1e30,),
    "--kd-weight": (1e30,),
    "--label-smoothing": (1, 1.5),
    "--kd-fused": ("yes", ""),
    "--kd-temperature": (0, 0.001, 1000),
    "--kd-target": ("most", "TOP1", ""),
    "--kd-target-k": (0, 99999, 2.5),
    "--kd-select": ("all",),
    "--kd-select-rate": (0, 1e-7, 1.5),
    "--kd-queue-size": (0, 10**12, 0.5),
    "--kd-select-order": ("test",),
    "--kd-select-by": ("bleu",),
    "--kd-select-end": ("both",),
    "--tie-top-k": (99999, 1.5),
    "--tie-iterations": (0, 10**9),
    "--anneal-max-temperature": (0, 10**12),
    "--anneal-updates": (0, 10**12),
    "--anneal-reduction": ("none",),
    "--anneal-logits": ("both",),
    "--knn-temperature": (0, 1e-30, 1e30),
    "--knn-k": (1.5,),
    "--hybrid-gate": ("none",),
    "--hybrid-gate-value": (1.5,),
    "--hybrid-gate-warmup": (0, 10**12),
    "--hybrid-gate-lambda": (0, 1e-30, 1e30),
    "--knnmt-k": (0, 1.5),
    "--knnmt-lambda": (1.5,),
    "--knnmt-temperature": (0, 1e-30, 1e30),
}


def of(declared: Any) -> dict[str, Field[Any]]:
    """The flags of a dataclass that are a number or a choice."""
    flags = [field for field in fields(declared) if "help" in field.metadata]
    return {flag_of(field): field for field in flags if is_number(field) or is_choice(field)}


def is_choice(field: Field[Any]) -> bool:
    return isinstance(field.type, enum.EnumMeta)


def is_number(field: Field[Any]) -> bool:
    return any(kind in str(field.type) for kind in ("int", "float"))


def taken(field: Field[Any], value: object) -> bool:
    """Whether the command line makes a number of the flag's kind of ``value``."""
    return "float" in str(field.type) or isinstance(value, int)


DECLARED: dict[str, Any] = {
    **{method: CRITERION_DATACLASS_REGISTRY[method] for method in support.METHODS},
    "the task": TeacherConfig,
}
FLAGS = [(name, flag) for name in DECLARED for flag in of(DECLARED[name])]


@pytest.fixture(scope="module")
def setups(data: Path, teacher: Path) -> dict[str, Setup]:
    """What each method's run builds; only the values of its flags are then changed."""
    needed = {"annealing_kd": ("--anneal-updates", 3)}

    def setup(method: str) -> Setup:
        command = distillation("--criterion", method, "--kd-weight", 0, "--nll-weight", 1)
        return build(data, *TINY, *command, *needed.get(method, ()))

    return {method: setup(method) for method in support.METHODS}


@pytest.mark.parametrize(("name", "flag"), [
    (name, flag) for name, flag in FLAGS if is_number(of(DECLARED[name])[flag])
])  # fmt: skip
def test_a_bad_number_ends_in_one_line(name: str, flag: str, setups: dict[str, Setup]) -> None:
    """With flag, value, range: each number of each method and of the task."""
    setup, field = setups.get(name, setups["word_kd"]), of(DECLARED[name])[flag]
    for value in (*ANY, *BAD[flag]):
        if not taken(field, value):
            continue
        cfg = copy.deepcopy(setup.cfg)
        given = cfg.task if name == "the task" else cfg.criterion
        setattr(given, field.name, value)
        if flag == "--kd-target-k":
            given.kd_target = "top-k"
        with pytest.raises(InputError) as refusal:
            tasks.setup_task(cfg.task) if given is cfg.task else setup.task.build_criterion(given)
        message = str(refusal.value)
        assert message.startswith(flag), message
        told = float(message.split()[1])
        assert told == pytest.approx(float(str(value)), nan_ok=True)
        assert " is out of range; give " in message
        assert "\n" not in message


@pytest.mark.parametrize("flag", {
    flag: None for name, flag in FLAGS
    if any(not taken(of(DECLARED[name])[flag], v) for v in (*ANY, *BAD[flag]))
})  # fmt: skip
def test_what_is_no_number_or_choice_dies_at_parse_time(
    flag: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(name for name, each in FLAGS if each == flag)
    method = name if name in support.METHODS else "word_kd"
    field = of(DECLARED[name])[flag]
    value = next(v for v in reversed((*ANY, *BAD[flag])) if not taken(field, v))
    with pytest.raises(SystemExit):
        build(data, *TINY, *distillation("--criterion", method, f"{flag}={value}"))
    assert f"argument {flag}: invalid" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("flag", ["--kd-weight=nan", "--knnmt-lambda=inf"])
def test_a_command_line_arrives_at_the_rule(flag: str, data: Path) -> None:
    with pytest.raises(InputError, match=flag.replace("=", " ") + " is out of range"):
        build(data, *TINY, *distillation("--criterion", "seq_kd", flag))


def test_every_number_has_a_range_and_every_choice_a_case() -> None:
    for name, flag in FLAGS:
        field = of(DECLARED[name])[flag]
        assert flag in BAD, f"{flag}: add bad values"
        assert is_choice(field) or "range" in field.metadata, f"{flag} of {name}"


@pytest.mark.parametrize(("flag", "value"), [
    ("--nll-weight", 0), ("--label-smoothing", 0.999), ("--kd-temperature", 0.01),
    ("--kd-temperature", 100), ("--kd-target-k", 24), ("--kd-select-rate", 0.0001),
    ("--kd-select-rate", 1), ("--tie-top-k", 0), ("--tie-top-k", 24), ("--knnmt-lambda", 1),
])  # fmt: skip
def test_ends_of_a_range_are_allowed(flag: str, value: float, data: Path, teacher: Path) -> None:
    method = {"--kd-s": "selective_kd", "--tie-": "tie_kd"}.get(flag[:6], "word_kd")
    more = ("--kd-target", "top-k") if flag == "--kd-target-k" else ()
    source = ("--teacher-path", teacher)
    build(data, *TINY, *distillation("--criterion", method, *source, *more, flag, value))


@pytest.mark.parametrize(("method", "flags", "message"), [
    ("word_kd", ("--kd-target", "top-k", "--kd-target-k", 9), "--kd-target-k 9"),
    ("tie_kd", ("--tie-iterations", 1, "--tie-top-k", 9), "--tie-top-k 9"),
])  # fmt: skip
def test_more_tokens_than_a_store_kept_are_refused_at_start(
    method: str, flags: tuple[object, ...], message: str, data: Path, teacher: Path, tmp_path: Path
) -> None:
    store = cache(data, teacher, tmp_path / "store", "--subset", "train")
    command = distillation("--criterion", method, "--teacher-store", store, *flags)
    words = rf"{message} asks for more .* {store} kept \(8\); give at most 8, or .* cache --top-k 9"
    with pytest.raises(InputError, match=words):
        build(data, *TINY, *command)
    both = ("--teacher-path", teacher)  # the store may be the teacher of the first iteration alone
    if method == "tie_kd":
        with pytest.raises(InputError, match=words):
            build(data, *TINY, *command, *both)
