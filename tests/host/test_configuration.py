"""Checkpoints whose weights are fine and whose configuration attacks: none of its code runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.host.configuration import is_harmless
from kd_plugin.models import parameters, weights
from kd_plugin.teachers.checkpoints import read_checkpoint

from .. import support

# Settings of a model that fairseq evaluates, each with an architecture that does.
EVALUATED = [
    ("transformer", "adaptive_softmax_cutoff"),
    ("transformer", "encoder_xformers_att_config"),
    ("transformer", "decoder_xformers_att_config"),
    ("lstm", "decoder_attention"),
    ("lstm", "adaptive_softmax_cutoff"),
    ("fconv", "encoder_layers"),
    ("fconv", "decoder_layers"),
    ("fconv", "decoder_attention"),
    ("fconv_self_att", "self_attention"),
    ("lightconv", "adaptive_softmax_cutoff"),
    ("hubert", "conv_feature_layers"),
]
FORMS = ["namespace", "dictionary", "omegaconf", "arguments"]


def settings(teacher: Path, arch: str) -> dict[str, Any]:
    """A model's settings as a command line gave them, of another architecture."""
    found = vars(support.load(teacher)["cfg"]["model"])
    return {**found, "arch": arch, "_name": arch}


def write(teacher: Path, path: Path, model: dict[str, Any], form: str = "namespace") -> Path:
    """The teacher's checkpoint with these settings of the model."""
    state = support.load(teacher)
    if form == "arguments":  # as fairseq wrote them before it had a configuration
        state["args"], state["cfg"] = Namespace(**{"task": "translation", **model}), None
        state["args"].data = state["args"].criterion = None
    elif form == "omegaconf":
        state["cfg"] = OmegaConf.create({**state["cfg"], "model": model})
    else:
        state["cfg"]["model"] = Namespace(**model) if form == "namespace" else model
    torch.save(state, path)
    return path


def touch(marker: Path) -> str:
    return f"  [__import__('pathlib').Path({str(marker)!r}).touch()]"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("arch", "name"), EVALUATED)
def test_no_setting_runs_as_code(
    teacher: Path, tmp_path: Path, arch: str, name: str, form: str
) -> None:
    marker = tmp_path / "marker"
    model = {**settings(teacher, arch), name: touch(marker)}
    path = write(teacher, tmp_path / "t.pt", model, form)
    refused = f"{name} is .*, which fairseq would run as code"
    if (arch, form) == ("hubert", "arguments"):
        refused = "is not a fairseq checkpoint"  # fairseq itself cannot upgrade such arguments
    with pytest.raises(InputError, match=refused) as error:
        parameters.of_checkpoint(path)
    assert "\n" not in str(error.value)
    assert not marker.exists()


def test_code_in_lists_and_in_literals(teacher: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for value in ([touch(marker)], {"a": [touch(marker)]}, repr([touch(marker)])):
        model = {**settings(teacher, "transformer"), "adaptive_softmax_cutoff": value}
        with pytest.raises(InputError, match="would run as code"):
            parameters.of_checkpoint(write(teacher, tmp_path / "t.pt", model))
    assert not marker.exists()


@pytest.mark.parametrize("command", ["parameters", "average", "export"])
def test_every_command_refuses(teacher: Path, tmp_path: Path, command: str) -> None:
    model = {**settings(teacher, "transformer"), "adaptive_softmax_cutoff": touch(tmp_path / "m")}
    path = str(write(teacher, tmp_path / "t.pt", model))
    more = {"average": ["--output", str(tmp_path / "out.pt")], "export": [str(tmp_path / "out.pt")]}
    with pytest.raises(SystemExit, match="would run as code"):
        cli.main([command, path, *more.get(command, [])])
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "out.pt").exists()


@pytest.mark.parametrize("value", [b"print()", torch.zeros(1), {1.5: {2}}, torch.float16])
def test_only_plain_values(teacher: Path, tmp_path: Path, value: Any) -> None:
    model = {**settings(teacher, "transformer"), "adaptive_softmax_cutoff": value}
    with pytest.raises(InputError, match="holds a "):
        read_checkpoint(str(write(teacher, tmp_path / "t.pt", model)), "T")


@pytest.mark.parametrize("name", ["encoder_embed_path", "decoder_embed_path", "w2v_path", "other"])
def test_no_setting_reads_a_file(
    teacher: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is built of its weights, as if the setting were not there."""
    model = {**settings(teacher, "transformer"), name: str(tmp_path / "secret(1).txt")}
    if name == "other":
        model[name] = "https://example.org/x.pt"
    path = write(teacher, tmp_path / "t.pt", model)
    monkeypatch.setattr("fairseq.utils.parse_embedding", lambda path: pytest.fail(f"read {path}"))
    assert not hasattr(read_checkpoint(str(path), "T")["cfg"].model, name)
    parameters.of_checkpoint(path)


def test_odd_names_of_a_runs_folders_are_no_code(teacher: Path, tmp_path: Path) -> None:
    model = {**settings(teacher, "transformer"), "save_dir": "run(1)", "teacher_store": "s(2)"}
    model |= {"data": "data(1)", "adam_betas": "(0.9, 0.98)"}
    parameters.of_checkpoint(write(teacher, tmp_path / "t.pt", model))


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "a ${oc.env:SECRET}", "${oc.create:x}"])
@pytest.mark.parametrize("where", ["task", "model", "arguments"])
def test_a_stranger_reads_no_environment(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, where: str
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    state = support.load(teacher)
    if where == "arguments":
        state["args"] = Namespace(**{**settings(teacher, "transformer"), "data": text})
        state["cfg"] = None
    elif where == "task":
        state["cfg"]["task"]["data"] = text
    else:
        state["cfg"]["model"].encoder_embed_path = text
    torch.save(state, tmp_path / "t.pt")
    with pytest.raises(InputError, match="names nothing of this configuration"):
        weights.export(tmp_path / "t.pt", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_a_reference_within_the_configuration_is_its_value(teacher: Path, tmp_path: Path) -> None:
    state = support.load(teacher)
    state["cfg"]["task"]["max_source_positions"] = 77
    state["cfg"]["model"].max_source_positions = "${task.max_source_positions}"
    torch.save(state, tmp_path / "t.pt")
    assert read_checkpoint(str(tmp_path / "t.pt"), "T")["cfg"].model.max_source_positions == 77
    state["cfg"]["model"].max_source_positions = "${task.nothing}"
    torch.save(state, tmp_path / "t.pt")
    with pytest.raises(InputError, match="names nothing"):
        read_checkpoint(str(tmp_path / "t.pt"), "T")


@pytest.mark.parametrize("text", [
    "relu", "1000,2000", "(0.9, 0.98)", "[(512, 3)] * 20", "True", "None", "-1.5", "de-en", "a b",
    '{"beam": 5, "lenpen": 1.2}', "{'name': 'scaled_dot_product', 'causal': True}", "", "is",
])  # fmt: skip
def test_harmless(text: str) -> None:
    assert is_harmless(text)


@pytest.mark.parametrize("text", [
    "exit()", " \texit()", "[x for x in ()]", "(lambda: 1)", "f'{exit()}'", "a[0]", "9**9**9",
    "1 << 9", "os.environ", "x if y else z", "['exit()']", "(x := 1)", "exit\\\n()",
])  # fmt: skip
def test_not_harmless(text: str) -> None:
    assert not is_harmless(text)


def test_the_flags_of_a_file_do_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "m.args"
    path.write_text(f'--arch transformer --adaptive-softmax-cutoff "{touch(marker)}"')
    with pytest.raises(InputError, match="is no model of fairseq's"):
        parameters.of_flags(path, 99)
    assert not marker.exists()
