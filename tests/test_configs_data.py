"""The data sets of configs/data, each on an excerpt in the format that it is published in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.dataset import DATASETS

from kd_plugin.commands import cli
from kd_plugin.corpus.config import read_config

FOLDER = Path(__file__).parent.parent / "configs" / "data"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
PAPERS = {
    *("iwslt14_de_en", "iwslt13_en_fr", "iwslt15_en_vi", "wmt14_en_de", "wmt14_en_fr"),
    *("wmt16_en_ro", "wmt19_zh_en", "opus_koran_de_en", "opus_medical_de_en"),
    *("opus_law_de_en", "opus_it_de_en"),
}
SIZE = 1500  # of each training file; more than the largest `every`


def sentences(code: str, name: str, count: int) -> list[str]:
    """Lines that say which they are, so that a shifted one is seen."""
    short = Path(name).name.split(".")[0]
    return [f"{code.upper()} {short} line {row} of Text &amp; more" for row in range(count)]


def published(name: str, lines: list[str]) -> str:
    """The text of a file as its publisher writes it."""
    if name.endswith((".sgm", ".xml")):
        segments = (f'<seg id="{n}"> {line} </seg>\n' for n, line in enumerate(lines, 1))
        head = '<srcset setid="x">\n<doc docid="1" origlang="de">\n<p>\n'
        return f"{head}{''.join(segments)}</p>\n</doc></srcset>\n"
    if Path(name).name.startswith("train.tags."):
        head, *rest = lines
        tags = "<url>http://x</url>\n<keywords>talk</keywords>\n<talkid>1</talkid>\n"
        return f"{tags}<title>{head}</title>\n" + "".join(f"{line}\n" for line in rest)
    return "".join(f"{line}\n" for line in lines)


def stems(cfg: Any) -> Iterator[tuple[str, int]]:
    """Every file's stem, and how many lines it gets."""
    for split in (cfg["train"], cfg["valid"], *cfg["tests"]):
        if isinstance(split, dict) and "every" in split:
            continue
        names = split["all"] if isinstance(split, dict) else [split]
        for name in names:
            yield (
                (name[0] if isinstance(name, list) else name),
                (SIZE if split is cfg["train"] else 7),
            )


def write_excerpt(cfg: Any, folder: Path) -> None:
    for stem, count in stems(cfg):
        for code in cfg["languages"]:
            role = "src" if code == cfg["languages"][0] else "ref"
            name = stem.replace("{code}", code).replace("{role}", role)
            name = name if "{code}" in stem else f"{stem}.{code}"
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(published(name, sentences(code, stem, count)), "utf-8")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "toy"])
def test_an_excerpt_is_prepared(name: str, tmp_path: Path) -> None:
    cfg = read_config(FOLDER / f"{name}.yaml")
    write_excerpt(cfg, tmp_path / "raw")
    config = tmp_path / f"{name}.yaml"
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    config.write_text(text.split("\nsha256:")[0] + "\n", "utf-8")  # an excerpt has other sums
    output = tmp_path / "out"
    cli.main(
        [
            "prepare",
            str(config),
            "--from",
            str(tmp_path / "raw"),
            "--output",
            str(output),
            "--limit",
            "2000",
        ]
    )
    made = json.loads((output / "manifest.json").read_text("utf-8"))
    assert made["dropped"] == {}
    source, target = cfg["languages"]
    files = len(cfg["train"]["all"]) if isinstance(cfg["train"], dict) else 1
    pairs = min(files * SIZE, 2000)
    every = cfg["valid"].get("every") if isinstance(cfg["valid"], dict) else None
    valid = pairs // every if every else 7
    assert made["lines"][f"train.{source}"] == (pairs - valid if every else pairs)
    assert made["lines"][f"valid.{target}"] == valid
    for split in ("train", "valid", "test"):
        ours, theirs = (
            (output / "raw" / f"{split}.{code}").read_text("utf-8").splitlines()
            for code in (source, target)
        )
        assert ours[0] == ours[0].strip()
        case = str.lower if cfg.get("lowercase") else str
        for a, b in zip(ours, theirs, strict=True):
            assert a.split()[0] == case(source.upper())
            assert a.split()[1:] == b.split()[1:]
            assert case("Text &amp; more") in a
            assert "<" not in a


def test_every_set_of_the_papers_is_there() -> None:
    assert set(NAMES) >= PAPERS


@pytest.mark.parametrize("name", NAMES)
def test_names_of_sacrebleu_exist(name: str) -> None:
    cfg = read_config(FOLDER / f"{name}.yaml")
    for split, known in cfg.get("sacrebleu", {}).items():
        assert split in ("valid", "test")
        assert "-".join(cfg["languages"]) in DATASETS[known].langpairs


def test_every_value_has_a_source() -> None:
    """A comment, or the word `ours`, in each file of a paper's set."""
    for name in PAPERS:
        text = (FOLDER / f"{name}.yaml").read_text("utf-8")
        assert text.startswith("# ")
        for key in ("clean:", "subwords:"):
            line = next(line for line in text.splitlines() if line.startswith(key))
            assert " # " in line or "ours" in text.split("languages:")[0], (name, key)


def test_a_missing_file_names_where_it_can_be_had(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"give --from FOLDER with its files \(europarl-v7"):
        cli.main(["prepare", str(FOLDER / "wmt14_en_de.yaml"), "--output", str(tmp_path / "out")])
