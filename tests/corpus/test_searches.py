"""Samples and diverse beams against the model's own probabilities, read prefix by prefix."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.data import Dictionary

from kd_plugin.commands import cli
from kd_plugin.corpus.decoding import Decoder, Search
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.corpus.searches import Sampler, drawn
from kd_plugin.files.blocks import BlockWriter
from kd_plugin.tasks import DistillationTask
from kd_plugin.teachers.checkpoints import load_teacher

from .. import support

NAME = "train.xx-yy"
COPIES = 300  # of one sentence
RULES = {
    "all": [],
    "topk": ["--sampling-topk", "3"],
    "topp": ["--sampling-topp", "0.5"],
    "epsilon": ["--sampling-epsilon", "0.06"],
}


@pytest.fixture(scope="module")
def texts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 sentences of many lengths, an empty one, one that stands three times."""
    lines = [f"w{i % 13} w{(3 * i) % 13}" + " w1" * (i % 5) for i in range(53)]
    lines[7], lines[20], lines[31], lines[50] = "", "w3 w4 w5", "w3 w4 w5", "w3 w4 w5"
    pairs = {"train": [(line, "W1") for line in lines], "valid": [("w1", "W1")]}
    return support.binarise(tmp_path_factory.mktemp("texts") / "bin", pairs, data)


@pytest.fixture(scope="module")
def copies(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sentence, many times."""
    pairs = {"train": [("w1 w5 w2", "W1")] * COPIES}
    return support.binarise(tmp_path_factory.mktemp("copies") / "bin", pairs, data)


def run(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    command = ["generate", data, "--path", teacher, "--output", output, "--cpu", *flags]
    cli.main([str(part) for part in command])
    return output


def records(output: Path) -> list[dict[str, Any]]:
    return list(read_corpus(find_corpus(output, NAME)))


class Oracle:
    """A teacher read one prefix at a time, in float64."""

    def __init__(self, data: Path, teacher: Path):
        self.task = DistillationTask.of_data(str(data))
        self.pairs = self.task.language_pairs(str(data), "train")
        (self.model,) = load_teacher(str(teacher), self.task).models
        self.model.double()
        self.known: dict[tuple[Any, ...], torch.Tensor] = {}

    @torch.no_grad()
    def log_p(self, row: int, prefix: tuple[int, ...]) -> torch.Tensor:
        """Log-probabilities [V] of what comes after ``prefix``."""
        source = self.pairs.src[row]
        key = (*source.tolist(), None, *prefix)
        if key not in self.known:
            end = self.task.tgt_dict.eos()
            before = torch.tensor([[end, *prefix]])
            logits, _ = self.model(source.unsqueeze(0), torch.tensor([len(source)]), before)
            self.known[key] = logits[0, -1].log_softmax(-1)
        return self.known[key]

    def steps(self, row: int, tokens: list[int]) -> Iterator[tuple[int, torch.Tensor]]:
        for place, token in enumerate(tokens):
            yield token, self.log_p(row, tuple(tokens[:place]))


def allowed(log_p: torch.Tensor, rule: str, forbidden: set[int]) -> set[int]:
    """What may be drawn, by the papers' words and plain loops."""
    p = [0 if token in forbidden else q for token, q in enumerate(log_p.exp().tolist())]
    order = sorted(range(len(p)), key=lambda token: -p[token])
    if rule == "topk":
        return set(order[:3])
    if rule == "epsilon":
        return {token for token in order if p[token] >= 0.06} | {order[0]}
    if rule == "topp":
        kept: list[int] = []
        while sum(p[token] for token in kept) < 0.5:
            kept.append(order[len(kept)])
        return set(kept)
    return set(order) - forbidden


@pytest.mark.parametrize("rule", RULES)
def test_samples_are_drawn_by_the_models_probabilities(
    copies: Path, teacher: Path, tmp_path: Path, rule: str
) -> None:
    """First words of 900 samples, each within five standard deviations; and none excluded."""
    oracle = Oracle(copies, teacher)
    end, padding = oracle.task.tgt_dict.eos(), oracle.task.tgt_dict.pad()
    flags = ["--sampling", "--nbest", 3, "--max-len-b", 3, "--seed", 5, *RULES[rule]]
    found = records(run(copies, teacher, tmp_path, *flags))
    samples = [h["tokens"] for record in found for h in record["hypotheses"]]
    assert len(samples) == 3 * COPIES
    log_p = oracle.log_p(0, ())
    kept = allowed(log_p, rule, {end, padding})
    share = {token: float(log_p[token].exp()) for token in kept}
    total = sum(share.values())
    counted = Counter(tokens[0] for tokens in samples)
    assert set(counted) <= kept
    for token in kept:
        p = share[token] / total
        deviation = math.sqrt(p * (1 - p) * len(samples))
        assert abs(counted[token] - p * len(samples)) < 5 * deviation + 1
    places = set()
    for tokens in samples[:150]:
        for place, (token, after) in enumerate(oracle.steps(0, tokens)):
            if place == 3:  # the limit, where fairseq forces the end
                assert token == end
            else:
                assert token in allowed(after, rule, {padding} if place else {padding, end})
            places.add(place)
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("lenpen", [1.0, 0.0])
def test_scores_are_log_probabilities_of_the_whole_model(
    texts: Path, teacher: Path, tmp_path: Path, lenpen: float
) -> None:
    oracle = Oracle(texts, teacher)
    flags = ["--sampling", "--sampling-topk", 2, "--nbest", 2, "--max-len-b", 6]
    for record in records(run(texts, teacher, tmp_path, *flags, "--lenpen", lenpen)):
        for h in record["hypotheses"]:
            steps = list(oracle.steps(record["id"], h["tokens"]))
            log_p = sum(float(after[token]) for token, after in steps)
            assert h["score"] == pytest.approx(log_p / len(steps) ** lenpen, abs=1e-5)


def test_samples_are_the_same_however_the_work_is_cut(
    texts: Path, teacher: Path, tmp_path: Path
) -> None:
    """Batches, blocks, shards: the same lines to the last digit."""
    flags = ["--sampling", "--nbest", 3, "--max-len-b", 9, "--max-len-a", 0.4]
    whole = records(run(texts, teacher, tmp_path / "whole", *flags))
    small = run(texts, teacher, tmp_path / "small", *flags, "--max-tokens", 20, "--block-size", 17)
    assert records(small) == whole
    for shard in (2, 0, 1):
        run(texts, teacher, tmp_path / "shards", *flags, "--shard", f"{shard}/3")
    assert records(tmp_path / "shards") == whole
    other = records(run(texts, teacher, tmp_path / "other", *flags, "--seed", 2))
    assert [r["id"] for r in other] == [r["id"] for r in whole]
    assert other != whole


def test_stopped_and_started_again_the_bytes_are_the_same(
    texts: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--sampling", "--sampling-topp", 0.9, "--max-len-b", 9, "--block-size", 10]
    whole = run(texts, teacher, tmp_path / "whole", *flags)
    write = BlockWriter.write

    def stopped(self: Any, content: bytes, note: Any) -> None:
        write(self, content, note)
        if len(self.notes) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(BlockWriter, "write", stopped)
    with pytest.raises(SystemExit, match="stopped"):
        run(texts, teacher, tmp_path / "again", *flags)
    monkeypatch.setattr(BlockWriter, "write", write)
    again = run(texts, teacher, tmp_path / "again", *flags)
    for file in whole.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_a_source_that_stands_again_is_sampled_again(
    texts: Path, teacher: Path, tmp_path: Path
) -> None:
    found = records(run(texts, teacher, tmp_path, "--sampling", "--max-len-b", 9))
    drawn_for = [found[row]["hypotheses"][0]["tokens"] for row in (20, 31, 50)]
    assert drawn_for[0] != drawn_for[1] != drawn_for[2]
    assert not any("same_as" in record for record in found)
    assert found[7]["reason"] == "empty"


def test_samples_stand_in_no_order_of_score(copies: Path, teacher: Path, tmp_path: Path) -> None:
    """So that the first is a sample like any: it is the best of three in a third of all."""
    flags = ["--sampling", "--nbest", 3, "--max-len-b", 5]
    first = 0
    for record in records(run(copies, teacher, tmp_path, *flags)):
        scores = [h["score"] for h in record["hypotheses"]]
        first += scores[0] == max(scores)
    deviation = math.sqrt(COPIES * 2) / 3
    assert abs(first - COPIES / 3) < 5 * deviation


@pytest.mark.parametrize("epsilon", [0.02, 0.3, 0.999])
def test_the_likeliest_is_kept_where_nothing_else_is(epsilon: float) -> None:
    log_p = torch.randn(40, 9, generator=torch.Generator().manual_seed(3)).log_softmax(-1)
    weights = Sampler(Dictionary(), 1, -1, -1.0, epsilon).weights(log_p)
    for row, p in zip(weights, log_p.exp()):
        kept = p >= epsilon
        kept[p.argmax()] = True
        assert torch.equal(row > 0, kept)


def test_a_draw_at_the_edge_takes_nothing_that_is_excluded() -> None:
    weights = torch.tensor([[0.0, 0.3, 0.0, 0.7, 0.0]], dtype=torch.float64)
    below = math.nextafter(1.0, 0.0)
    for uniform, token in ((0.0, 1), (0.2999, 1), (0.31, 3), (below, 3), (1.0, 3)):
        assert drawn(weights, torch.tensor([uniform], dtype=torch.float64)).tolist() == [token]


DIVERSE = ["--beam", 6, "--nbest", 6, "--diverse-beam-groups", 3, "--diverse-beam-strength", 0.7]


def test_diverse_beams_are_fairseqs_with_the_models_scores(
    texts: Path, teacher: Path, tmp_path: Path
) -> None:
    """Whatever the batch; fairseq takes a sentence's number for its place, so one at a time."""
    found = records(run(texts, teacher, tmp_path / "whole", *DIVERSE, "--max-len-b", 8))
    small = run(texts, teacher, tmp_path / "small", *DIVERSE, "--max-len-b", 8, "--max-tokens", 40)
    oracle = Oracle(texts, teacher)
    search = Search(beam=6, max_len_b=8, diverse_beam_groups=3, diverse_beam_strength=0.7)
    generator = oracle.task.build_generator([oracle.model.float()], search)
    theirs = {}
    for row in (0, 3, 11, 44):
        sample = oracle.pairs.collater([oracle.pairs[row]])
        (best,) = generator.generate([], {**sample, "id": torch.tensor([0])})
        theirs[row] = {tuple(h["tokens"].tolist()) for h in best}
    oracle = Oracle(texts, teacher)
    less = 0
    for record, other in zip(found, records(small), strict=True):
        tokens = {tuple(h["tokens"]) for h in record["hypotheses"]}
        assert tokens == {tuple(h["tokens"]) for h in other["hypotheses"]}
        assert tokens == theirs.get(record["id"], tokens)
        scores = [h["score"] for h in record["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        for h in record["hypotheses"]:
            steps = list(oracle.steps(record["id"], h["tokens"]))
            log_p = sum(float(after[token]) for token, after in steps)
            assert h["score"] == pytest.approx(log_p / len(steps), abs=1e-5)
        less += len({h["tokens"][0] for h in record["hypotheses"]}) > 1
    assert less > 40  # groups begin with other words


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (["--sampling"], ["--beam", 1], r"search\.beam 1 and this command says 5|search\.sampling"),
        (["--sampling"], ["--sampling", "--seed", 3], r"search\.seed 1 and this command says 3"),
        (["--sampling"], ["--sampling", "--sampling-topk", 4], r"search\.sampling_topk None"),
        (DIVERSE, DIVERSE[:4], r"search\.diverse_beam_groups 3 and this command says None"),
    ],
    ids=["beam", "seed", "topk", "groups"],
)
def test_another_decoding_of_the_same_corpus_is_refused(
    texts: Path, teacher: Path, tmp_path: Path, first: list[Any], second: list[Any], words: str
) -> None:
    run(texts, teacher, tmp_path, *first, "--max-len-b", 3)
    with pytest.raises(SystemExit, match=f"made with ({words}).*give another --output"):
        run(texts, teacher, tmp_path, *second, "--max-len-b", 3)


def test_history_tells_the_decoding(
    texts: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that it prints makes the same corpus again."""
    flags = ["--sampling", "--sampling-epsilon", 0.02, "--seed", 4, "--nbest", 2, "--max-len-b", 4]
    run(texts, teacher, tmp_path / "corpus", *flags)
    capsys.readouterr()
    cli.main(["history", str(tmp_path / "corpus")])
    command = capsys.readouterr().out.splitlines()[-1].split()[1:]
    places = {"DATA": texts, "TEACHER1.PT": teacher, "corpus1": tmp_path / "again"}
    cli.main([str(places.get(word, word)) for word in command])
    assert records(tmp_path / "again") == records(tmp_path / "corpus")


def test_engines(
    texts: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CTranslate2 has neither; ``auto`` says so and goes on with fairseq's."""
    for flags in (["--sampling"], DIVERSE):
        with pytest.raises(SystemExit, match=r"--engine ctranslate2 (draws|knows) no .*; leave"):
            run(texts, teacher, tmp_path / "no", *flags, "--engine", "ctranslate2")
    run(texts, teacher, tmp_path / "auto", "--sampling", "--max-len-b", 3)
    assert "fairseq's search translates, because CTranslate2 draws no" in capsys.readouterr().err
    settings = find_corpus(tmp_path / "auto", NAME)[0][1]["settings"]
    assert settings["engine"] == "fairseq"
    assert settings["search"]["seed"] == 1


def test_an_lstm_and_an_ensemble_are_sampled(
    texts: Path, teacher: Path, second_teacher: Path, tmp_path: Path
) -> None:
    for number, path in enumerate((second_teacher, f"{teacher}:{second_teacher}")):
        output = run(texts, path, tmp_path / str(number), "--sampling", "--max-len-b", 5)
        assert sum(len(record["hypotheses"]) for record in records(output)) == 52


def test_a_batch_that_fails_is_drawn_again_alike(
    texts: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--sampling", "--nbest", 2, "--max-len-b", 5]
    whole = records(run(texts, teacher, tmp_path / "whole", *flags))
    decode = Decoder._decode_batch

    def out_of_memory(self: Any, sample: Any) -> Any:
        found = decode(self, sample)
        if len(sample["id"]) > 1:
            raise torch.OutOfMemoryError
        return found

    monkeypatch.setattr(Decoder, "_decode_batch", out_of_memory)
    assert records(run(texts, teacher, tmp_path / "split", *flags)) == whole


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sampling-topk", 4], "--sampling-topk 4 is of samples; add --sampling"),
        (["--seed", 4], "--seed 4 is of samples; add --sampling"),
        (["--sampling", "--beam", 5], "--beam 5 with --sampling: a sample has no beam; say with"),
        (["--sampling", "--sampling-topk", 0], "--sampling-topk 0 is out of range; give 1 to"),
        (["--sampling", "--sampling-topp", "nan"], "--sampling-topp nan is out of range; give"),
        (["--sampling", "--sampling-topp", 1.5], "--sampling-topp 1.5 is out of range; give"),
        (["--sampling", "--sampling-epsilon", 1], "--sampling-epsilon 1.0 is out of range"),
        (
            ["--sampling", "--sampling-topk", 3, "--sampling-topp", 0.5],
            "--sampling-topk 3 and --sampling-topp 0.5 are two rules",
        ),
        (
            ["--sampling", "--diverse-beam-groups", 2],
            "--diverse-beam-groups 2 and --sampling are two searches; give one",
        ),
        (["--diverse-beam-groups", 1], "--diverse-beam-groups 1 is out of range; give 2 to"),
        (
            ["--diverse-beam-groups", 2],
            "--diverse-beam-groups 2 does not divide --beam 5; give a --beam of 2, 4, ...",
        ),
        (["--diverse-beam-strength", 2], "--diverse-beam-strength 2.0 is of groups; add --div"),
        (["--sampling", "--nbest", 99], "--nbest 99 samples: fairseq searches at most 23 hypoth"),
        (
            ["--beam", 30, "--diverse-beam-groups", 15],
            "--beam 30: fairseq searches at most 23 hypotheses with a dictionary of 24 entries; g",
        ),
    ],
)
def test_flags_that_do_not_fit(
    texts: Path, teacher: Path, tmp_path: Path, flags: list[object], words: str
) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}"):
        run(texts, teacher, tmp_path, *flags)
    assert not list(tmp_path.iterdir())
