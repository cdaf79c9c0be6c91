"""Segment scores by COMET (Rei et al. 2020), where the package unbabel-comet is installed.

What comes out are the files that ``score --segments`` reads, so that a score is computed once and
the model need not be at hand when tables are made.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ..errors import InputError
from ..files.whole import sha256
from .lines import read_lines
from .segments import write_segments

ENDING = "comet"


def score_with_comet(
    model: Path,
    sources: str,
    references: str | None,
    files: Sequence[str],
    name: str = "COMET",
    batch_size: int = 16,
    gpus: int = 0,
) -> list[str]:
    """Write ``FILE.comet`` beside each file of translations, one number a sentence.

    Args:
        model: COMET's checkpoint on disk (``.../checkpoints/model.ckpt``).
        sources: a text file, one sentence a line.
        references: another; None for a model that needs none (quality estimation).
        files: translations of the same sentences.
        name: the metric's, in tables.
        batch_size: sentences at once.
        gpus: how many; 0 is the CPU.

    Returns:
        the files that were written.

    Raises:
        InputError: COMET is not installed, the model is no file or needs references, or a file has
            another number of lines.
    """
    if batch_size < 1:
        raise InputError(f"--batch-size {batch_size} is too small; give at least 1")
    if not model.is_file():
        raise InputError(
            f"--model {model} is no file; name a COMET checkpoint on disk, such as the path that "
            "comet.download_model('Unbabel/wmt22-comet-da') gives"
        )
    texts = {"src": read_lines(sources, "--sources")}
    if references is not None:
        texts["ref"] = read_lines(references, "--references")
    hypotheses = {file: read_lines(file, "HYP") for file in files}
    for file, lines in [(references, texts.get("ref")), *hypotheses.items()]:
        if lines is not None and len(lines) != len(texts["src"]):
            raise InputError(
                f"{file} has {len(lines)} lines and --sources {sources} has {len(texts['src'])}; "
                "give texts of the same sentences"
            )
    try:
        from comet import load_from_checkpoint
    except ImportError:
        raise InputError(
            "COMET is not installed; type: pip install unbabel-comet, or use another program "
            "and write HYP.comet yourself (docs/scoring.md)"
        ) from None
    scorer = load_from_checkpoint(str(model))
    if references is None and scorer.requires_references():
        raise InputError(f"--model {model} compares with references; give --references FILE")
    signature = (
        f"Python{platform.python_version()}|Comet{version('unbabel-comet')}|fp32|"
        f"{model.stem}:{sha256(model)[:8]}"
    )
    written = []
    for file, lines in hypotheses.items():
        columns = {**texts, "mt": lines}
        samples = [dict(zip(columns, row)) for row in zip(*columns.values())]
        found = scorer.predict(samples, batch_size=batch_size, gpus=gpus, progress_bar=False)
        path = f"{file}.{ENDING}"
        write_segments(path, name, signature, "higher", [float(score) for score in found.scores])
        written.append(path)
    return written
