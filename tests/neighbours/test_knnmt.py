"""kNN-MT: a decoder that asks a datastore at each step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from fairseq_cli import generate

from kd_plugin.commands import cli
from kd_plugin.errors import InputError

from ..support import TINY, USER_DIR, build, distillation
from .test_retrieval import datastore, nearest_by_hand, tokens_and_keys


@pytest.fixture(scope="module", params=["output", "ffn-input"])
def stored(
    request: pytest.FixtureRequest, data: Path, teacher: Path, tmp_path_factory: Any
) -> Path:
    folder = tmp_path_factory.mktemp("datastore") / "store"
    return datastore(data, teacher, folder, "--keys", request.param, "--subset", "train")


def knnmt(folder: Path, k: int = 6, weight: float = 0.7, T: float = 5.0) -> list[object]:
    return [
        *("--knnmt-datastore", folder, "--knnmt-k", k),
        *("--knnmt-lambda", weight, "--knnmt-temperature", T),
    ]


def corpus(data: Path, teacher: Path, output: Path, *flags: object) -> Path:
    command = ["generate", data, "--path", teacher, "--output", output, "--subset", "test"]
    command += ["--beam", 3, "--cpu", "--max-len-a", 2, "--max-len-b", 5, *flags]
    cli.main([str(part) for part in command])
    return output


def best(folder: Path, data: Path) -> list[dict[str, Any]]:
    from kd_plugin.corpus.records import find_corpus, read_corpus

    return [record["hypotheses"][0] for record in read_corpus(find_corpus(folder, "test.xx-yy"))]


def test_scores_are_those_of_the_mixture(
    data: Path, teacher: Path, stored: Path, tmp_path: Path
) -> None:
    """The score of each translation, recomputed token by token with neighbours found by hand."""
    found = best(corpus(data, teacher, tmp_path, *knnmt(stored)), data)
    y, keys = tokens_and_keys(stored)
    settings = json.loads((stored / "train.xx-yy.shard0-of-1.store.manifest.json").read_text())
    setup = build(data, *TINY, *distillation("--criterion", "word_kd", "--teacher-path", teacher))
    setup.task.load_dataset("test")
    pairs, model = setup.task.dataset("test"), setup.task.teacher.models[0]
    read: list[torch.Tensor] = []
    layer = model.decoder.layers[-1].fc1
    layer.register_forward_hook(lambda m, i, o: read.append(i[0][:, 0]))
    for row, hypothesis in enumerate(found):
        tokens = hypothesis["tokens"]
        source = pairs.src[row].unsqueeze(0)
        prefix = torch.tensor([[setup.task.tgt_dict.eos(), *tokens[:-1]]])
        states, _ = model(source, torch.tensor([source.size(1)]), prefix, features_only=True)
        log_p = model.decoder.output_layer(states)[0].log_softmax(-1).detach().double()
        queries = states[0] if settings["settings"]["keys"] == "output" else read[-1]
        total = 0.0
        for position, token in enumerate(tokens):
            query = queries[position].detach().double().numpy()
            distances, order = nearest_by_hand(keys, query, 6)
            weights = np.exp(-(distances - distances[0]) / 5.0)
            q = sum(w for w, i in zip(weights / weights.sum(), order) if y[i] == token)
            total += float(np.log(0.7 * q + 0.3 * log_p[position, token].exp().item()))
        assert hypothesis["score"] == pytest.approx(total / len(tokens), abs=2e-4)


def test_no_weight_is_the_model_and_all_weight_the_neighbours(
    data: Path, teacher: Path, stored: Path, tmp_path: Path
) -> None:
    plain = best(corpus(data, teacher, tmp_path / "plain"), data)
    none = best(corpus(data, teacher, tmp_path / "none", *knnmt(stored, weight=0)), data)
    assert none == plain
    whole = best(corpus(data, teacher, tmp_path / "all", *knnmt(stored, weight=1)), data)
    assert whole != plain
    assert all(np.isfinite(hypothesis["score"]) for hypothesis in whole)


def test_batches_do_not_matter(data: Path, teacher: Path, stored: Path, tmp_path: Path) -> None:
    one = best(corpus(data, teacher, tmp_path / "1", *knnmt(stored)), data)
    many = best(corpus(data, teacher, tmp_path / "2", *knnmt(stored), "--max-tokens", 12), data)
    assert [h["tokens"] for h in one] == [h["tokens"] for h in many]
    for ours, theirs in zip(one, many):
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)


def test_fairseq_generate_takes_the_same_flags(
    data: Path, teacher: Path, stored: Path, tmp_path: Path
) -> None:
    flags = [
        *("--user-dir", USER_DIR, "--task", "distillation", "--path", teacher, "--beam", 3),
        *("--results-path", tmp_path, "--scoring", "sacrebleu", "--cpu", *knnmt(stored)),
        *("--max-len-a", 2, "--max-len-b", 5, "--required-batch-size-multiple", 1),
    ]
    with mock.patch.object(sys, "argv", ["fairseq-generate", str(data), *map(str, flags)]):
        generate.cli_main()
    lines = (tmp_path / "generate-test.txt").read_text().splitlines()
    scores = {line.split("\t")[0]: float(line.split("\t")[1]) for line in lines if line[:2] == "H-"}
    ours = best(corpus(data, teacher, tmp_path / "ours", *knnmt(stored)), data)
    for row, hypothesis in enumerate(ours):
        score = hypothesis["score"] / np.log(2)  # fairseq prints bits
        assert scores[f"H-{row}"] == pytest.approx(score, abs=1e-3)


def test_the_manifest_tells_of_neighbours(
    data: Path, teacher: Path, stored: Path, tmp_path: Path
) -> None:
    corpus(data, teacher, tmp_path, *knnmt(stored))
    (path,) = tmp_path.glob("*.manifest.json")
    told = json.loads(path.read_text())["settings"]["knnmt"]
    assert (told["k"], told["lambda"], told["temperature"]) == (6, 0.7, 5.0)
    with pytest.raises(SystemExit, match="was made with"):
        corpus(data, teacher, tmp_path, *knnmt(stored, weight=0.2))


def test_what_is_refused(
    data: Path, teacher: Path, second_teacher: Path, stored: Path, tmp_path: Path
) -> None:
    for flags, message in (
        (knnmt(stored, k=0), "--knnmt-k 0 is out of range; give 1 to the datastore's keys"),
        (knnmt(stored, k=99999), "--knnmt-k 99999 is more than"),
        (knnmt(stored, weight=1.5), "--knnmt-lambda 1.5 is out of range; give 0 to 1"),
        (knnmt(stored, T=0), "--knnmt-temperature 0.0 is out of range; give 0.000001 to"),
        (knnmt(tmp_path), "holds no finished datastore"),
    ):
        with pytest.raises(SystemExit, match=message):
            corpus(data, teacher, tmp_path / "out", *flags)
    with pytest.raises(SystemExit, match=r"needs a Transformer|has no such state"):
        corpus(data, second_teacher, tmp_path / "out", *knnmt(stored))
    with pytest.raises(SystemExit, match="has the states of one model and 2"):
        corpus(data, Path(f"{teacher}:{teacher}"), tmp_path / "out", *knnmt(stored))
    with pytest.raises(InputError, match="is for translating; leave it out"):
        build(data, *TINY, *distillation("--criterion", "seq_kd", *knnmt(stored)))
    other = torch.load(teacher, weights_only=True)
    other["model"]["decoder.output_projection.weight"] += 0.1
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(SystemExit, match="was written with another model"):
        corpus(data, tmp_path / "other.pt", tmp_path / "out", *knnmt(stored))
