"""A corpus of hypotheses that another program wrote; see ``fairseq-kd import --help``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from ..data.subset import fingerprint_of_sources
from ..errors import InputError
from ..files.progress import Progress
from ..files.shards import subset_name
from ..version import versions
from .alignment import Alignment, Verdict
from .derived import BLOCK_SIZE, Counts, Made, write_records
from .foreign import Foreign, Hypotheses
from .origin import origin_of
from .pieces import find_model, load_model, require_its_model
from .records import Record
from .references import Sources, sha256_of


def adopt(
    task: Any,
    pairs: Any,
    hypotheses: Foreign,
    output: Path,
    subset: str,
    subwords: str = "sentencepiece",
    model: Path | None = None,
    lenpen: float = 0.0,
    misaligned: bool = False,
    workers: int = 1,
    block_size: int = BLOCK_SIZE,
) -> str:
    """Write the corpus, or go on with it.

    Args:
        task: of the binarised corpus whose sources were translated.
        pairs: its subset.
        hypotheses: of each of its sentences.
        output: folder of the corpus.
        subset: its name.
        subwords: what cuts the text: ``sentencepiece`` does with ``model``; text of others is cut
            already.
        model: of SentencePiece; None looks for it beside the data.
        lenpen: by which power of their length log-probabilities were divided.
        misaligned: take text that does not look like a translation, too.
        workers, block_size: as in :func:`.derived.derive`.

    Returns:
        The file and what it holds, in a line.

    Raises:
        InputError: another number of sentences, text that is no translation of these sources, no
            model, or one of other subwords than the dictionary's.
    """
    data = Path(task.cfg.data)
    cut = subwords == "sentencepiece"
    path = (model or find_model(data, str(task.cfg.target_lang))) if cut else None
    flags: dict[str, Any] = {
        "format": hypotheses.kind, "nbest": hypotheses.nbest, "subwords": subwords,
        "lenpen": lenpen, "accept_misaligned": misaligned,
    }  # fmt: skip
    files = {
        "hypotheses": hypotheses.path, "scores": hypotheses.scores, "sentencepiece": path,
    }  # fmt: skip
    reads = {key: sha256_of(file, f"--{key}") for key, file in files.items() if file}
    names = {key: str(file) for key, file in files.items() if file} | {"data": str(data)}
    origin = {
        "format": 1,
        "subset": subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs),
        "source_sha256": fingerprint_of_sources(pairs),
        "dictionary_sha256": task.state.dictionary_sha256,
        "lenpen": lenpen,
    }
    reads = {"data": origin["source_sha256"], **reads}
    made = Made("import", flags, reads, names, {}, block_size, origin_of(data, [pairs]))
    settings = {
        **origin, "command": made.command, "flags": flags, "reads": reads, "inputs": [],
        "block_size": block_size, "versions": versions(sentencepiece), "shard": "0/1",
        "rows": [0, len(pairs)],
    }  # fmt: skip
    sources = Sources(pairs, subwords)
    make = _Cut(pairs.tgt_dict, sources, path)
    if path:
        require_its_model(pairs.tgt, pairs.tgt_dict, path)
    verdict = check(sources, len(pairs), hypotheses)
    if verdict.complaint and not misaligned:
        raise InputError(
            f"--hypotheses {hypotheses.path} is no translation of {subset} of {data}: "
            f"{verdict.complaint}; put the lines right, or give --accept-misaligned"
        )

    def report(counts: Counts) -> Mapping[str, Any]:
        return {"length_correlation": verdict.length_correlation, "copies": verdict.copies}

    name = subset_name(task, subset)
    items = iter(hypotheses)
    return write_records(output, name, made, settings, items, make, workers=workers, report=report)


def check(sources: Sources, sentences: int, hypotheses: Foreign) -> Verdict:
    """Read all of the text once.

    Raises:
        InputError: it is of more or fewer sentences.
    """
    alignment, progress = Alignment(), Progress(sentences)
    found = 0
    for found, block in enumerate(hypotheses, 1):
        if found <= sentences:
            alignment.add(sources[found - 1], block[0][0] if block else "")
            progress.add(1)
    progress.close()
    if found != sentences:
        each = f" of {hypotheses.nbest} lines" if hypotheses.nbest > 1 else ""
        verdict = alignment.verdict() if found else None
        where = f"; {verdict.complaint}" if verdict and verdict.complaint else ""
        raise InputError(
            f"--hypotheses {hypotheses.path} has {found} sentences{each} and the data has "
            f"{sentences}{where}; give one for each source, empty where there is none"
        )
    return alignment.verdict()


class _Cut:
    """A record from a sentence's texts, best first where all have scores."""

    def __init__(self, words: Any, sources: Sources, model: Path | None):
        self.words, self.sources = words, sources
        self.model = load_model(model) if model else None

    def __call__(self, row: int, item: Hypotheses) -> tuple[Record, Counts]:
        given = [(text, score) for text, score in item if text]
        if not given:
            return {"id": row, "hypotheses": [], "reason": "empty"}, {"undecoded: empty": 1}
        if all(score is not None for _, score in given):
            given.sort(key=lambda pair: -(pair[1] or 0.0))
        pieces = [self._pieces(text) for text, _ in given]
        known, unk = self.words.indices, self.words.unk()
        tokens = [[known.get(piece, unk) for piece in cut] for cut in pieces]
        unknown = [ids.count(unk) for ids in tokens]
        noted = {
            "imported": 1,
            "hypotheses": len(given),
            "pieces": sum(map(len, tokens)),
            "unknown pieces": sum(unknown),
            "hypotheses with unknown pieces": sum(map(bool, unknown)),
            "empty hypotheses dropped": len(item) - len(given),
            "best copies its source": int(given[0][0] == self.sources[row]),
        }
        hypotheses = [
            {"score": score, "tokens": [*ids, self.words.eos()], "text": " ".join(cut)}
            for (_, score), cut, ids in zip(given, pieces, tokens)
        ]
        return {"id": row, "hypotheses": hypotheses}, noted

    def _pieces(self, text: str) -> Sequence[str]:
        pieces: list[str] = self.model.encode(text, out_type=str) if self.model else text.split()
        return pieces
