"""Entropy and reordering under alignments: by hand, and by loops written from the papers."""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus.links import conditional_entropy, fuzzy_reordering

from . import made


@pytest.mark.parametrize(
    ("links", "score"),
    [
        ([], None),
        ([(3, 0)], None),
        ([(0, 0), (1, 1), (2, 2)], 1.0),
        ([(2, 0), (1, 1), (0, 2)], 0.0),
        ([(2, 0), (3, 1), (0, 2), (1, 3)], 1 - 1 / 3),  # two chunks of two
        ([(0, 0), (5, 1), (9, 4)], 1.0),  # what is not linked is left out on both sides
        ([(0, 0), (1, 0), (1, 1), (2, 2)], 1.0),  # words that share a source word go on
        ([(0, 0), (2, 0), (1, 1)], 0.0),  # back into the word before
        ([(1, 0), (1, 1), (0, 2)], 0.5),
    ],
)
def test_fuzzy_reordering(links: list[tuple[int, int]], score: float | None) -> None:
    assert fuzzy_reordering(links) == pytest.approx(score)


def slow_entropies(pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """C(d) and H(Y|X) from their definitions."""
    each = {}
    for x in {x for x, _ in pairs}:
        targets = [y for other, y in pairs if other == x]
        shares = [targets.count(y) / len(targets) for y in set(targets)]
        each[x] = -sum(p * math.log2(p) for p in shares), len(targets)
    by_token = sum(h * n for h, n in each.values()) / len(pairs)
    return sum(h for h, _ in each.values()) / len(each), by_token


def test_conditional_entropy_by_hand() -> None:
    found = conditional_entropy([(0 << 32 | 1, 2), (0 << 32 | 2, 2), (1 << 32 | 1, 4)])
    assert found == pytest.approx((0.5, 0.5))
    assert conditional_entropy([]) == (0.0, 0.0)


def links_of(source: str, text: str, draw: random.Random) -> list[tuple[int, int]]:
    sizes = len(source.split()), len(text.split())
    return sorted({(draw.randrange(sizes[0]), draw.randrange(sizes[1])) for _ in range(4)})


def written(path: Path, lines: list[list[tuple[int, int]]]) -> Path:
    path.write_text("".join(" ".join(f"{i}-{j}" for i, j in line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def corpus(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links") / "corpus"
    return made.write(folder, data, made.records_of(data))


def describe(data: Path, corpus: Path, out: Path, *flags: object) -> list[dict[str, Any]]:
    words = ["describe", data, corpus, "--subwords", "none", "--json", out, *flags]
    cli.main([*map(str, words)])
    rows: list[dict[str, Any]] = json.loads(out.read_text())
    return rows


def test_alignments_of_another_program(
    data: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, references = made.references(data, "xx"), made.references(data)
    draw = random.Random(5)
    files, expected = [], []
    best: list[str] = [(r["hypotheses"] or [{"text": ""}])[0]["text"] for r in made.read(corpus)]
    for name, texts in (("gold", references), ("corpus", best)):
        lines = [links_of(s, t, draw) if t else [] for s, t in zip(sources, texts, strict=True)]
        files.append(written(tmp_path / name, lines))
        rows = list(zip(sources, texts, lines, strict=True))
        pairs = [(s.split()[i], t.split()[j]) for s, t, line in rows for i, j in line]
        scores = [score for line in lines if (score := fuzzy_reordering(line)) is not None]
        linked = sum(len({j for _, j in line}) for line in lines) / len(" ".join(texts).split())
        expected.append((*slow_entropies(pairs), sum(scores) / len(scores), linked))
    flags = [word for file in files for word in ("--alignments", file)]
    told = describe(data, corpus, tmp_path / "out.json", *flags)
    names = ("translation_entropy", "translation_entropy_tokens", "reordering", "linked")
    for row, values in zip(told, expected, strict=True):
        assert [row[name] for name in names] == pytest.approx(values)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("| C(d) | H(Y|X) | FRS | linked |")
    assert f"| {told[1]['reordering']:.4f} |" in printed[3]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["0-0"], "has fewer lines than the corpus has sentences"),
        (["0-0"] * 151, "has more lines than the corpus has sentences"),
        (["0-0", "0:1"], "line 2 has '0:1', which is no link such as 0-1"),
        (["0-0", "0-0 99-0"], "line 2 links 99-0 and the sentence has"),
    ],
)
def test_bad_alignments(
    data: Path, corpus: Path, tmp_path: Path, lines: list[str], words: str
) -> None:
    path = tmp_path / "bad"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(SystemExit, match=words):
        describe(data, corpus, tmp_path / "o", "--alignments", path, "--alignments", path)


def test_no_file_of_alignments(data: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--alignments .*/none is no file; name one with a line"):
        describe(data, corpus, tmp_path / "o", *["--alignments", tmp_path / "none"] * 2)


def test_as_many_alignments_as_texts(data: Path, corpus: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "one", [])
    with pytest.raises(SystemExit, match="--alignments is given 1 times and there are 2 texts"):
        describe(data, corpus, tmp_path / "o", "--alignments", path)
    with pytest.raises(SystemExit, match=r"--align .* and --alignments both align; give one"):
        describe(data, corpus, tmp_path / "o", "--alignments", path, "--align", tmp_path)


FAKE = """#!/bin/sh
echo called >> "$CALLED"
[ -z "$FAILS" ] || { echo "what went wrong" >&2; exit 3; }
awk '{ line = ""; for (i = 0; i < NF; i++) line = line " " i "-" 0; print line }' "$2" > "$6"
sed 's/ 1-0//' "$6" > "$8"
"""


@pytest.fixture
def aligner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in: every source word goes to the first target word, but the second one way only."""
    program = tmp_path / "bin" / "eflomal-align"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    return tmp_path / "called"


def test_links_are_kept_and_taken_again(
    data: Path, corpus: Path, tmp_path: Path, aligner: Path
) -> None:
    told = describe(data, corpus, tmp_path / "a.json", "--align", tmp_path / "links")
    assert aligner.read_text().count("called") == 2  # a text each
    files = sorted(file.name for file in (tmp_path / "links").iterdir())
    assert len(files) == 2
    assert all(name.endswith(".pharaoh") for name in files)
    again = describe(data, corpus, tmp_path / "b.json", "--align", tmp_path / "links")
    assert aligner.read_text().count("called") == 2
    assert told == again
    lines = [(tmp_path / "links" / name).read_text().splitlines() for name in files]
    sources = made.references(data, "xx")
    full = [" ".join(f"{i}-0" for i in range(len(s.split())) if i != 1) for s in sources]
    undecoded = [row for row, record in enumerate(made.read(corpus)) if not record["hypotheses"]]
    holed = ["" if row in undecoded else line for row, line in enumerate(full)]
    assert sorted(lines) == sorted([full, holed])
    assert told[0]["reordering"] is None


def test_an_aligner_that_fails(
    data: Path, corpus: Path, tmp_path: Path, aligner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(SystemExit, match=r"--align: eflomal-align failed \(what went wrong\)"):
        describe(data, corpus, tmp_path / "o", "--align", tmp_path / "links")
    assert list((tmp_path / "links").iterdir()) == []


def test_no_aligner(
    data: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(SystemExit, match=r"--align needs eflomal-align; type: pip install 'kd-pl"):
        describe(data, corpus, tmp_path / "o", "--align", tmp_path / "links")


def test_eflomal_aligns_a_reversed_text(data: Path, tmp_path: Path) -> None:
    """The references are their sources backwards: hardly a word goes on where the last one was."""
    try:
        from kd_plugin.corpus.aligner import find_aligner

        find_aligner()
    except ValueError:
        if os.environ.get("CI"):
            pytest.fail("eflomal is not installed; run ./scripts/setup.sh")
        pytest.skip("eflomal is not installed")
    out = tmp_path / "out.json"
    cli.main(["describe", str(data), "--subwords", "none", "--json", str(out),
              "--align", str(tmp_path / "links")])  # fmt: skip
    (row,) = json.loads(out.read_text())
    assert row["linked"] > 0.7
    assert row["reordering"] < 0.4
    assert row["translation_entropy_tokens"] < 1.5
