"""What came out of runs: kept once, whole, and checked when it is read."""

from __future__ import annotations

import gzip
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.tables.facts import facts
from kd_plugin.tables.ledger import LEDGER, append, keep, kept, read_ledger

LOG = """INFO | fairseq_cli.train | num. shared model params: 56,320 (num. trained: 56,320)
INFO | fairseq_cli.train | num. expert model params: 0 (num. trained: 0)
INFO | valid | epoch 001 | valid on 'valid' subset | loss 9 | ppl 300.5 | num_updates 10
INFO | train | epoch 001 | loss 9 | nll_loss 8.9 | ppl 511.25 | wps 1 | num_updates 10 | wall 3
INFO | valid | epoch 002 | valid on 'valid' subset | loss 8 | ppl 140.5 | kd_loss 1 | num_updates 20
INFO | train | epoch 002 | loss 8 | nll_loss 7.9 | ppl 250.75 | wps 1 | num_updates 20 | wall 6
"""


def entry(row: str = "none", seed: int = 1, model: str = "steps/train-1/model", **more: Any) -> Any:
    """A line of a ledger."""
    training = {
        "updates": 20,
        "seconds": 5.0,
        "ups": 4.0,
        "parameters": 5e4,
        "ppl": 7.5,
        "train_ppl": 6.5,
        "agreement": None,
        "signature": None,
        "learning": [[10, 9.5], [20, 7.5]],
    }
    return {
        "table": "made", "scale": "paper", "data": "de-en", "student": "small", "row": row,
        "seed": seed, "model": model, "scores": {"beam5": {"BLEU": 20.0, "chrF": 40.0}},
        "signatures": {"BLEU": "x|checkpoint:last"}, "translations": {"beam5": "translations/a.gz"},
        "references": "translations/b.gz", "training": training, "versions": {"torch": "2"},
        "commit": None, "finished": "2026-01-01", **more,
    }  # fmt: skip


def test_a_line_is_added_once(tmp_path: Path) -> None:
    for _ in range(2):
        append(tmp_path, entry())
    append(tmp_path, entry(seed=2))
    append(tmp_path, entry(model="steps/train-2/model"))  # run again with other settings
    assert [(e["seed"], e["model"]) for e in read_ledger(tmp_path)] == [
        (1, "steps/train-1/model"), (2, "steps/train-1/model"), (1, "steps/train-2/model"),
    ]  # fmt: skip
    assert read_ledger(tmp_path / "empty") == []


def _append(folder: Path, row: str) -> None:
    for seed in range(1, 11):
        append(folder, entry(row, seed))


def test_several_processes_add(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path, row)) for row in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = [(e["row"], e["seed"]) for e in read_ledger(tmp_path)]
    assert sorted(found) == [(row, seed) for row in "abc" for seed in range(1, 11)]


@pytest.mark.parametrize("change", ["{", "[]", None])
def test_a_damaged_line_is_named(change: str | None, tmp_path: Path) -> None:
    append(tmp_path, entry())
    second = change if change is not None else json.dumps({**entry(), "seed": "2"})
    with open(tmp_path / LEDGER, "a") as file:
        file.write(second + "\n")
    with pytest.raises(InputError, match=r"ledger\.jsonl, line 2 is damaged .*remove the line"):
        read_ledger(tmp_path)


def test_text_is_kept_by_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        path.write_bytes(b"the same\n")
    name = keep(tmp_path, first)
    assert keep(tmp_path, second) == name
    assert kept(tmp_path, name) == b"the same\n"
    (tmp_path / name).write_bytes(gzip.compress(b"another\n"))
    with pytest.raises(InputError, match="is not the text that its name says"):
        kept(tmp_path, name)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        kept(tmp_path, name)


@pytest.fixture
def model(teacher: Path, tmp_path: Path) -> Path:
    """A trained model's folder, with a log."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "checkpoint_last.pt").symlink_to(teacher)
    (folder / "train.log").write_text(LOG)
    return folder


def test_what_a_training_says_of_itself(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"all": {"agreement": 0.5}}))
    found = facts(model, tmp_path / "a.json")
    assert (found["updates"], found["parameters"]) == (25, 56320)
    assert (found["ppl"], found["train_ppl"], found["agreement"]) == (140.5, 250.75, 50)
    assert found["learning"] == [[10, 300.5], [20, 140.5]]
    assert found["ups"] == pytest.approx(25 / found["seconds"], rel=0.5)  # of so short a run
    (model / "train.log").write_text("")
    assert facts(model)["ppl"] is None


def test_the_command_scores_and_keeps(model: Path, tmp_path: Path) -> None:
    references = ["a small house by the sea", "the cat sat on the mat today"]
    translations = ["a small house at the sea", "the cat sat on a mat today"]
    for name, lines in (("ref", references), ("hyp", translations)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    ledger = tmp_path / "ledger"
    cli.main(
        f"record --ledger {ledger} --table t --scale paper --data d --student s --row r --seed 3 "
        f"--model {model} --references {tmp_path}/ref --translation beam5={tmp_path}/hyp".split()
    )
    (line,) = read_ledger(ledger)
    assert line["scores"]["beam5"] == {
        "BLEU": sacrebleu.corpus_bleu(translations, [references]).score,
        "chrF": sacrebleu.corpus_chrf(translations, [references]).score,
    }
    assert line["signatures"]["BLEU"].endswith("|checkpoint:last")
    assert kept(ledger, line["translations"]["beam5"]).decode().splitlines() == translations
    assert kept(ledger, line["references"]).decode().splitlines() == references
    with pytest.raises(SystemExit, match="--translation hyp is not understood; give NAME=FILE"):
        cli.main(
            f"record --ledger {ledger} --table t --scale paper --data d --student s --row r "
            f"--seed 3 --model {model} --references {tmp_path}/ref --translation hyp".split()
        )
