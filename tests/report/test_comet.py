"""COMET's adapter, with a model that stands in for COMET's."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.report import comet


class Model:
    """Scores a sentence by the words that it shares with its reference, or its source."""

    def __init__(self, needs: bool):
        self.needs = needs
        self.calls: list[dict[str, Any]] = []

    def requires_references(self) -> bool:
        return self.needs

    def predict(self, samples: list[dict[str, str]], **settings: Any) -> Any:
        self.calls.append(settings)
        key = "ref" if self.needs else "src"
        scores = [
            len(set(s["mt"].split()) & set(s[key].split())) / len(s["mt"].split()) for s in samples
        ]
        return types.SimpleNamespace(scores=scores)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    stand_in = Model(needs=True)
    module: Any = types.ModuleType("comet")
    module.load_from_checkpoint = lambda path: stand_in
    monkeypatch.setitem(sys.modules, "comet", module)
    monkeypatch.setattr(comet, "version", lambda name: "2.2.2")
    return stand_in


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for name, lines in {
        "src": "ein haus\nzwei häuser\n", "ref": "a house\ntwo houses\n",
        "a.hyp": "a house\ntwo house\n", "b.hyp": "one house\nhouses\n", "short.hyp": "a house\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(lines, "utf-8")
    (tmp_path / "model.ckpt").write_bytes(b"weights")
    return tmp_path


def command(texts: Path, *files: str, references: bool = True) -> None:
    given = ["--references", str(texts / "ref")] if references else []
    flags = ["--model", str(texts / "model.ckpt"), "--sources", str(texts / "src"), *given]
    cli.main(["comet", *flags, "--batch-size", "4", *(str(texts / file) for file in files)])


def test_scores_are_written_and_join_the_table(
    texts: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    command(texts, "a.hyp", "b.hyp")
    lines = (texts / "a.hyp.comet").read_text().splitlines()
    assert lines[0] == "# name: COMET"
    assert "|Comet2.2.2|fp32|model:" in lines[1]
    assert lines[2:] == ["# better: higher", "1.0", "0.5"]
    assert model.calls[0]["batch_size"] == 4
    capsys.readouterr()
    systems = [f"--system={name}={texts / name}.hyp" for name in ("a", "b")]
    cli.main(["score", "--references", str(texts / "ref"), *systems, "--segments", "comet"])
    table = capsys.readouterr().out
    assert "| COMET |" in table.splitlines()[0]
    assert "0.75" in next(line for line in table.splitlines() if line.startswith("| a |"))


def test_a_model_without_references(texts: Path, model: Model) -> None:
    with pytest.raises(SystemExit, match="compares with references; give --references FILE"):
        command(texts, "a.hyp", references=False)
    model.needs = False
    command(texts, "a.hyp", references=False)
    assert (texts / "a.hyp.comet").read_text().splitlines()[3:] == ["0.0", "0.0"]


def test_without_comet(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "comet", None)
    with pytest.raises(SystemExit, match="COMET is not installed; type: pip install unbabel-comet"):
        command(texts, "a.hyp")


def test_refusals(texts: Path, model: Model) -> None:
    with pytest.raises(SystemExit, match=r"short\.hyp has 1 lines and --sources .* has 2"):
        command(texts, "a.hyp", "short.hyp")
    assert not (texts / "a.hyp.comet").exists()
    (texts / "model.ckpt").unlink()
    with pytest.raises(SystemExit, match="is no file; name a COMET checkpoint on disk"):
        command(texts, "a.hyp")
