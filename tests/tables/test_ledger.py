"""What came out of runs: kept once, whole, and checked when it is read."""

from __future__ import annotations

import gzip
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch

from kd_plugin.commands import cli
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.errors import InputError
from kd_plugin.tables.curves import learning, thinned
from kd_plugin.tables.facts import Files, facts, mode
from kd_plugin.tables.ledger import LEDGER, append, keep, kept, read_ledger
from kd_plugin.tables.locate import REPOSITORY
from kd_plugin.tasks.distillation import DistillationTask
from kd_plugin.teachers.checkpoints import load_teacher

from .. import support

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
        "learning": [[10, 9.5, 2.5, None], [20, 7.5, 5.0, None]],
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
    # run again with other settings
    append(tmp_path, entry(seed=2), entry(model="steps/train-2/model"), entry(seed=2))
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


def quality(accuracy: float, nll: float) -> dict[str, float]:
    return {"accuracy": accuracy, "nll": nll}


def test_what_a_training_says_of_itself(model: Path, tmp_path: Path) -> None:
    for name, share in (("valid", 0.5), ("train", 0.75)):
        told = {"agreement": share, "student": quality(share, 2.0), "teacher": quality(1.0, 1.0)}
        (tmp_path / name).write_text(json.dumps({"all": told}))
    found = facts(model, Files(agreement=tmp_path / "valid", fit=tmp_path / "train"))
    assert (found["updates"], found["parameters"]) == (25, 56320)
    assert (found["ppl"], found["train_ppl"], found["agreement"]) == (140.5, 250.75, 50)
    assert (found["valid_accuracy"], found["train_accuracy"]) == (50, 75)
    assert (found["valid_nll"], found["train_nll"]) == (2, 2)
    assert found["learning"] == [[10, 300.5, 3, None], [20, 140.5, 6, None]]
    assert found["ups"] == pytest.approx(25 / found["seconds"], rel=0.5)  # of so short a run
    unknown = ("threshold", "stage1_ppl", "peak_mb", "peak_gpu_gb", "mode", "tps", "megabytes")
    assert [found[name] for name in unknown] == [None] * len(unknown)
    (model / "train.log").write_text("")
    assert facts(model)["ppl"] is None


def test_the_most_memory_and_the_last_threshold(model: Path) -> None:
    """The largest of all starts; fairseq tells of a GPU what was free of it."""
    line = "INFO | {} | epoch 00{} | gb_free {} | threshold {} | threshold_sd {} | peak_mb {}"
    (model / "train.log").write_text(
        "rank   0: capabilities =  9.0  ; total memory = 79.100 GB ; name = x\n"
        + "\n".join(
            (
                line.format("train_inner", 1, 60.5, -7.5, 0.5, 900),
                line.format("train", 1, 61.5, 3.25, 0.75, 900),
                line.format("train", 2, 70.1, 2.5, 0.125, 600),  # resumed
            )
        )
    )
    found = facts(model)
    assert (found["peak_mb"], found["peak_gpu_gb"]) == (900, 18.6)
    assert (found["threshold"], found["threshold_sd"]) == (2.5, 0.125)


def test_the_end_of_stage_one(data: Path, teacher: Path, tmp_path: Path) -> None:
    """Of Annealing-KD: the last validation of its first 4 updates."""
    flags = ["--criterion", "annealing_kd", "--teacher-path", teacher, "--anneal-updates", 4]
    support.fairseq_train(
        data, tmp_path, *support.TINY, *support.distillation(*flags), "--max-update", 6
    )
    line = "INFO | valid | epoch 001 | valid on 'valid' subset | ppl {} | num_updates {}\n"
    log = "".join(line.format(ppl, update) for update, ppl in ((2, 90), (4, 80), (5, 70), (6, 60)))
    (tmp_path / "train.log").write_text(log)
    assert facts(tmp_path)["stage1_ppl"] == 80
    (tmp_path / "train.log").write_text(log[-len(line) :])
    assert facts(tmp_path)["stage1_ppl"] is None


def test_what_commands_measured(data: Path, teacher: Path, model: Path, tmp_path: Path) -> None:
    """Against what they print: rate and size, and the entropies whose difference is H."""
    speed, text = tmp_path / "speed.json", tmp_path / "text.json"
    command = ["speed", str(data), "--path", str(teacher), "--max-len-b", "5", "--cpu"]
    cli.main([*command, "--sentences", "5", "--repetitions", "1", "--json", str(speed)])
    cli.main(["describe", str(data), "--json", str(text)])
    found, told = facts(model, Files(speed=speed, text=text)), json.loads(speed.read_text())
    assert found["tps"] == told["fairseq"]["tokens"] / told["fairseq"]["seconds"]
    outside = told["ctranslate2"]
    assert found["megabytes"] == outside.get("megabytes")
    if "tokens" in outside:
        assert found["ctranslate2_tps"] == outside["tokens"] / outside["seconds"]
    (row,) = json.loads(text.read_text())
    assert found["text_entropy"] == pytest.approx(row["entropy_2"] - row["entropy_1"])
    told["ctranslate2"] = {"why_not": "is not installed"}
    speed.write_text(json.dumps(told))
    found = facts(model, Files(speed=speed))
    assert (found["megabytes"], found["ctranslate2_tps"]) == (None, None)
    speed.write_text("{}")
    with pytest.raises(InputError, match=r"is damaged .*; run fairseq-kd speed again"):
        facts(model, Files(speed=speed))


def test_a_learning_curve() -> None:
    log = "\n".join(
        (
            "INFO | train_inner | epoch 001: 5 / 9 loss=1 | num_updates 4 | wall 10",
            "INFO | valid | epoch 1 | valid on 'valid' subset | ppl 9.5 | bleu 1.5 | num_updates 6",
            "INFO | train | epoch 001 | num_updates 8 | train_wall 1 | wall 30",
            "INFO | valid | epoch 001 | valid on 'test' subset | ppl 2 | num_updates 6",
            "INFO | valid | epoch 002 | valid on 'valid' subset | ppl 8.5 | bleu 2 | num_updates 8",
        )
    )
    assert learning(log) == [[6, 9.5, 20.0, 1.5], [8, 8.5, 30.0, 2.0]]
    assert learning("x | valid on 'valid' subset | ppl 2 | num_updates 3") == [[3, 2.0, None, None]]
    assert thinned(list(range(100))) == list(range(1, 100, 2))
    assert thinned([1, 2]) == [1, 2]


@pytest.mark.parametrize("lenpen", [0.0, 0.6, 1.0])
def test_how_much_the_best_translation_gets(
    data: Path, teacher: Path, tmp_path: Path, lenpen: float
) -> None:
    """p of each best translation, read by the model itself."""
    search = ["--beam", "2", "--max-len-b", "4", "--lenpen", str(lenpen), "--cpu"]
    command = ["generate", str(data), "--path", str(teacher), "--subset", "test", *search]
    cli.main([*command, "--output", str(tmp_path / "corpus")])
    task = DistillationTask.of_data(str(data))
    live = load_teacher(str(teacher), task, None, "--path")
    pairs = task.language_pairs(str(data), "test")
    probabilities = []
    for record in read_corpus(find_corpus(tmp_path / "corpus", "test.xx-yy")):
        tokens = torch.tensor([record["hypotheses"][0]["tokens"]])
        before = tokens.roll(1)
        before[0, 0] = task.tgt_dict.eos()
        source = pairs.src[record["id"]][None]
        lengths = torch.tensor([source.shape[1]])
        with torch.no_grad():
            logits, _ = live.models[0](source, lengths, before)
        log_p = logits.double().log_softmax(-1)[0].gather(-1, tokens[0][:, None])
        probabilities.append(float(log_p.sum().exp()))
    found = mode([tmp_path / "corpus"])
    assert found == pytest.approx(100 * sum(probabilities) / len(probabilities), rel=1e-4)
    with pytest.raises(InputError, match="holds 0 corpora; name the folder of one"):
        mode([tmp_path])


def test_lines_of_an_earlier_version(tmp_path: Path) -> None:
    old = entry()
    (tmp_path / LEDGER).write_text(json.dumps(old) + "\n")
    (found,) = read_ledger(tmp_path)
    assert (found["origlang"], found["needed"], found["training"]["tps"]) == (None, {}, None)
    append(tmp_path, old)
    assert len(read_ledger(tmp_path)) == 1
    append(tmp_path, {**old, "training": {**old["training"], "tps": 9.5}})  # measured since
    assert [one["training"]["tps"] for one in read_ledger(tmp_path)] == [None, 9.5]


def test_the_command_scores_and_keeps(model: Path, tmp_path: Path) -> None:
    references = ["a small house by the sea", "the cat sat on the mat today"]
    translations = ["a small house at the sea", "the cat sat on a mat today"]
    for name, lines in (("ref", references), ("hyp", translations), ("lang", ["de", "en"])):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    ledger, steps = tmp_path / "ledger", [tmp_path / f"train-{n}" for n in range(3)]
    for step, seconds in zip(steps, ("12.5\n", "1\n")):
        step.mkdir()
        (step / "complete").write_text(seconds)
    (steps[1] / "model").symlink_to(model)  # its checkpoint counts all starts
    cli.main(
        f"record --ledger {ledger} --table t --scale paper --data d --student s --row r --seed 3 "
        f"--model {model} --references {tmp_path}/ref --translation beam5={tmp_path}/hyp "
        f"--origlang {tmp_path}/lang {' '.join(f'--needed {step}' for step in steps)}".split()
    )
    (line,) = read_ledger(ledger)
    assert kept(ledger, line["origlang"]) == b"de\nen\n"
    spent = line["training"]["seconds"]
    assert [line["needed"][str(step)] for step in steps] == [12.5, spent, None]
    assert line["scores"]["beam5"] == {
        "BLEU": sacrebleu.corpus_bleu(translations, [references]).score,
        "chrF": sacrebleu.corpus_chrf(translations, [references]).score,
    }
    assert line["signatures"]["BLEU"].endswith("|checkpoint:last")
    assert kept(ledger, line["translations"]["beam5"]).decode().splitlines() == translations
    assert kept(ledger, line["references"]).decode().splitlines() == references
    (tmp_path / "short").write_text("a small house\n")
    with pytest.raises(SystemExit, match="short has 1 lines and --references 2; give a line for"):
        cli.main(
            f"record --ledger {ledger} --table t --scale paper --data d --student s --row r "
            f"--seed 3 --model {model} --references {tmp_path}/ref "
            f"--translation beam5={tmp_path}/short".split()
        )
    with pytest.raises(SystemExit, match="--translation hyp is not understood; give NAME=FILE"):
        cli.main(
            f"record --ledger {ledger} --table t --scale paper --data d --student s --row r "
            f"--seed 3 --model {model} --references {tmp_path}/ref --translation hyp".split()
        )


def test_the_ledger_of_the_repository_has_sacrebleus_scores() -> None:
    folder = REPOSITORY / "docs" / "results" / "multi30k"
    entries = read_ledger(folder)
    assert len(entries) >= 14
    metrics = dict[str, Any]()  # each has tokenised its references
    for found in entries:
        name = found["references"]
        if name not in metrics:
            references = kept(folder, name).decode().splitlines()
            metrics[name] = sacrebleu.BLEU(references=[references])
        lines = kept(folder, found["translations"]["beam5"]).decode().splitlines()
        bleu = metrics[name].corpus_score(lines, None).score
        assert found["scores"]["beam5"]["BLEU"] == pytest.approx(bleu, abs=1e-9)
