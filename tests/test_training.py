"""Whole runs through fairseq's own commands."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq_cli import generate, validate

from kd_plugin.errors import InputError

from . import support
from .support import (
    SCHEDULE,
    TINY,
    USER_DIR,
    build,
    distillation,
    fairseq_train,
    fairseq_validate,
)

METRICS = {"loss", "nll_loss", "ppl", "kd_loss", "agreement", "teacher_nll_loss", "teacher_ppl"}


def word_kd(teacher: Path, *flags: object) -> list[object]:
    command = ["--criterion", "word_kd", "--teacher-path", teacher, "--label-smoothing", 0.1]
    return [*TINY, *distillation(*command, *flags)]


def any_method(method: str, teacher: Path, distilled: Path) -> list[object]:
    """A method with its teacher and both texts, in a short run."""
    command = ["--criterion", method, "--label-smoothing", 0.1, "--distilled-data", distilled]
    command += support.teacher_flags(method, teacher, distilled)
    return [*TINY, *distillation(*command, *support.METHODS[method])]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = support.load(folder / "checkpoint_last.pt")["model"]
    return model


def assert_same_weights(ours: Path, theirs: Path, tolerance: float = 0.0) -> None:
    """In every bit; with a tolerance all but the biases of keys.

    A softmax over keys does not see their bias: its gradient is rounding alone, which Adam turns
    into steps of full length.
    """
    first, second = weights(ours), weights(theirs)
    if tolerance:
        blind = [name for name in first if name.endswith("k_proj.bias")]
        first, second = ({n: w for n, w in x.items() if n not in blind} for x in (first, second))
    torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance)


def test_training_logs_everything_and_learns_from_its_teacher(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    run = fairseq_train(
        data, tmp_path, *word_kd(teacher), "--max-update", 30, "--tensorboard-logdir", board
    )
    first, last = run.stats("train_inner")[0], run.stats("train_inner")[-1]
    assert set(first) >= METRICS
    assert last["kd_loss"] < first["kd_loss"]
    assert set(run.stats("valid")[-1]) >= METRICS
    assert set(run.stats("train")[-1]) >= METRICS
    assert first["ppl"] == pytest.approx(2 ** first["nll_loss"], rel=0.01)
    assert first["teacher_ppl"] == pytest.approx(2 ** first["teacher_nll_loss"], rel=0.01)
    assert first["loss"] > 0.5 * first["kd_loss"]
    assert any("signature: word_kd|nll:0.5|kd:0.5|T:1|" in line for line in run.lines)
    written = b"".join(path.read_bytes() for path in board.rglob("events*"))
    assert all(name.encode() in written for name in METRICS)


def test_the_log_is_the_mean_over_all_tokens(data: Path, teacher: Path, tmp_path: Path) -> None:
    """Validation sees uneven batches; its numbers must be those of the set as one batch."""
    run = fairseq_train(data, tmp_path, *word_kd(teacher), "--max-update", 4)
    logged = run.stats("valid")[-1]
    setup = support.build(data, *word_kd(teacher))
    setup.model.load_state_dict(weights(tmp_path))
    setup.model.eval()
    log = setup.step(setup.batch("valid", range(23)))[2]
    for key, per in (
        ("loss", "sample_size"),
        ("nll_loss", "nll_ntokens"),
        ("kd_loss", "kd_ntokens"),
        ("teacher_nll_loss", "kd_ntokens"),
    ):
        assert logged[key] == pytest.approx(float(log[key]) / log[per] / math.log(2), abs=2e-3), key
    assert logged["agreement"] == pytest.approx(
        float(log["agreement"]) / log["kd_ntokens"], abs=1e-3
    )


def test_an_evaluation_reads_every_sentence(data: Path, teacher: Path, tmp_path: Path) -> None:
    """fairseq's default drops the longest sentences of 23, since 8 does not divide them."""
    flags = [*word_kd(teacher), "--max-update", 1, "--max-tokens", 5000]
    run = fairseq_train(data, tmp_path, *flags, "--required-batch-size-multiple", 8)
    assert run.stats("valid")[-1]["bsz"] == 23


@pytest.mark.parametrize("method", support.METHODS)
def test_accumulated_updates_are_one_larger_batch(
    method: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """All 150 sentences as one batch, or as uneven batches with --update-freq."""
    more: list[object] = ["--max-update", 3, "--optimizer", "sgd", "--lr", 0.1]
    if method == "selective_kd":  # else a token is compared with its batch
        more += ["--kd-select-rate", 1]
    if method == "hybrid_kd":  # the gate's means are those of the first update
        more += ["--hybrid-gate-warmup", 1]
    flags = [*any_method(method, teacher, distilled), *more]
    one = fairseq_train(data, tmp_path / "one", *flags, "--max-tokens", 5000)
    many = fairseq_train(data, tmp_path / "many", *flags, "--update-freq", 50)
    assert_same_weights(tmp_path / "one", tmp_path / "many", 2e-5)
    for ours, theirs in zip(many.stats("train_inner"), one.stats("train_inner"), strict=True):
        for key in {*METRICS, "wpb", "bsz", "gnorm"} & set(theirs):
            assert ours[key] == pytest.approx(theirs[key], rel=2e-3, abs=2e-3), key


def test_loader_workers_change_nothing(
    data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    flags = word_kd(teacher, "--distilled-data", distilled)
    for workers in (0, 2):
        fairseq_train(
            data, tmp_path / f"{workers}", *flags, "--max-update", 4, "--num-workers", workers
        )
    assert_same_weights(tmp_path / "0", tmp_path / "2")


@pytest.mark.parametrize("method", support.METHODS)
def test_a_resumed_run_is_an_uninterrupted_one(
    method: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """Interrupted at 13 of 30: in stage I, with a full queue, after the gate's warm-up."""
    flags = any_method(method, teacher, distilled)
    flags += ["--dropout", 0.1, "--lr-scheduler", "inverse_sqrt", "--warmup-updates", 5]
    whole = fairseq_train(data, tmp_path / "whole", *flags, "--max-update", 30)
    fairseq_train(data, tmp_path / "parts", *flags, "--max-update", 13)
    rest = fairseq_train(data, tmp_path / "parts", *flags, "--max-update", 30)
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")
    spreads = {"threshold", "threshold_sd", "selected", "selected_sd", "gate", "gate_sd"}
    untimed = {*METRICS, *spreads, "lr", "gnorm", "num_updates"} & set(
        whole.stats("train_inner")[-1]
    )
    last = (run.stats("train_inner")[-17:] for run in (rest, whole))
    for ours, theirs in zip(*last, strict=True):
        assert {key: ours[key] for key in untimed} == {key: theirs[key] for key in untimed}


def test_a_run_resumed_in_a_later_epoch_reads_the_same_batches(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    """Many sentences are equally long, and stock fairseq orders them by the epoch it starts in."""
    flags = [*word_kd(teacher), "--dropout", 0.1, "--max-tokens", 200]
    whole = fairseq_train(data, tmp_path / "whole", *flags, "--max-update", 26)
    assert whole.stats("train")[-1]["epoch"] > 2
    for update in (9, 17, 26):
        fairseq_train(data, tmp_path / "parts", *flags, "--max-update", update)
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_without_distillation_a_run_is_stock_training(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    more = ["--max-update", 8, "--dropout", 0.1]
    fairseq_train(
        data, tmp_path / "ours", *word_kd(teacher, "--nll-weight", 1, "--kd-weight", 0), *more
    )
    stock = [*TINY, "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1]
    fairseq_train(data, tmp_path / "stock", *stock, *more)
    assert_same_weights(tmp_path / "ours", tmp_path / "stock", 1e-4)


def test_seq_kd_on_a_distilled_folder_is_stock_training_on_it(
    distilled: Path, tmp_path: Path
) -> None:
    smoothing = ["--label-smoothing", 0.1, "--max-update", 8]
    ours = distillation("--criterion", "seq_kd", *smoothing)
    ran = fairseq_train(distilled, tmp_path / "ours", *TINY, *ours)
    stock = ["--criterion", "label_smoothed_cross_entropy", *smoothing]
    expected = fairseq_train(distilled, tmp_path / "stock", *TINY, *stock)
    assert_same_weights(tmp_path / "ours", tmp_path / "stock", 1e-4)
    ours_valid, stock_valid = ran.stats("valid")[-1], expected.stats("valid")[-1]
    assert ours_valid["loss"] == pytest.approx(stock_valid["loss"], abs=2e-3)
    assert ours_valid["ppl"] == pytest.approx(stock_valid["ppl"], abs=2e-2)


def test_an_ensemble_of_architectures(
    data: Path, teacher: Path, second_teacher: Path, tmp_path: Path
) -> None:
    flags = word_kd(Path(f"{teacher}:{second_teacher}"), "--kd-target", "no-top1")
    run = fairseq_train(data, tmp_path, *flags, "--max-update", 3)
    assert set(run.stats("train_inner")[-1]) >= METRICS


def test_bleu_is_the_students_and_its_checkpoint_loads_again(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    flags = [*word_kd(teacher), "--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 9}']
    flags += ["--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric"]
    run = fairseq_train(data, tmp_path, *flags, "--max-update", 2)
    assert run.stats("valid")[-1]["bleu"] < 5  # two updates; the teacher has had 25
    fairseq_train(data, tmp_path, *flags, "--max-update", 3)
    assert support.load(tmp_path / "checkpoint_last.pt")["extra_state"]["metrics"]


def test_bfloat16_on_a_cpu(data: Path, teacher: Path, tmp_path: Path) -> None:
    body = hydra_body(data, tmp_path, teacher)
    body["common"]["bf16"] = True
    assert "kd_loss" in hydra(tmp_path, body)


@pytest.mark.parametrize("flag", ["--bf16", "--memory-efficient-bf16"])
def test_bfloat16_on_the_command_line_is_for_tpus(flag: str, data: Path, tmp_path: Path) -> None:
    command = [*TINY, *distillation("--criterion", "seq_kd"), "--max-update", 1, flag]
    with pytest.raises(InputError, match="--bf16 on the command line asks fairseq for a TPU"):
        fairseq_train(data, tmp_path, *command)


@pytest.mark.parametrize("flag", ["--fp16", "--memory-efficient-fp16"])
@pytest.mark.parametrize("criterion", ["seq_kd", "cross_entropy"])
def test_half_precision_on_a_cpu_is_refused(
    flag: str, criterion: str, data: Path, tmp_path: Path
) -> None:
    command = [*TINY, *distillation("--criterion", criterion), "--max-update", 1, flag]
    with pytest.raises(InputError, match=r"--fp16 trains on a GPU, and --cpu is given; leave"):
        fairseq_train(data, tmp_path, *command)


@pytest.mark.parametrize("criterion", ["word_kd", "cross_entropy"])
def test_a_loss_that_is_no_number_ends_in_one_line(
    criterion: str, data: Path, teacher: Path, tmp_path: Path
) -> None:
    source = ["--teacher-path", teacher] if criterion == "word_kd" else []
    command = [*TINY, *distillation("--criterion", criterion, *source), "--lr", 1e30]
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at update 2: .* a lower --lr"):
        fairseq_train(data, tmp_path, *command, "--max-update", 9)


# Other commands


def test_translating_needs_no_teacher(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    moved = tmp_path / "moved.pt"
    moved.write_bytes(teacher.read_bytes())
    fairseq_train(data, tmp_path, *word_kd(moved), "--max-update", 2)
    moved.unlink()
    common = [
        str(data), "--user-dir", USER_DIR, "--path", str(tmp_path / "checkpoint_last.pt"), "--cpu",
        "--max-tokens", "100", "--required-batch-size-multiple", "1", "--task", "distillation",
    ]  # fmt: skip
    more = ["--beam", "2", "--max-len-b", "9", "--scoring", "sacrebleu"]
    monkeypatch.setattr(sys, "argv", ["fairseq-generate", *common, *more])
    generate.cli_main()
    assert sum(line.startswith("H-") for line in capsys.readouterr().out.splitlines()) == 11
    monkeypatch.setattr(sys, "argv", ["fairseq-validate", *common, "--valid-subset", "valid"])
    validate.cli_main()


def test_validating_again_gives_the_same_numbers(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fairseq_train(data, tmp_path, *word_kd(teacher), "--max-update", 2)
    again = fairseq_validate(data, tmp_path / "checkpoint_last.pt", capsys).stats("valid")[-1]
    for key in METRICS:
        assert again[key] == pytest.approx(run.stats("valid")[-1][key], abs=2e-3), key


@pytest.mark.parametrize(("method", "updates", "told"), [
    ("annealing_kd", 11, {"kd_loss"}),  # in stage I, at Phi = 2/3
    ("annealing_kd", 18, {"nll_loss"}),  # in stage II
    ("selective_kd", 5, {"kd_loss", "threshold", "selected"}),
    ("hybrid_kd", 14, {"kd_loss", "gate"}),
])  # fmt: skip
def test_validating_again_remembers_the_run(
    method: str,
    updates: int,
    told: set[str],
    data: Path,
    teacher: Path,
    distilled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The update's number, the queue and the gate are those at which the run itself validated."""
    flags = ["--max-update", updates, "--validate-interval-updates", updates]
    run = fairseq_train(data, tmp_path, *any_method(method, teacher, distilled), *flags)
    again = fairseq_validate(data, tmp_path / "checkpoint_last.pt", capsys).stats("valid")[-1]
    theirs = run.stats("valid")[-1]
    assert told <= set(theirs)
    assert ("kd_loss" in theirs) == (updates != 18)
    for key in {"loss", "nll_loss"} | told:
        assert again[key] == pytest.approx(theirs[key], abs=2e-3), key


def test_a_checkpoint_that_tells_no_update_is_said(
    data: Path, teacher: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setup = build(data, *word_kd(teacher))
    state = setup.task.state_dict()
    del state["criterion"]  # as earlier versions wrote it
    setup.task.from_checkpoint = True
    setup.task.load_state_dict(state)
    setup.task.build_criterion(setup.cfg.criterion)
    said = "the checkpoint does not tell where its run was: --criterion word_kd evaluates it as at"
    assert said in caplog.text


def hydra_body(data: Path, folder: Path, teacher: Path | str) -> dict[str, dict[str, Any]]:
    """The example of docs/running.md for fairseq-hydra-train, with a tiny student."""
    sizes = {"embed_dim": 14, "ffn_embed_dim": 22, "layers": 1, "attention_heads": 2}
    return {
        "common": {"user_dir": USER_DIR, "cpu": True, "log_format": "json", "log_interval": 1},
        "task": {"_name": "distillation", "data": str(data), "teacher_path": str(teacher)},
        "criterion": {"_name": "word_kd", "kd_target": "top-k", "kd_target_k": 3},
        "model": {"_name": "transformer", "encoder": sizes, "decoder": sizes},
        "optimizer": {"_name": "adam", "lr": [0.01]},
        "lr_scheduler": {"_name": "fixed"},
        "optimization": {"max_update": 2, "lr": [0.01]},
        "dataset": {"max_tokens": 60, "required_batch_size_multiple": 1, "num_workers": 0},
        "checkpoint": {"save_dir": str(folder / "save")},
    }


def hydra(folder: Path, body: dict[str, Any], *flags: str) -> str:
    """Run fairseq-hydra-train on a YAML file (JSON is YAML) and return what it printed."""
    (folder / "conf.yaml").write_text("# @package _global_\n" + json.dumps(body))
    where = ["--config-dir", folder, "--config-name", "conf"]
    done = support.command("fairseq-hydra-train", *where, *flags, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_hydra(data: Path, teacher: Path, tmp_path: Path) -> None:
    """Hydra changes the working directory; the teacher's path is relative to where we were."""
    (tmp_path / "t.pt").write_bytes(teacher.read_bytes())
    printed = hydra(tmp_path, hydra_body(data, tmp_path, "t.pt"))
    assert "signature: word_kd|nll:0.5|kd:0.5|T:1|target:top-k|k:3|teacher:live." in printed
    assert "kd_loss" in printed
    assert (tmp_path / "save" / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("method", support.METHODS)
def test_hydra_knows_every_method(
    method: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """The same flags as elsewhere, as keys of a YAML file."""
    body = hydra_body(data, tmp_path, teacher)
    flag, value = support.teacher_flags(method, teacher, distilled)
    body["task"] = {"_name": "distillation", "data": str(data), "distilled_data": str(distilled)}
    body["task"][key_of(flag)] = str(value)
    given = support.METHODS[method]
    body["criterion"] = {key_of(name): value for name, value in zip(given[::2], given[1::2])}
    body["criterion"]["_name"] = method
    printed = hydra(tmp_path, body)
    assert f"signature: {method}|" in printed
    assert "kd_loss" in printed


def key_of(flag: object) -> str:
    return str(flag)[2:].replace("-", "_")


def test_a_user_sees_one_line_for_bad_input_and_no_warnings_otherwise(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    flags = [data, *SCHEDULE, *TINY, "--save-dir", tmp_path / "save", "--max-update", 1]
    flags += distillation("--criterion", "word_kd", "--teacher-path")
    bad = support.command("fairseq-train", *flags, "no.pt", cwd=tmp_path)
    assert bad.returncode != 0
    assert bad.stderr.splitlines() == [
        "fairseq-train: error: --teacher-path no.pt does not exist; "
        "name a checkpoint file, such as checkpoint_best.pt"
    ]
    good = support.command("fairseq-train", *flags, teacher, cwd=tmp_path)
    assert good.returncode == 0
    assert "Warning" not in good.stdout + good.stderr
