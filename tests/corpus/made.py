"""Teacher corpora that no teacher wrote: damaged references, packed by the standard library."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.tasks import DistillationTask

from .. import support

NAME = "train.xx-yy"
Record = dict[str, Any]


def references(data: Path, side: str = "yy") -> list[str]:
    """The text that was binarised."""
    return (data.with_name(f"{data.name}.text") / f"train.{side}").read_text().splitlines()


def damaged(line: str, generator: random.Random) -> str:
    """A line with some words deleted, doubled, swapped or changed; perhaps none."""
    words = line.split()
    for _ in range(generator.randint(0, 4)):
        place = generator.randrange(len(words))
        kind = generator.random()
        if kind < 0.3 and len(words) > 1:
            del words[place]
        elif kind < 0.6:
            words.insert(place, words[place])
        elif kind < 0.8:
            words[place] = generator.choice(support.WORDS).upper()
        else:
            words.append(words.pop(place))
    return " ".join(words)


def records_of(data: Path, K: int = 5, seed: int = 0, holes: int = 37) -> list[Record]:
    """For each training sentence K damaged references with falling scores; none in some."""
    generator = random.Random(seed)
    words = DistillationTask.of_data(str(data)).target_dictionary
    records: list[Record] = []
    for row, line in enumerate(references(data)):
        if row % holes == holes - 1:
            records.append({"id": row, "hypotheses": [], "reason": "empty"})
            continue
        scores = sorted((-generator.random() for _ in range(K)), reverse=True)
        texts = [damaged(line, generator) for _ in range(K)]
        hypotheses: list[Record] = [
            {"score": score, "tokens": words.encode_line(text).tolist(), "text": text}
            for score, text in zip(scores, texts)
        ]
        if row % 11 == 5:
            hypotheses[-1]["score"] = None
        records.append({"id": row, "hypotheses": hypotheses})
    return records


def write(folder: Path, data: Path, records: list[Record], lenpen: float = 1.0) -> Path:
    """One shard with the manifest that ``generate`` would write."""
    folder.mkdir(parents=True)
    path = folder / f"{NAME}.shard0-of-1.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))
    task = DistillationTask.of_data(str(data))
    settings = {
        "format": 1, "subset": "train", "languages": ["xx", "yy"], "sentences": len(records),
        "source_sha256": sources_sha256(data), "teacher_sha256": ["ab" * 32],
        "dictionary_sha256": task.state.dictionary_sha256, "device": "cpu",
        "search": {"beam": 5, "nbest": 5, "lenpen": lenpen, "fp16": False},
        "shard": "0/1", "rows": [0, len(records)],
    }  # fmt: skip
    manifest = {"settings": settings, "sha256": support.sha256(path), "counts": {}}
    (folder / f"{path.name}.manifest.json").write_text(json.dumps(manifest))
    return folder


def sources_sha256(data: Path) -> str:
    from kd_plugin.data.subset import fingerprint_of_sources

    task = DistillationTask.of_data(str(data))
    return fingerprint_of_sources(task.language_pairs(str(data), "train"))


def read(folder: Path) -> list[Record]:
    return list(read_corpus(find_corpus(folder, NAME)))


def manifest(folder: Path) -> dict[str, Any]:
    ((_, found),) = find_corpus(folder, NAME)
    return found
