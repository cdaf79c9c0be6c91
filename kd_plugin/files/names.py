"""Names that flags choose from and that files keep; reading them needs no library."""

from __future__ import annotations

import re

DTYPES = {"float16": "<f2", "float32": "<f4"}  # of a store's numbers
TAILS = ("renormalise", "uniform", "ghost")  # what a store's tokens that were not kept have
KEYS = ("output", "ffn-input")  # of a datastore: knn-box and kNN-KD; Khandelwal et al. (2021)
SUBWORDS = ("sentencepiece", "subword-nmt", "none")  # what cut a corpus's words; none: nothing did
FORMATS = ("lines", "jsonl", "nbest")  # of hypotheses that another program wrote
ENGINES = ("auto", "fairseq", "ctranslate2")  # of the search of generate
COMPUTE_TYPES = ("float32", "int8")  # of its weights; --fp16 asks for float16
QUANTIZATIONS = ("int8", "int16", "float16")  # of an exported student
EXPORTS = ("fairseq", "ctranslate2")
PAIRS_NOTE, MIX_NOTE = "corpus.json", "mix.json"  # of data folders that binarise and mix write
CHECKPOINT_RULES = "last, average:K with K checkpoints, or best-bleu"


def parse_rule(text: str) -> str:
    """A rule that chooses a run's checkpoint.

    Raises:
        ValueError: there is no such rule.
    """
    if text not in ("last", "best-bleu") and not re.fullmatch("average:[1-9][0-9]*", text):
        raise ValueError(f"{text!r} is no rule; give {CHECKPOINT_RULES}")
    return text
