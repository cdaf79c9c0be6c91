"""The architecture under fairseq's own commands, as a student and as a teacher."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq_cli import generate
from torch.multiprocessing.spawn import spawn

from kd_plugin.commands import cli
from kd_plugin.host.decode_hook import require_decode_hook, width_of_states
from kd_plugin.host.probabilities import is_plain_softmax
from kd_plugin.host.projection import projects_features
from kd_plugin.models import TransformerGLU
from kd_plugin.models.gating import GatedLinear
from kd_plugin.models.parameters import of_checkpoint

from .. import support
from ..support import TINY, USER_DIR, Setup, build, command, distillation, fairseq_train
from ..test_ranks import ROWS, free_port, gradients_of_a_rank
from ..test_training import hydra, hydra_body

GATED = ["--arch", "transformer_glu", *TINY[2:]]


def flags_of(teacher: object, *flags: object, method: str = "word_kd") -> list[object]:
    given = ["--criterion", method, "--teacher-path", teacher, "--label-smoothing", 0.1]
    return [*GATED, *distillation(*given, *flags)]


@pytest.fixture(scope="module")
def run(
    data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, support.Run]:
    folder = tmp_path_factory.mktemp("gated")
    return folder / "checkpoint_last.pt", fairseq_train(
        data, folder, *flags_of(teacher), "--max-update", 30
    )


def gates(model: Any) -> list[GatedLinear]:
    return [module for module in model.modules() if isinstance(module, GatedLinear)]


def test_it_learns_from_its_teacher_and_its_gates_move(run: tuple[Path, support.Run]) -> None:
    path, trained = run
    logged = trained.stats("train_inner")
    assert logged[-1]["kd_loss"] < logged[0]["kd_loss"]
    weights = support.load(path)["model"]
    for side in ("encoder", "decoder"):
        logits = weights[f"{side}.layers.0.fc1.channel_logits"]
        assert logits.shape == (15,)
        assert (logits - 4).abs().min() > 0


def test_a_resumed_run_is_an_uninterrupted_one(
    run: tuple[Path, support.Run], data: Path, teacher: Path, tmp_path: Path
) -> None:
    for updates in (13, 30):
        fairseq_train(data, tmp_path, *flags_of(teacher), "--max-update", updates)
    parts, whole = (support.load(p)["model"] for p in (tmp_path / "checkpoint_last.pt", run[0]))
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_it_translates(
    run: tuple[Path, support.Run], data: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    flags = [
        str(data), "--user-dir", USER_DIR, "--task", "distillation", "--path", str(run[0]), "--cpu",
        "--max-tokens", "100", "--required-batch-size-multiple", "1", "--scoring", "sacrebleu",
        "--beam", "2", "--max-len-b", "9",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["fairseq-generate", *flags])
    generate.cli_main()
    assert sum(line.startswith("H-") for line in capsys.readouterr().out.splitlines()) == 11


def test_decoding_step_by_step_is_decoding_at_once(data: Path, teacher: Path) -> None:
    setup = build(data, *flags_of(teacher))
    model, sample = setup.model.eval(), setup.batch()
    inputs, real = sample["net_input"], sample["target"].ne(setup.task.target_dictionary.pad())
    prefix = inputs["prev_output_tokens"]
    with torch.no_grad():
        whole = model(**inputs)[0]
        encoder_out = model.encoder(inputs["src_tokens"], inputs["src_lengths"])
        state: dict[str, Any] = {}
        steps = [
            model.decoder(prefix[:, : t + 1], encoder_out=encoder_out, incremental_state=state)[0]
            for t in range(prefix.size(1))
        ]
    torch.testing.assert_close(torch.cat(steps, 1)[real], whole[real], rtol=1e-6, atol=1e-6)


def test_it_teaches(run: tuple[Path, support.Run], data: Path, tmp_path: Path) -> None:
    given = distillation("--criterion", "word_kd", "--teacher-path", run[0])
    trained = fairseq_train(data, tmp_path, *TINY, *given, "--max-update", 2)
    assert any("teacher: TransformerGLU from" in line for line in trained.lines)
    (teacher,) = build(data, *TINY, *given).task.teacher.models
    assert len(gates(teacher)) == 2
    assert is_plain_softmax(teacher)
    assert projects_features(teacher)


def test_the_decode_hook_knows_it(data: Path, teacher: Path, distilled: Path) -> None:
    setup = build(data, *flags_of(teacher))
    require_decode_hook(setup.model, "tie_kd")
    assert is_plain_softmax(setup.model)
    assert width_of_states(setup.model) == 14
    for method in ("tie_kd", "hybrid_kd"):
        both = flags_of(teacher, "--distilled-data", distilled, method=method)
        check_every_parameter_learns(build(data, *both))


def check_every_parameter_learns(setup: Setup) -> None:
    """As torch's DDP wants it, which waits for the gradient of each."""
    gradients = setup.step(setup.batch())[3]
    assert gradients.keys() == {name for name, _ in setup.model.named_parameters()}
    assert all(g.abs().max() > 0 for name, g in gradients.items() if "k_proj.bias" not in name)


@pytest.mark.parametrize("more", [[], ["--checkpoint-activations"]], ids=str)
def test_every_parameter_learns(data: Path, teacher: Path, more: list[str]) -> None:
    check_every_parameter_learns(build(data, *flags_of(teacher, *more)))


@pytest.mark.parametrize("wrapper", ["legacy", "torch"])
def test_gradients_under_data_parallelism(
    wrapper: str, data: Path, teacher: Path, tmp_path: Path
) -> None:
    """The mean over two ranks is half the sum over both batches in one process."""
    flags, out = [str(flag) for flag in flags_of(teacher)], tmp_path / "gradients.pt"
    arguments = (free_port(), wrapper, flags, str(data), str(out))
    spawn(gradients_of_a_rank, arguments, nprocs=2)  # type: ignore[no-untyped-call]
    setup = build(data, *flags)
    each = [setup.step(setup.batch(rows=rows))[3] for rows in ROWS]
    mean = {name: (each[0][name] + each[1][name]) / 2 for name in each[0]}
    torch.testing.assert_close(torch.load(out), mean, rtol=1e-10, atol=1e-13)


def test_hydra_in_half_precision(data: Path, teacher: Path, tmp_path: Path) -> None:
    body = hydra_body(data, tmp_path, teacher)
    body["model"]["_name"] = "transformer_glu"
    body["common"]["bf16"] = True
    assert "kd_loss" in hydra(tmp_path, body)
    model = of_checkpoint(tmp_path / "save" / "checkpoint_last.pt")
    assert [layer.channel_logits.numel() for layer in gates(model)] == [15, 15]


def test_only_first_layers_differ_from_a_plain_transformer(data: Path) -> None:
    models = (build(data, *f, "--criterion", "cross_entropy").model for f in (TINY, GATED))
    plain, gated = ({(n, p.shape[:1]) for n, p in m.named_parameters()} for m in models)
    assert {name.split(".")[3] for name, _ in plain ^ gated} == {"fc1"}


def test_an_activation_is_refused(data: Path) -> None:
    with pytest.raises(ValueError) as refused:
        build(data, *GATED, "--activation-fn", "relu", *distillation("--criterion", "seq_kd"))
    assert str(refused.value) == (
        "--activation-fn relu has no place in --arch transformer_glu, whose gates are its "
        "nonlinearity; leave the flag out"
    )


def test_it_is_registered_once_however_it_is_imported(tmp_path: Path) -> None:
    assert MODEL_REGISTRY["transformer_glu"] is TransformerGLU
    assert ARCH_MODEL_REGISTRY["transformer_glu"] is TransformerGLU
    flags = "['data', '--user-dir', sys.argv[1], '--arch', 'transformer_glu']"
    for first in ("pass", "import kd_plugin.models.transformer_glu"):
        code = (
            f"import sys; {first}\n"
            "from fairseq import options, utils, models\n"
            f"args = options.parse_args_and_arch(options.get_training_parser(), {flags})\n"
            "print(models.MODEL_REGISTRY['transformer_glu'].__module__, args.activation_fn)"
        )
        done = command("python", "-c", code, USER_DIR, cwd=tmp_path)
        assert done.stdout.split() == ["kd_plugin.models.transformer_glu", "linear"], done.stderr


def test_an_export_is_refused(run: tuple[Path, support.Run], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"is a transformer_glu, which stock fairseq does not"):
        cli.main(["export", str(run[0]), str(tmp_path / "out.pt")])
    assert not list(tmp_path.iterdir())
