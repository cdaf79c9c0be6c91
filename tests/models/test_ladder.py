"""The ladder of students: as many parameters as their names and their page say."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from kd_plugin.models.parameters import Count, count_parameters, of_flags

ROOT = Path(__file__).parent.parent.parent
LADDER = sorted((ROOT / "configs" / "models").glob("ladder-*.args"))
PAGE = (ROOT / "docs" / "methods" / "adaptive_capacity.md").read_text()
VOCABULARY = 10_000


@cache
def counted(file: Path) -> Count:
    return count_parameters(of_flags(file, VOCABULARY))


def nominal(file: Path) -> int:
    return int(re.sub(r"\D", "", file.stem))


def test_its_rungs() -> None:
    assert [nominal(file) for file in LADDER] == [3, 6, 12, 25, 40, 65, 100, 146]


@pytest.mark.parametrize("file", LADDER, ids=lambda file: file.stem)
def test_a_rung_has_its_nominal_size(file: Path) -> None:
    count = counted(file)
    print(f"{file.stem}: {count.total:,} = {count.embeddings:,} embeddings + {count.others:,}")
    assert abs(count.total / (nominal(file) * 1e6) - 1) <= 0.02
    width = int(re.findall(r"--encoder-embed-dim (\d+)", file.read_text())[0])
    assert count.embeddings == VOCABULARY * width  # one shared matrix


@pytest.mark.parametrize("file", LADDER, ids=lambda file: file.stem)
def test_a_gated_rung_has_the_same_size(file: Path, tmp_path: Path) -> None:
    gated = tmp_path / file.name
    gated.write_text(file.read_text() + "--arch transformer_glu\n")
    count = counted(gated)
    assert count.embeddings == counted(file).embeddings
    assert abs(count.others / counted(file).others - 1) <= 0.01
    assert count.others != counted(file).others


def test_the_page_has_the_counts() -> None:
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if line.startswith("| `ladder-")
    ]
    expected = []
    for file in LADDER:
        flags, count = file.read_text(), counted(file)
        sizes = [
            re.findall(rf"--{flag} (\d+)", flags)[0]
            for flag in (
                "encoder-layers", "encoder-embed-dim", "encoder-ffn-embed-dim",
                "encoder-attention-heads",
            )
        ]  # fmt: skip
        numbers = [f"{n:,}" for n in (count.embeddings, count.others, count.total)]
        expected.append([file.name, *sizes, *numbers])
    assert rows == expected
