"""What is told of texts, counted again by loops and by sacrebleu."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics import BLEU, CHRF

from kd_plugin.commands import cli
from kd_plugin.corpus import texts

from . import made


def entropy(items: list[Any]) -> float:
    counts = Counter(items)
    return -sum(n / len(items) * math.log2(n / len(items)) for n in counts.values())


def test_a_corpus_beside_its_references(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = made.records_of(data)
    corpus = made.write(tmp_path / "corpus", data, records)
    out = tmp_path / "text.json"
    cli.main(["describe", str(data), str(corpus), "--subwords", "none", "--json", str(out)])
    gold, taught = json.loads(out.read_text())
    references, sources = made.references(data), made.references(data, "xx")
    decoded = [row for row, record in enumerate(records) if record["hypotheses"]]
    best = [records[row]["hypotheses"][0]["text"] for row in decoded]
    for told, lines, origin in (
        (gold, references, sources), (taught, best, [sources[row] for row in decoded]),
    ):  # fmt: skip
        words = [word for line in lines for word in line.split()]
        pairs = [p for line in lines for p in zip(line.split(), line.split()[1:], strict=False)]
        assert (told["sentences"], told["words"]) == (len(lines), len(words))
        assert told["types"] == len(set(words))
        assert told["entropy_1"] == pytest.approx(entropy(words))
        assert told["entropy_2"] == pytest.approx(entropy(pairs))
        assert told["conditional"] == pytest.approx(entropy(pairs) - entropy(words))
        assert told["length_ratio"] == len(words) / len(" ".join(origin).split())
    chosen = [references[row] for row in decoded]
    same = sum(a == b for a, b in zip(best, chosen))
    assert taught["identical"] == same / len(decoded) > 0
    assert taught["bleu"] == pytest.approx(BLEU().corpus_score(best, [chosen]).score)
    assert taught["chrf"] == pytest.approx(CHRF().corpus_score(best, [chosen]).score)
    likest = [
        max(
            (h["text"] for h in records[row]["hypotheses"]),
            key=lambda text: round(CHRF().sentence_score(text, [references[row]]).score, 9),
        )
        for row in decoded
    ]
    assert taught["oracle_chrf"] == pytest.approx(CHRF().corpus_score(likest, [chosen]).score)
    assert taught["oracle_bleu"] > taught["bleu"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("| text | sentences | words |")
    assert f"| {taught['oracle_chrf']:.2f} |" in printed[3]
    assert len({line.count("|") for line in printed}) == 1


def test_rows_do_not_depend_on_workers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = made.write(tmp_path / "corpus", data, made.records_of(data))
    out = tmp_path / "text.json"
    found = []
    for block, workers in ((500, 1), (7, 2), (11, 3)):
        monkeypatch.setattr(texts, "BLOCK", block)
        flags = ["--memorisation", "--workers", str(workers), "--json", str(out)]
        cli.main(["describe", str(data), str(corpus), "--subwords", "none", *flags])
        found.append(out.read_bytes())
    assert found[0] == found[1] == found[2]
