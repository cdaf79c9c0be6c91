"""Agreement, KL and calibration as plain loops over tokens and words, in float64.

Written from the papers (Zhang et al. 2023 for agreement, Guo et al. 2017 for ECE); nothing of the
package is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = Sequence[float]  # probabilities of the vocabulary
Token = tuple[Row, Row, int]  # teacher, student, the reference's token


def likeliest(p: Row) -> int:
    return max(range(len(p)), key=lambda v: p[v])


def agreement(tokens: Sequence[Token]) -> float:
    return sum(likeliest(q) == likeliest(p) for q, p, _ in tokens) / len(tokens)


def kl(tokens: Sequence[Token]) -> float:
    """Mean KL(teacher || student) in bits."""
    return sum(a * math.log2(a / b) for q, p, _ in tokens for a, b in zip(q, p)) / len(tokens)


def nll(tokens: Sequence[Token], side: int) -> float:
    """Mean NLL in bits of one side: 0 is the teacher, 1 the student."""
    return sum(-math.log2(token[:2][side][token[2]]) for token in tokens) / len(tokens)


def accuracy(tokens: Sequence[Token], side: int) -> float:
    return sum(_judged(token, side)[1] for token in tokens) / len(tokens)


def ece(tokens: Sequence[Token], side: int, bins: int) -> float:
    """Guo et al. 2017, equation 3."""
    judged = [_judged(token, side) for token in tokens]
    value = 0.0
    for m in range(1, bins + 1):
        inside = [j for j in judged if (m - 1) / bins < j[0] <= m / bins]
        if inside:
            acc = sum(right for _, right in inside) / len(inside)
            conf = sum(confidence for confidence, _ in inside) / len(inside)
            value += len(inside) / len(judged) * abs(acc - conf)
    return value


def _judged(token: Token, side: int) -> tuple[float, bool]:
    p = token[:2][side]
    return max(p), likeliest(p) == token[2]
