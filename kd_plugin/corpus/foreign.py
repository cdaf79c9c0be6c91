"""Hypotheses that another program wrote: lines, JSON lines or an n-best list."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.schema import COUNT, parse

LONGEST = 1 << 26  # bytes of a line
OBJECT = {"hypotheses": [(str, {"text": str})]}
Hypotheses = list[tuple[str, float | None]]  # text with single spaces, and score


class Foreign:
    """A file of hypotheses; iterate over it, as often as you like.

    Formats: ``lines`` has ``nbest`` lines a sentence, with ``scores`` a number a line in another
    file; ``jsonl`` an object a sentence, ``{"hypotheses": ["t", {"text": "t", "score": -1.2}]}``;
    ``nbest`` lines ``sentence ||| text ||| ... ||| score``, as Moses and Marian write them.
    """

    def __init__(self, path: Path, kind: str, nbest: int = 1, scores: Path | None = None):
        self.path, self.kind, self.nbest, self.scores = path, kind, nbest, scores

    def __iter__(self) -> Iterator[Hypotheses]:
        """Each sentence's hypotheses, in the file's order.

        Raises:
            InputError: the file cannot be read, or a line is not of the format.
        """
        read = {"lines": self._lines, "jsonl": self._objects, "nbest": self._list}[self.kind]
        return read()

    def _lines(self) -> Iterator[Hypotheses]:
        scores = read_text(self.scores, "--scores") if self.scores else None
        block: Hypotheses = []
        for number, line in enumerate(read_text(self.path), 1):
            score = None
            if scores is not None:
                score = _number(next(scores, ""), f"--scores {self.scores}, line {number}")
            block.append((" ".join(line.split()), score))
            if len(block) == self.nbest:
                yield block
                block = []
        if block:
            raise InputError(
                f"--hypotheses {self.path} has {number} lines, which is no multiple of --nbest "
                f"{self.nbest}; give every sentence as many"
            )
        if scores is not None and next(scores, None) is not None:
            raise InputError(
                f"--scores {self.scores} has more lines than {self.path}; give as many"
            )

    def _objects(self) -> Iterator[Hypotheses]:
        for number, line in enumerate(read_text(self.path), 1):
            where = f"--hypotheses {self.path}, line {number}"
            try:
                found: dict[str, Any] = parse(line, OBJECT)
            except ValueError as error:
                raise InputError(
                    f'{where} is no object such as {{"hypotheses": [{{"text": "a b", "score": '
                    f"-0.3}}]}} ({error}); mend it"
                ) from None
            block: Hypotheses = []
            for one in found["hypotheses"]:
                text, score = (
                    (one, None) if isinstance(one, str) else (one["text"], one.get("score"))
                )
                told = None if score is None else _number(score, where)
                block.append((" ".join(text.split()), told))
            yield block

    def _list(self) -> Iterator[Hypotheses]:
        block: Hypotheses = []
        row = 0
        for number, line in enumerate(read_text(self.path), 1):
            where = f"--hypotheses {self.path}, line {number}"
            parts = [part.strip() for part in line.split("|||")]
            if len(parts) < 2 or not parts[0].isdecimal() or not row <= int(parts[0]) in COUNT:
                raise InputError(
                    f"{where} is not of the form 'sentence ||| text ||| features ||| score' with "
                    "sentences in order, from 0; mend it, or give --format lines"
                )
            while row < int(parts[0]):
                yield block
                block, row = [], row + 1
            score = _number(parts[-1], where) if len(parts) > 2 else None
            block.append((" ".join(parts[1].split()), score))
        if block:
            yield block


def read_text(path: Path, flag: str = "--hypotheses") -> Iterator[str]:
    """Lines of a text file, plain or gzipped."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            number = 0
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise InputError(
                        f"{flag} {path}, line {number} is over {LONGEST} bytes; cut it"
                    )
                yield line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{flag} {path}, line {number} is not UTF-8; mend the file") from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{flag} {path} cannot be read ({why}); name a whole file") from None


def _number(value: Any, where: str) -> float | None:
    """A score; None where it is not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{where} has {json.dumps(value)[:40]} where a score belongs; give a number"
        ) from None
    return number if math.isfinite(number) else None
