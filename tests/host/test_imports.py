"""Importing fairseq without the libraries that translation has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("sklearn")

LATER = """
import sys
import kd_plugin
print(sorted(name for name in ("sklearn", "scipy.stats", "pandas") if name in sys.modules))
from fairseq.criterions import sentence_prediction as theirs
print(theirs.f1_score([1, 0, 1], [1, 1, 1]), theirs.pearsonr([1, 2, 4], [1, 2, 3]).statistic)
import scipy.stats, sklearn.metrics
print(sklearn.metrics.f1_score([1, 0, 1], [1, 1, 1]),
      scipy.stats.pearsonr([1, 2, 4], [1, 2, 3]).statistic)
print(scipy.__version__ > "", sklearn.__version__ > "")
"""
BEFORE = """
import sklearn.metrics
import kd_plugin
from fairseq.criterions import sentence_prediction as theirs
print(theirs.f1_score is sklearn.metrics.f1_score)
"""


def told(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_what_fairseq_imports_for_other_tasks_is_loaded_when_it_is_called() -> None:
    loaded, theirs, true, whole = told(LATER)
    assert loaded == "[]"
    assert theirs == true
    assert whole == "True True"


def test_what_was_imported_before_stays() -> None:
    assert told(BEFORE) == ["True"]
