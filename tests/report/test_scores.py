"""Scores from summed counts are sacrebleu's."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from kd_plugin.errors import InputError
from kd_plugin.report.scores import Measure

from .conftest import sentences, translate

REFERENCES = [sentences(31), translate(sentences(31), 0.3, 1), translate(sentences(31), 0.5, 2)]
HYPOTHESES = ["", "a", *translate(REFERENCES[0], 0.4, 3)[2:]]  # nothing, and too short for 4-grams


@pytest.mark.parametrize("tokenize", ["13a", "intl", "char", "none", "zh"])
@pytest.mark.parametrize("count", [1, 3])
def test_equal_sacrebleu(tokenize: str, count: int) -> None:
    references = REFERENCES[:count]
    measure = Measure(references, tokenize)
    bleu = sacrebleu.corpus_bleu(HYPOTHESES, references, tokenize=tokenize).score
    chrf = sacrebleu.corpus_chrf(HYPOTHESES, references).score
    assert measure.score(measure.counts(HYPOTHESES).sum(0)).tolist() == [bleu, chrf]
    assert 0 < min(bleu, chrf) < max(bleu, chrf) < 100


def test_a_part_of_a_corpus_and_leading_dimensions() -> None:
    measure = Measure(REFERENCES[:2])
    counts = measure.counts(HYPOTHESES)
    parts = np.stack([counts[:11].sum(0), counts[11:].sum(0)])
    scores = measure.score(parts.reshape(2, 1, -1))
    assert scores.shape == (2, 1, 2)
    for part, row in zip((slice(0, 11), slice(11, 31)), scores[:, 0].tolist()):
        references = [lines[part] for lines in REFERENCES[:2]]
        bleu = sacrebleu.corpus_bleu(HYPOTHESES[part], references).score
        assert row == [bleu, sacrebleu.corpus_chrf(HYPOTHESES[part], references).score]


def test_signatures_are_sacrebleus() -> None:
    bleu = sacrebleu.BLEU(tokenize="intl")
    bleu.corpus_score(HYPOTHESES, REFERENCES)
    signatures = Measure(REFERENCES, "intl").signatures()
    assert signatures["BLEU"] == str(bleu.get_signature())
    assert "nrefs:3" in signatures["BLEU"]
    assert "tok:intl" in signatures["BLEU"]
    assert "nc:6|nw:0" in signatures["chrF"]


def test_a_tokenizer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: object) -> None:
        raise RuntimeError("Please install\nthe package")

    monkeypatch.setattr("kd_plugin.report.scores.BLEU", missing)
    with pytest.raises(InputError, match="--tokenize ja-mecab cannot be used: Please install the"):
        Measure(REFERENCES, "ja-mecab")
