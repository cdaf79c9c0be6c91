"""What may tell that a token is hard: the signals of Wang et al.'s probe study (2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..teachers import WholeBelief
from .reading import Reading

SIGNALS = [
    "word-ce",
    "word-frequency",
    "sentence-length",
    "sentence-ce",
    "teacher-entropy",
    "teacher-gold-probability",
]


def difficulty(signal: str, reading: Reading, q: WholeBelief, dictionary: Any) -> Tensor:
    """The signal at each token, larger where it is harder, without gradient [N].

    Hard are a large cross-entropy of the student (of the word, or the mean of its sentence), a rare
    word (by the counts in the dictionary), a long sentence, a teacher that is uncertain, and a
    gold token that the teacher finds unlikely.
    """
    match signal:
        case "word-frequency":
            counts = torch.tensor(dictionary.count, device=reading.y.device)
            return -counts[reading.y].to(reading.output.dtype)
        case "sentence-length":
            return reading.lengths[reading.sentence]
        case "sentence-ce":
            return (reading.of_sentences(reading.nll) / reading.lengths)[reading.sentence]
        case "teacher-entropy":
            return q.entropy()
        case "teacher-gold-probability":
            return q.nll(reading.y)
    return reading.nll


def check_signal(signal: str, dictionary: Any) -> None:
    """Refuse word frequencies where the dictionary has none.

    Raises:
        InputError: all words have the same count.
    """
    words = dictionary.count[dictionary.nspecial :]
    if signal == "word-frequency" and len(set(words)) < 2:
        raise InputError(
            "--kd-select-by word-frequency needs counts, and all words of the target dictionary "
            f"have the same ({words[0] if words else 0}); make the dictionary with "
            "fairseq-preprocess from the training set"
        )
