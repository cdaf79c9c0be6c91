"""Counts of a checkpoint against its weights; bad input is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kd_plugin.commands import cli
from kd_plugin.models.parameters import count_parameters, of_checkpoint

from .. import support
from ..support import TINY, distillation, fairseq_train

TIED = ["--share-decoder-input-output-embed"]


@pytest.mark.parametrize("more", [[], TIED, ["--decoder-learned-pos"]], ids=str)
def test_counts_are_those_of_the_weights(data: Path, tmp_path: Path, more: list[str]) -> None:
    flags = distillation("--criterion", "seq_kd", "--max-update", 1)
    fairseq_train(data, tmp_path, *TINY, *flags, *more)
    path = tmp_path / "checkpoint_last.pt"
    weights = support.load(path)["model"]
    buffers = ("version", "_float_tensor")
    sizes = {n: w.numel() for n, w in weights.items() if not n.endswith(buffers)}
    if more == TIED:
        del sizes["decoder.output_projection.weight"]
    embeddings = {n for n in sizes if "embed" in n or "output_projection" in n}
    count = count_parameters(of_checkpoint(path))
    assert count.embeddings == sum(sizes[n] for n in embeddings)
    assert count.total == sum(sizes.values())


def test_another_architecture_is_counted(second_teacher: Path) -> None:
    """The decoder of the LSTM has an output matrix [V, 10] of its own."""
    weights = support.load(second_teacher)["model"]
    tables = [n for n, w in weights.items() if "embed_tokens" in n or n == "decoder.fc_out.weight"]
    count = count_parameters(of_checkpoint(second_teacher))
    assert count.embeddings == sum(weights[n].numel() for n in tables)
    assert count.total == sum(w.numel() for w in weights.values())


def test_effective_width_of_each_layer(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = distillation("--criterion", "seq_kd", "--max-update", 1)
    fairseq_train(data, tmp_path, *TINY, *flags, "--arch", "transformer_glu")
    path = tmp_path / "checkpoint_last.pt"
    state = support.load(path)
    state["model"]["decoder.layers.0.fc1.channel_logits"] = torch.tensor([0.0] * 5 + [-99.0] * 10)
    torch.save(state, path)
    capsys.readouterr()
    cli.main(["parameters", str(path)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{path}: TransformerGLU"
    assert printed[-1] == "  decoder.layers.0  effective width 2.5 of 15"
    assert printed[-2].startswith("  encoder.layers.0  effective width 14.")


def test_a_file_of_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.args"
    file.write_text(" ".join(TINY) + "  # small\n--share-all-embeddings\n")
    cli.main(["parameters", str(file), "--vocabulary", "100"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{file}: TransformerModel"
    assert printed[2] == "  embeddings  1,400"


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.args"

    def refuse(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["parameters", *map(str, arguments)])
        return str(stopped.value)

    assert refuse("no.pt").startswith("fairseq-kd: error: no.pt does not exist; name a checkpoint")
    assert refuse("no.args").startswith("fairseq-kd: error: no.args does not exist; name a file")
    file.write_text("--arch transformer --deep 3\n")
    assert refuse(file) == (
        f"fairseq-kd: error: {file} is no model of fairseq's: unrecognized arguments: --deep 3"
    )
    file.write_text("--arch transformer --encoder-embed-dim 30 --encoder-attention-heads 4\n")
    assert refuse(file).startswith(f"fairseq-kd: error: {file} is no model of fairseq's: embed_dim")
    for odd in (
        "", "--arch 'tran", "--help", "--arch nobodys", "--user-dir .", "x y", "\x00",
        "--arch transformer --encoder-layers 0.5", "--arch transformer --dropout",
    ):  # fmt: skip
        file.write_text(odd)
        assert "\n" not in refuse(file)
        assert refuse(file).startswith(f"fairseq-kd: error: {file} is no model of fairseq's: ")
    file.write_bytes(b"--arch transformer # \xff")
    assert "is no model of fairseq's: 'utf-8' codec can't decode" in refuse(file)
    capsys.readouterr()
    assert refuse(file, "--vocabulary", 4) == "2"
    assert "'4' is no size; give a number above 4, the special symbols" in capsys.readouterr().err
