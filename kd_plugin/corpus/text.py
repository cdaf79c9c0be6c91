"""The best translations of a corpus as plain text, a line a sentence."""

from __future__ import annotations

from pathlib import Path

from ..files.output import new_file
from .records import find_corpus, read_corpus


def write_text(corpus: Path, name: str, output: Path) -> int:
    """Write the best translations with their subwords joined; returns the number of lines.

    A sentence that could not be decoded is an empty line.

    Args:
        corpus: folder of a teacher corpus, all shards.
        name: SUBSET.SRC-TGT.
        output: the file.

    Raises:
        InputError: the corpus is not whole.
    """
    lines = []
    for record in read_corpus(find_corpus(corpus, name)):
        best = record["hypotheses"][0]["text"] if record["hypotheses"] else ""
        lines.append(joined(best))
    with new_file(output) as part:
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines)


def joined(pieces: str, subwords: str = "sentencepiece") -> str:
    """Text from subwords; a space is what SentencePiece's ``\\u2581`` stands for.

    Args:
        pieces: subwords with spaces between them.
        subwords: what cut them, of :data:`kd_plugin.files.names.SUBWORDS`.
    """
    if subwords == "sentencepiece":
        return pieces.replace(" ", "").replace("\u2581", " ").strip()
    return f"{pieces} ".replace("@@ ", "").strip() if subwords == "subword-nmt" else pieces
