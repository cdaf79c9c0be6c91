"""The papers' equations as plain loops in float64, one token and one word at a time.

Written from the papers; nothing of the package is used. Every function returns the value and the
derivative of that value by each of the student's logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = list[float]
Term = tuple[float, Row]


def softmax(logits: Sequence[float], temperature: float = 1.0) -> Row:
    """Probabilities of logits at a temperature."""
    highest = max(logits)
    weights = [math.exp((z - highest) / temperature) for z in logits]
    return [w / sum(weights) for w in weights]


def smoothed_nll(logits: Row, gold: int, epsilon: float) -> Term:
    """Cross-entropy with (1 - epsilon) on the gold token and epsilon shared by the V - 1 others."""
    p, size = softmax(logits), len(logits)
    target = [epsilon / (size - 1)] * size
    target[gold] = 1 - epsilon
    value = -sum(t * math.log(p[v]) for v, t in enumerate(target))
    return value, [p[v] - target[v] for v in range(size)]


def mean_teacher(members: Sequence[Row], temperature: float) -> Row:
    """Probabilities of an ensemble: the members' mean, then the temperature."""
    each = [softmax(member) for member in members]
    mean = [sum(p[v] for p in each) / len(each) for v in range(len(each[0]))]
    return softmax([math.log(m) for m in mean], temperature)


def word_kd(
    logits: Row,
    members: Sequence[Row],
    gold: int,
    temperature: float = 1.0,
    target: str = "full",
    k: int = 0,
) -> Term:
    """T^2 sum q (log q - log p) over the entries of the teacher that the target keeps."""
    p, q = softmax(logits, temperature), mean_teacher(members, temperature)
    ranking = sorted(range(len(q)), key=lambda v: -q[v])
    kept = dict(enumerate(q))
    if target == "top1":
        kept = {ranking[0]: q[ranking[0]]}
    elif target == "top-k":
        kept = {v: q[v] for v in ranking[:k]}
    elif target == "no-top1" and ranking[0] != gold:
        kept[gold] += kept.pop(ranking[0])
    value = sum(mass * (math.log(mass) - math.log(p[v])) for v, mass in kept.items())
    mass = sum(kept.values())
    slope = [temperature * (p[v] * mass - kept.get(v, 0.0)) for v in range(len(q))]
    return temperature**2 * value, slope


def total(terms: Sequence[tuple[float, Term]]) -> Term:
    """A weighted sum of terms at one position."""
    size = len(terms[0][1][1])
    value = sum(weight * term[0] for weight, term in terms)
    return value, [sum(weight * term[1][v] for weight, term in terms) for v in range(size)]


def through_softmax(p: Row, by_p: Row) -> Row:
    """Derivatives by logits from derivatives by their probabilities ``p``."""
    mean = sum(p[v] * by_p[v] for v in range(len(p)))
    return [p[v] * (by_p[v] - mean) for v in range(len(p))]


def ranking(logits: Row, members: Sequence[Row], k: int) -> Term:
    """Zhang et al. 2023: the teacher's first above its top k; its order among both top k."""
    p, q = softmax(logits), mean_teacher(members, 1.0)
    size = len(p)
    top_q = sorted(range(size), key=lambda v: -q[v])[:k]
    top_p = sorted(range(size), key=lambda v: -p[v])[:k]
    pairs = [(top_q[0], u) for u in top_q]
    pairs += [(u, w) for u in top_q for w in top_p if q[u] > q[w]]
    value, by_p = 0.0, [0.0] * size
    for better, worse in pairs:
        if p[worse] > p[better]:
            value += p[worse] - p[better]
            by_p[worse] += 1
            by_p[better] -= 1
    return value, through_softmax(p, by_p)


def regression(
    logits: Row, teacher_logits: Row, phi: float, centred: bool = True, mean: bool = True
) -> Term:
    """Jafari et al. 2021: squared distance of logits to phi times the teacher's."""
    size = len(logits)
    middle = (sum(logits) / size, sum(teacher_logits) / size) if centred else (0.0, 0.0)
    errors = [(z - middle[0]) - phi * (t - middle[1]) for z, t in zip(logits, teacher_logits)]
    scale = 1 / size if mean else 1.0
    slope = [2 * scale * e for e in errors]
    if centred:
        slope = [s - sum(slope) / size for s in slope]
    return scale * sum(e * e for e in errors), slope


def entropy(p: Row) -> float:
    """In nats."""
    return -sum(x * math.log(x) for x in p if x > 0)


def gated_feed_forward(
    x: Row,
    channel_logits: Row,
    value: Sequence[Row],
    bias: Row,
    gate: Sequence[Row],
    second: Sequence[Row],
    second_bias: Row,
) -> Row:
    """W_2 (sigmoid(s) * (W_1 x + b_1) * sigmoid(V x)) + b_2 of one position."""

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    hidden = []
    for j, s in enumerate(channel_logits):
        linear = bias[j] + sum(w * xi for w, xi in zip(value[j], x))
        opened = sigmoid(sum(w * xi for w, xi in zip(gate[j], x)))
        hidden.append(sigmoid(s) * linear * opened)
    return [b + sum(w * h for w, h in zip(row, hidden)) for row, b in zip(second, second_bias)]
