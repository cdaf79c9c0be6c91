"""Every file of configs/methods is read by fairseq as it stands."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import pytest
from fairseq import options

from .support import distillation

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "configs" / "methods").glob("*.args"))


def flags_of(path: Path) -> list[str]:
    """As scripts/common.sh reads them."""
    lines = (line.split("#")[0] for line in path.read_text().splitlines())
    return [flag for line in lines for flag in shlex.split(line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_method_file_sets_what_it_says(path: Path) -> None:
    flags = flags_of(path)
    command = ["data", "--arch", "transformer", *distillation(), *flags]
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=command)
    for flag, value in itertools.pairwise(flags):
        if flag.startswith("--") and not value.startswith("--"):
            read = getattr(parsed, flag[2:].replace("-", "_"))
            read = read[0] if isinstance(read, list) else read
            assert str(read).replace(" ", "") == value or float(read) == float(value), flag


def test_the_papers_numbers() -> None:
    """k and T of Yang et al. (2022) for each data set; k, T and lambda of kNN-MT."""
    knn_kd = {"iwslt14": (64, 100), "iwslt15": (64, 100), "koran": (16, 100), "medical": (4, 10)}
    knn_kd["law"] = (4, 10)
    for name, numbers in knn_kd.items():
        flags = flags_of(ROOT / f"configs/methods/knn_kd-{name}.args")
        found = (flags[flags.index("--knn-k") + 1], flags[flags.index("--knn-temperature") + 1])
        assert tuple(map(float, found)) == numbers
        assert f"--k {numbers[0]} " in (ROOT / f"configs/methods/knn_kd-{name}.args").read_text()
