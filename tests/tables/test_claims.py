"""Claims: what they say, the verdicts on runs whose truth is known, refusals, the page."""

from __future__ import annotations

import json
import math
import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.files.whole import to_json
from kd_plugin.tables.claimed import page, results
from kd_plugin.tables.claims import Claim, Statement, published, read_claims
from kd_plugin.tables.evidence import Evidence, read_evidence
from kd_plugin.tables.ledger import append, keep, read_ledger
from kd_plugin.tables.locate import REPOSITORY
from kd_plugin.tables.render import markdown
from kd_plugin.tables.verdict import ALONE, LEVEL, Measured, judge

from .made import mapping, plan
from .test_ledger import entry
from .test_report import sentences

A, B = ("s", "a"), ("s", "b")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of rows of multi30k_extra_source, three seeds each, as the command writes them."""
    folder = tmp_path_factory.mktemp("scores")
    shares = {"none": 0.5, "gold+kd": 0.8, "word_kd": 0.85, "half1-kd": 0.7}
    systems = []
    (folder / "ref").write_text("\n".join(sentences(1, 0)) + "\n")
    for row, share in shares.items():
        files = [folder / f"{row}.{seed}" for seed in (1, 2, 3)]
        for seed, file in enumerate(files, 1):
            file.write_text("\n".join(sentences(share, seed)) + "\n")
        systems += ["--system", f"{row}={','.join(map(str, files))}"]
    given = ["--references", str(folder / "ref"), *systems, "--baseline", "none", "--paired"]
    cli.main(["score", *given, "--shuffles", "1000", "--json", str(folder / "scores.json")])
    return folder / "scores.json"


def said(low: float = 0, high: float = math.inf) -> Statement:
    return Statement("a > b", (A, B), ("beam5", "beam5"), (1, -1), low, high, "BLEU")


def verdict(*values: float, low: float = 0, high: float = math.inf, **more: Any) -> Any:
    outcome, (found,) = judge([Measured(said(low, high), values, **more)])
    assert outcome == found.verdict
    return found


# Verdicts of numbers


def test_a_clear_difference_is_decided_either_way() -> None:
    assert verdict(1.0, 1.1, 0.9).verdict == "supported"
    assert verdict(-1.0, -1.1, -0.9).verdict == "contradicted"
    assert verdict(1.0, 1.1, 0.9).interval == pytest.approx((0.7516, 1.2484), abs=1e-4)


def test_an_unclear_one_tells_how_many_seeds_would_decide() -> None:
    found = verdict(1.0, 0.2, 0.1, -0.1)
    assert found.verdict == "undecided"
    assert found.seeds > 4
    assert found.why == f"about {found.seeds} seeds would decide"
    assert verdict(1.0, -1.0).why == "more than 100 seeds would decide"


def test_one_seed_decides_nothing() -> None:
    found = verdict(9.0)
    assert (found.verdict, found.mean, found.interval, found.seeds) == ("undecided", 9, None, None)
    assert "needs two or more" in found.why


def test_sentences_can_undo_what_seeds_decide() -> None:
    found = verdict(1.0, 1.1, 0.9, bootstrap=(-0.2, 2.1))
    assert found.interval == (-0.2, 2.1)
    assert verdict(1.0, 1.1, 0.9, bootstrap=(0.8, 1.2)).why == ""
    assert verdict(1.0, 1.1, 0.9).why == ALONE
    assert found.why == "more sentences are needed, not more seeds"
    assert verdict(1.0, 1.1, 0.9, bootstrap=(0.99, 1.01)).interval[0] < 0.8  # nor narrow it


def test_near_and_below() -> None:
    for values, near, below in (
        ((0.1, 0.12, 0.11), "supported", "contradicted"),
        ((-0.1, -0.12, -0.11), "supported", "supported"),
        ((-0.8, -0.82, -0.81), "contradicted", "contradicted"),
        ((0.4, 0.5, 0.6), "undecided", "contradicted"),
    ):
        assert verdict(*values, low=-0.5, high=0.5).verdict == near
        assert verdict(*values, low=-0.5, high=0).verdict == below


def test_all_statements_must_hold() -> None:
    yes, no, open_ = (Measured(said(), v) for v in ([2, 2.1, 1.9], [-2, -2.1, -1.9], [1, -1.0]))
    none = Measured(said(), missing="no run")
    for parts, expected in (
        ([yes, yes], "supported"), ([yes, no], "contradicted"), ([yes, open_], "undecided"),
        ([yes, none], "not run"), ([none, no], "contradicted"), ([open_, none], "not run"),
    ):  # fmt: skip
        assert judge(parts)[0] == expected
    narrow, wide = (judge([yes] * k)[1][0].interval or (0, 0) for k in (1, 3))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize(("low", "high"), [(0, math.inf), (-1, 0), (-2, 0)])
def test_chance_decides_no_more_often_than_it_says(n: int, low: float, high: float) -> None:
    """Rows that differ by 0, the edge of what is claimed: each wrong verdict once in forty."""
    r = random.Random(n)
    found = [verdict(*(r.gauss(0, 1) for _ in range(n)), low=low, high=high).verdict
             for _ in range(2000)]  # fmt: skip
    for wrong in ("supported", "contradicted"):
        share = found.count(wrong) / len(found)
        assert share < LEVEL / 2 + 0.01
        if high == math.inf:
            assert share > LEVEL / 2 - 0.01


def test_nor_where_the_test_set_favours_one_of_equal_rows() -> None:
    """It does so by chance, as much as the mean over seeds scatters; docs/tables.md has more."""
    r, n, both, alone = np.random.default_rng(0), 3, 0, 0
    for _ in range(1000):
        values = r.normal(0, math.sqrt(n), n) + r.normal()
        drawn = values[r.integers(n, size=(400, n))].mean(1) + r.normal(size=400)
        low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
        both += verdict(*values.tolist(), bootstrap=(low, high)).verdict != "undecided"
        alone += verdict(*values.tolist()).verdict != "undecided"
    assert both / 1000 < LEVEL + 0.02 < alone / 1000


def test_nor_with_several_statements() -> None:
    r = random.Random(1)
    found = [judge([Measured(said(), [r.gauss(0, 1) for _ in range(4)]) for _ in range(3)])[0]
             for _ in range(2000)]  # fmt: skip
    assert found.count("contradicted") / 2000 == pytest.approx(LEVEL / 2, abs=0.01)
    assert found.count("supported") == 0


# What a file of claims says


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "made.yaml"
    path.write_text(
        to_json(mapping(students__large={"model": "big"}, rows__near__students=["small"]))
    )
    return path


def read(folder: Path, table: Path, *tests: Any, **changes: Any) -> Claim:
    given = {"says": "It is so.", "source": "us", "tests": list(tests), **changes}
    given["tests"] = [{"table": str(table), **test} for test in given["tests"]]
    (folder / "claims.yaml").write_text(to_json({"it": given}))
    return read_claims(folder / "claims.yaml")[0]


def statements(folder: Path, table: Path, **test: Any) -> list[Statement]:
    return [one for test_ in read(folder, table, test).tests for one in test_.statements]


def test_a_chain_is_a_statement_for_each_link_and_student(tmp_path: Path, table: Path) -> None:
    found = statements(tmp_path, table, students=["small", "tiny"], greater=["seq", "word", "none"])
    assert [(one.text, one.cells) for one in found] == [
        (text, tuple((student, row) for row in text.split(" > ")))
        for student in ("small", "tiny") for text in ("seq > word", "word > none")
    ]  # fmt: skip
    assert {(one.weights, one.low, one.high) for one in found} == {((1, -1), 0, math.inf)}
    assert {(one.measure, one.decodings) for one in found} == {("BLEU", ("beam5", "beam5"))}
    assert read(tmp_path, table, {"students": ["tiny"], "greater": ["seq", "word"]}).tests[
        0
    ].where == ("made, tiny")


def test_a_table_may_lie_beside_the_claims(tmp_path: Path, table: Path, scores: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(table.read_bytes())
    test = {"table": "mine.yaml", "students": ["tiny"], "greater": ["seq", "word"]}
    assert read(tmp_path, table, test).tests[0].table.name == "mine"
    (own,) = read_evidence(f"{tmp_path}/mine.yaml/tiny={scores}")
    assert own.table == "mine"


def test_ranges_of_the_kinds(tmp_path: Path, table: Path) -> None:
    pair = ["tiny/seq", "small/word"]
    (near,) = statements(tmp_path, table, near=pair, within=0.5, decoding="greedy", measure="chrF")
    assert (near.low, near.high) == (-0.5, 0.5)
    assert near.text == "tiny/seq ≈ small/word, within 0.5 (chrF, greedy)"
    (below,) = statements(tmp_path, table, below=pair, within=2)
    assert (below.low, below.high, below.cells) == (-2, 0, (("tiny", "seq"), ("small", "word")))


def test_degrading_is_a_difference_of_differences(tmp_path: Path, table: Path) -> None:
    (one,) = statements(tmp_path, table, degrades_less=["seq", "word"], between=["small", "tiny"])
    clean, damaged = {"seq": 30.0, "word": 31.0}, {"seq": 28.0, "word": 26.0}  # -2 against -5
    scores = {"small": clean, "tiny": damaged}
    total = sum(w * scores[student][row] for w, (student, row) in zip(one.weights, one.cells))
    assert total == 3


def test_diminishing_returns_are_slopes_by_size(tmp_path: Path, table: Path) -> None:
    (one,) = statements(tmp_path, table, diminishing=["tiny/seq", "small/seq", "large/seq"])
    sizes = dict(zip(one.cells, (1e6, 3e6, 11e6)))
    weights = one.weigh(sizes)
    assert weights is not None
    total = sum(w * score for w, score in zip(weights, (20, 24, 28)))
    assert total == pytest.approx(4 / 2 - 4 / 8)
    straight = sum(w * score for w, score in zip(weights, (20, 24, 40)))
    assert straight == pytest.approx(0)
    for wrong in ((1e6, 1e6, 2e6), (3e6, 2e6, 4e6), (1e6, None, 3e6)):
        assert one.weigh(dict(zip(one.cells, wrong))) is None


def test_published_differences_are_the_tables(tmp_path: Path, table: Path) -> None:
    test = read(tmp_path, table, {"students": ["small", "tiny"], "greater": ["seq", "word"]}).tests
    assert published(test[0].statements[0], test[0].table) == [(-2.5, ", tok. BLEU")]
    assert published(test[1].statements[0], test[1].table) == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"graeter": ["seq", "word"]}, "test 1 has the unknown key 'graeter'; give table, students"),
    ({"greater": ["seq"]}, r"has greater \['seq'\], which must be a list of two or more different"),
    ({"near": ["seq", "seq"], "within": 1}, "must be a list of two different names"),
    ({"diminishing": ["seq", "word"]}, "must be a list of three or more different names"),
    ({"students": ["small"], "greater": ["seq", "wrd"]}, "greater names 'wrd'; give one of bt"),
    ({"students": ["smal"], "greater": ["seq", "word"]}, "names 'smal'; give one of large"),
    ({"greater": ["smal/seq", "tiny/word"]}, r"\(smal/seq\) names 'smal'; give one of"),
    ({"greater": ["tiny/near", "tiny/word"]}, r"\(tiny/near\) names 'tiny'; give one of small"),
    ({"greater": ["seq", "word"]}, "names 'seq' of no student; give STUDENT/seq, or the test's"),
    ({"students": ["tiny"], "near": ["seq", "word"]}, "near needs the key 'within'"),
    ({"students": ["tiny"], "greater": ["seq", "word"], "within": 1},
     "greater has no use for the key 'within', which is of near and below"),
    ({"near": ["seq", "word"], "within": 0}, "has within 0, which must be a number above 0"),
    ({"degrades_less": ["seq", "word"]}, "degrades_less needs the key 'between'"),
    ({"degrades_less": ["seq", "word"], "between": ["small", "x"]}, "between names 'x'"),
    ({"students": ["tiny"], "greater": ["seq", "word"], "near": ["seq", "word"], "within": 1},
     "has greater and near; give one of greater, near"),
    ({"students": ["tiny"]}, "has no statement; give one of greater"),
    ({"all": []}, "test 1: all is empty"),
    ({"all": [{"greater": ["a", "b"]}], "measure": "BLEU"}, "has all and measure; give one"),
    ({"students": ["tiny"], "greater": ["seq", "word"], "measure": "bleu"},
     "has measure 'bleu', which must be one of BLEU, chrF"),
    ({"students": ["tiny"], "greater": ["seq", "word"], "decoding": "beam4"},
     "decoding names 'beam4'; give one of beam5, greedy"),
    ({"table": "wang", "greater": ["a", "b"]}, "'wang' is none of configs/tables"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "match"), REFUSED, ids=[match[:30] for _, match in REFUSED])
def test_refused(test: dict[str, Any], match: str, tmp_path: Path, table: Path) -> None:
    with pytest.raises(InputError, match=match):
        read(tmp_path, table, test)


def test_claims_without_what_they_need_are_refused(tmp_path: Path, table: Path) -> None:
    with pytest.raises(InputError, match="it has the unknown key 'say'; give says, source"):
        read(tmp_path, table, say="x")
    with pytest.raises(InputError, match="it has no tests; give one or more"):
        read(tmp_path, table)
    (tmp_path / "claims.yaml").write_text("it: 3\n")
    with pytest.raises(InputError, match="it is 3, which must be a mapping"):
        read_claims(tmp_path / "claims.yaml")


# Ledgers

RIGHT = {"none": 0.5, "word": 0.5, "seq": 0.7}
LOST = {"none": 0.1, "word": 0.2, "seq": 0.05}  # of these by greedy search


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of rows of which seq has more words right, and none and word as many."""
    output = tmp_path_factory.mktemp("output")
    (output / "text").write_text("\n".join(sentences(1, 0)) + "\n")
    references = keep(output, output / "text")
    for number, (row, right) in enumerate(RIGHT.items()):
        for seed in (1, 2, 3):
            translations, scores = {}, {}
            for decoding, share in (("beam5", right), ("greedy", right - LOST[row])):
                lines = sentences(share, 10 * number + seed)
                (output / "text").write_text("\n".join(lines) + "\n")
                translations[decoding] = keep(output, output / "text")
                score = sum(a == b for x, y in zip(lines, sentences(1, 0))
                            for a, b in zip(x.split(), y.split())) / 2.7  # fmt: skip
                scores[decoding] = {"BLEU": score, "chrF": score}
            append(output, entry(
                row, seed, references=references, translations=translations, scores=scores
            ))  # fmt: skip
    return output


def verdicts(claim: Claim, evidence: list[Evidence]) -> list[Any]:
    return results([claim], evidence)[0]["tests"]  # type: ignore[no-any-return]


def test_the_verdicts_on_a_ledger(tmp_path: Path, table: Path, folder: Path) -> None:
    claim = read(tmp_path, table, *(
        {"students": ["small"], "greater": rows}
        for rows in (["seq", "word"], ["none", "seq"], ["word", "none"], ["pairs", "none"],
                     ["bt", "none"])
    ))  # fmt: skip
    found = verdicts(claim, read_evidence(str(folder)))
    assert [one["verdict"] for one in found] == [
        "supported", "contradicted", "undecided", "not run", "not run",
    ]  # fmt: skip
    better, _, _, missing, later = (one["statements"][0] for one in found)
    assert better["mean"] == pytest.approx(statistics.mean(better["by_seed"]))
    assert len(better["by_seed"]) == 3
    assert better["interval"][0] <= better["bootstrap"][0] < better["bootstrap"][1]
    assert missing["why"] == "no run of small/pairs"
    assert later["why"] == "no run of small/bt (needs another teacher)"
    assert {one["evidence"] for one in found} == {"scale paper, de-en"}


def test_from_one_decoding_to_the_other(tmp_path: Path, table: Path, folder: Path) -> None:
    test = {"students": ["small"], "degrades_less": ["seq", "word"], "between": ["beam5", "greedy"]}
    claim = read(tmp_path, table, test)
    (said,) = claim.tests[0].statements
    assert said.text == "greedy - beam5 of seq > of word"
    (found,) = verdicts(claim, read_evidence(str(folder)))
    (statement,) = found["statements"]
    scores = {(one["row"], one["seed"]): one["scores"] for one in read_ledger(folder)
              if one["student"] == "small"}  # fmt: skip

    def gain(row: str, seed: int) -> float:
        of = scores[row, seed]
        return float(of["greedy"]["BLEU"] - of["beam5"]["BLEU"])

    expected = [gain("seq", seed) - gain("word", seed) for seed in (1, 2, 3)]
    assert statement["by_seed"] == pytest.approx(expected)
    assert min(expected) > 0
    assert 0 < statement["bootstrap"][0] < statement["bootstrap"][1]
    assert found["verdict"] == "supported"


def test_the_page_tells_apart_what_it_sums_up(tmp_path: Path, table: Path, folder: Path) -> None:
    claim = read(tmp_path, table, *(
        {"students": ["small"], "greater": rows} for rows in (["seq", "word"], ["none", "seq"])
    ), {"students": ["tiny"], "greater": ["seq", "word"]}, published="2 points")  # fmt: skip
    evidence = read_evidence(str(folder))
    text = markdown(page(results([claim], evidence), evidence))
    at = "made, small (scale paper, de-en, "
    assert f"| supported: {at}seq > word); contradicted: {at}none > seq) |" in text
    assert "Published elsewhere: 2 points." in text
    assert "Held against: made (scale paper, de-en)." in text
    alone = read(tmp_path, table, {"students": ["small"], "near": ["seq", "word"], "within": 1,
                                   "measure": "ppl"})  # fmt: skip
    text = markdown(page(results([alone], evidence), evidence))
    assert "| supported (t): made, small |" in text
    assert "| seq ≈ word, within 1 (ppl) | +0.00 | +0.00 to +0.00 (t) | 3 | supported: on" in text
    text = markdown(page(results([claim], []), []))
    assert "| it | It is so. | not run |" in text


def test_facts_are_measures_without_sentences(tmp_path: Path, table: Path, folder: Path) -> None:
    one = {"students": ["small"], "near": ["seq", "word"], "within": 0.1, "measure": "ppl"}
    (found,) = verdicts(read(tmp_path, table, one), read_evidence(str(folder / "ledger.jsonl")))
    assert found["verdict"] == "supported"
    assert found["statements"][0]["bootstrap"] is None
    (none,) = verdicts(read(tmp_path, table, {**one, "measure": "agreement"}),
                       read_evidence(str(folder)))  # fmt: skip
    assert none["verdict"] == "not run"


def test_seeds_that_rows_do_not_share_are_left_out(tmp_path: Path, table: Path) -> None:
    for row, seeds in (("seq", (1, 2)), ("word", (2, 3)), ("none", (3,))):
        for seed in seeds:
            append(tmp_path, entry(row, seed))
    claim = read(tmp_path, table, {"students": ["small"], "greater": ["seq", "word", "none"]})
    (found,) = verdicts(claim, read_evidence(str(tmp_path)))
    assert [len(one["by_seed"]) for one in found["statements"]] == [1, 1]
    assert "one seed" in found["statements"][0]["why"]
    append(tmp_path, entry("seq", 2, references="translations/c.gz"))
    claim = read(tmp_path, table, {"students": ["small"], "greater": ["seq", "word"]},
                 {"students": ["small"], "greater": ["seq", "none"]})  # fmt: skip
    texts, apart = (one["statements"][0]["why"] for one in
                    verdicts(claim, read_evidence(str(tmp_path))))  # fmt: skip
    assert texts == "its rows were scored on different test texts"
    assert apart == "no seed that all its rows have"


def test_lines_of_models_that_the_plan_has_no_more_do_not_count(
    tmp_path: Path, table: Path
) -> None:
    made = plan(seeds=1)
    for run in made.runs:
        if run.student == "small" and run.row in ("seq", "word"):
            train = [step for step in run.steps if "train-" in step][-1]
            model = f"{train}/model" if run.row == "seq" else "steps/train-0/model"
            append(tmp_path, entry(run.row, 1, model))
    claim = read(tmp_path, table, {"students": ["small"], "greater": ["seq", "word"]})
    assert verdicts(claim, read_evidence(str(tmp_path)))[0]["verdict"] == "undecided"
    made.write(tmp_path, Path("made.yaml"), {})
    (found,) = verdicts(claim, read_evidence(str(tmp_path)))
    assert found["statements"][0]["why"] == "no run of small/word"


# Files of scores, and the page


def test_intervals_of_score_files_are_those_of_the_file(scores: Path) -> None:
    evidence = read_evidence(f"multi30k_extra_source={scores}")
    by_name = {one["name"]: one for one in results(read_claims(), evidence)}

    def statement(name: str) -> Any:
        (test,) = (t for t in by_name[name]["tests"] if t["table"] == "multi30k_extra_source")
        return test["statements"][0]

    systems = {s["name"]: s["scores"]["BLEU"] for s in json.loads(scores.read_text())["systems"]}
    ours = statement("seq-helps")
    assert ours["by_seed"] == pytest.approx(systems["half1-kd"]["paired"]["differences"])
    assert ours["bootstrap"] == tuple(systems["half1-kd"]["paired"]["interval"])
    other = statement("levels-add-up")
    assert other["bootstrap"] is None
    expected = [a - b for a, b in zip(systems["word_kd"]["runs"], systems["gold+kd"]["runs"])]
    assert other["by_seed"] == pytest.approx(expected)


def test_the_page_of_the_repository_is_current(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(REPOSITORY)
    evidence = ["docs/results/multi30k", "docs/results/tatoeba"]
    cli.main(["claims", *evidence, "--json", str(tmp_path / "all.json")])
    text = (REPOSITORY / "docs" / "claims.md").read_text("utf-8")
    assert capsys.readouterr().out == text, "write docs/claims.md anew, as docs/tables.md says"
    names = [claim["name"] for claim in json.loads((tmp_path / "all.json").read_text())["claims"]]
    assert all(f"\n## {name}\n" in text for name in names)


def test_published_differences_of_the_papers() -> None:
    """Of numbers that stand in the tables: Kim & Rush 19.0 - 17.7 and 18.1 - 17.6, and so on."""
    found = {claim.name: [number for test in claim.tests for said in test.statements
                          for number, _ in published(said, test.table)]
             for claim in read_claims()}  # fmt: skip
    assert found["seq-over-word"] == pytest.approx([1.3, 0.5])
    assert found["gold-and-distilled"] == pytest.approx([0.04, 1.39, 2.14])
    assert found["selection"] == pytest.approx([0.15, 0.28])
    assert found["knn-kd-near-knn-mt"] == pytest.approx([0.13])
    for name in ("levels-add-up", "returns-diminish", "noise", "simple-and-complex"):
        assert found[name] == []


def test_bad_evidence_is_refused(scores: Path, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    given = json.loads(scores.read_text())

    def refused(evidence: str, match: str) -> None:
        with pytest.raises(InputError, match=match):
            read_evidence(evidence)

    refused(str(tmp_path), "has no ledger.jsonl; give the output folder of a .*, or TABLE=FILE")
    refused(f"tatoeba={scores}", "'tatoeba' is none of configs/tables")
    refused("wei_2023=x", "has the students 12M, .*; give wei_2023/STUDENT=x")
    refused("wei_2023/1M=x", "names the student '1M'; wei_2023 has 12M")
    refused(f"multi30k_extra_source={file}", "cannot be read")
    file.write_text("{}")
    refused(f"multi30k_extra_source={file}", "is damaged")
    for system in given["systems"]:
        system["scores"]["BLEU"]["runs"][0] = math.nan
    file.write_text(json.dumps(given))
    refused(f"multi30k_extra_source={file}", "a score is no number")
    for interval in (None, [1.0]):
        for system in given["systems"]:
            system["scores"]["BLEU"]["runs"][0] = 1.0
            if system["scores"]["BLEU"]["paired"]:
                system["scores"]["BLEU"]["paired"]["interval"] = interval
        file.write_text(json.dumps(given))
        refused(f"multi30k_extra_source={file}", "an interval has no two ends")
    for system in given["systems"]:
        for metric in system["scores"].values():
            metric["paired"] = None
    file.write_text(json.dumps(given))
    refused(f"multi30k_extra_source={file}", "write it with fairseq-kd score --paired --json")
