"""Measure what docs/corpora.md says of rates and memory, on synthetic text of any size.

usage: python -m benchmarks.corpora FOLDER --sentences N [--only NAME ...]

FOLDER gets a data folder of N pairs and two translations of each, as text and as a corpus, and then
what each command writes; all of it can be removed afterwards (some 500 bytes a sentence). There are
100,000 different sentences, again and again, of 5 to 19 words of 20,000 by Zipf's law; a word has
one translation, every twentieth word is its own; a translation lacks a word or has another in its
place. Commands run one by one, each in one process on one core. A row says its processor time, the
sentences that it read a second of that, and the most memory: of its own (what the system calls
anonymous, seen five times a second), and with the pages of files that it had read, which the system
takes back when it likes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kd_plugin.data.indexed import SentenceWriter
from kd_plugin.data.subset import fingerprint_of_sources, read_sides
from kd_plugin.files.blocks import manifest_path
from kd_plugin.files.whole import sha256, write_json
from kd_plugin.tasks import DistillationTask

ROOT = Path(__file__).parent.parent
NAME, CODES = "train.xx-yy", ("xx", "yy")
TYPES, SPECIAL, END = 20_000, 4, 2  # words, ids before the first of them, end of sentence
DIFFERENT = 100_000  # sentences
Numbers = NDArray[np.int64]
COMMANDS = {  # by name: what is run in FOLDER; OUT is where it writes
    "import": "import data --hypotheses text --scores scores --nbest 2 --subwords none OUT",
    "select": "select corpus --copies 2,1 --subwords none OUT",
    "select-reference": "select corpus --by reference --data data --subwords none OUT",
    "filter": "filter corpus data --max-ratio 3 --copies --repetition --encoding "
    "--subwords none OUT",
    "filter-duplicates": "filter corpus data --duplicates --subwords none OUT",
    "mix": "mix data --part gold --part corpus OUT",
    "noise": "noise data --delete 0.1 --substitute 0.1 --swap 0.1 --subwords none OUT",
    "binarise": "binarise corpus data --nbest 2 OUT",
    "describe": "describe data corpus --subwords none",
}
PARALLEL = ("import", "select", "select-reference", "filter", "describe")  # take --workers


@dataclass
class Sentence:
    """A pair and its translations."""

    ids: tuple[Numbers, Numbers]
    texts: list[str]
    record: str  # its line of a corpus, behind the id


@dataclass
class Measured:
    """What a command took."""

    name: str
    sentences: int
    processor: float  # seconds
    wall: float
    own: float  # MiB
    all: float

    def row(self) -> str:
        """Of a Markdown table."""
        rate = self.sentences / self.processor
        return (
            f"| {self.name} | {self.sentences:,d} | {self.processor:,.0f} s | {rate:,.0f} | "
            f"{self.own:,.0f} MiB | {self.all:,.0f} MiB |"
        )


def make(folder: Path, sentences: int) -> None:
    """Write the data folder, the translations and a corpus of them, unless they are there."""
    data, corpus = folder / "data", folder / "corpus"
    if corpus.exists():
        return
    part = folder / "corpus.part"
    for each in (data, part):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    for code in CODES:
        words = "".join(f"{word(i, code)} 1\n" for i in range(TYPES))
        (data / f"dict.{code}.txt").write_text(words)
    some = drawn(min(sentences, DIFFERENT))
    for subset, count in (("valid", 10), ("train", sentences)):
        for side, code in enumerate(CODES):
            writer = SentenceWriter(data / f"{subset}.xx-yy.{code}", TYPES + SPECIAL)
            for _, rows in rounds(count, len(some)):
                for one in some[:rows]:
                    writer.add(one.ids[side])
            writer.finish()
    with open(folder / "text", "w") as text, open(folder / "scores", "w") as scores:
        for _, rows in rounds(sentences, len(some)):
            text.writelines(f"{one.texts[0]}\n{one.texts[1]}\n" for one in some[:rows])
            scores.write("-0.25\n-0.5\n" * rows)
    path = part / f"{NAME}.shard0-of-1.jsonl.gz"
    with open(path, "wb") as file:
        for first, rows in rounds(sentences, len(some)):
            lines = (f'{{"id": {i}, {one.record}' for i, one in enumerate(some[:rows], first))
            file.write(gzip.compress("".join(lines).encode(), 5, mtime=0))
    task = DistillationTask.of_data(str(data))
    settings = {
        "format": 1, "subset": "train", "languages": [*CODES], "sentences": sentences,
        "source_sha256": fingerprint_of_sources(read_sides(task, str(data), "train")),
        "dictionary_sha256": task.state.dictionary_sha256, "lenpen": 1.0, "command": "benchmark",
        "shard": "0/1", "rows": [0, sentences],
    }  # fmt: skip
    manifest = {"settings": settings, "sha256": sha256(path), "counts": {}}
    write_json(manifest_path(path), manifest)
    part.rename(corpus)


def rounds(sentences: int, different: int) -> Iterator[tuple[int, int]]:
    """The first row of each time that the different sentences come, and how many come then."""
    for first in range(0, sentences, different):
        yield first, min(different, sentences - first)


def word(number: int, code: str) -> str:
    """A word of a language; every twentieth is the same in both."""
    return f"name{number}" if number % 20 == 0 else f"{code}{number}"


def drawn(count: int) -> list[Sentence]:
    """Different sentences, and two translations of each."""
    generator = np.random.default_rng(1)
    cumulative = (1 / np.arange(1, TYPES + 1)).cumsum()
    words = [word(i, "yy") for i in range(TYPES)]
    found = []
    for length in generator.integers(5, 20, count).tolist():
        ids = cumulative.searchsorted(generator.random(length + 1) * cumulative[-1])
        lost, other = generator.integers(0, length, 2).tolist()
        changed = ids[:length].copy()
        changed[other] = ids[length]
        translations = [np.delete(ids[:length], lost), changed]
        texts = [" ".join([words[i] for i in one.tolist()]) for one in translations]
        hypotheses = [
            {"score": score, "tokens": [*(one + SPECIAL).tolist(), END], "text": text}
            for score, one, text in zip((-0.25, -0.5), translations, texts)
        ]
        gold = np.append(ids[:length] + SPECIAL, END)
        record = json.dumps({"hypotheses": hypotheses})[1:] + "\n"
        found.append(Sentence((gold, gold), texts, record))
    return found


def measure(name: str, folder: Path, sentences: int) -> Measured:
    """Run a command, in silence, and watch it."""
    words = COMMANDS[name].replace("OUT", f"--output {name}").split()
    if name in PARALLEL:
        words += ["--workers", "1"]
    run = "from kd_plugin.commands import cli; cli.main()"
    command = [sys.executable, "-c", run, *words]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    begin, own = time.monotonic(), 0
    with open(folder / f"{name}.log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            own = max(own, anonymous(process.pid))
            time.sleep(0.2)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed; see {folder / name}.log")
    taken = usage.ru_utime + usage.ru_stime
    wall = time.monotonic() - begin
    return Measured(name, sentences, taken, wall, own / 1024, usage.ru_maxrss / 1024)


def anonymous(process: int) -> int:
    """KiB of memory that are no file's."""
    try:
        with open(f"/proc/{process}/status") as status:
            return next((int(line.split()[1]) for line in status if line[:8] == "RssAnon:"), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def main() -> None:
    """Make the text and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--sentences", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    given = parser.parse_args()
    make(given.folder, given.sentences)
    for name in given.only:
        print(measure(name, given.folder, given.sentences).row(), flush=True)


if __name__ == "__main__":
    main()
