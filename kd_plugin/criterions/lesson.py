"""What a student learns from one reading: the loss of its tokens, and what is logged.

Shapes: N real (non-padding) tokens, n of them in one slice, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..host.probabilities import likeliest
from ..ops import Equation, SmoothedNLL, Term
from ..teachers import AllRows
from .logs import add
from .reading import Reading

Weight = float | Tensor | None  # of all tokens, or of each [N]


def learn(
    method: Any,
    reading: Reading,
    log: dict[str, Any],
    a: Weight = None,
    b: Weight = None,
    q: AllRows | None = None,
    suffix: str = "",
) -> tuple[Tensor, Tensor]:
    """The loss of a reading: of each token [N], or its sum [1] where it is fused.

    Args:
        method: the criterion, whose equation it is.
        reading: what the student makes of a text.
        log: is added to.
        a: the weight of the gold term, or of each token's [N]; None leaves it out.
        b: the same of the distillation term.
        q: what the teacher believes about the reading.
        suffix: of the names under which a later reading is logged.

    Returns:
        the loss, and the values of the last term, not weighted, without gradient [N].
    """

    def terms(log_p: Tensor, start: int, stop: int) -> list[tuple[Tensor, Term]]:
        y, rows = reading.y[start:stop], slice(start, stop)
        found: list[tuple[Tensor, Term]] = []
        if not suffix:
            add(log, "nll_loss", SmoothedNLL(y).value(log_p.detach()))
        if a is not None:
            found.append((gold[rows], method.smoothed_nll(y)))
        believed = q.rows(start, stop) if q is not None else None
        if believed is not None:
            add(log, f"agreement{suffix}", believed.best().eq(likeliest(log_p)))
            if not suffix:
                method.log_teacher(believed, y, log)
        if b is not None:
            found.append((taught[rows], _term(method, reading, believed, y)))
        return found

    ones = torch.ones(len(reading.y), dtype=reading.output.dtype, device=reading.y.device)
    gold, taught = (ones * (0 if weight is None else weight) for weight in (a, b))
    loss, values = reading.output.loss(terms)
    if not suffix:
        log["nll_ntokens"] = len(reading.y)
    return loss, values[-1]


def _term(method: Any, reading: Reading, q: Any, y: Tensor) -> Term:
    """The method's equation for some tokens."""
    if not method.by_autograd:
        return method.by_hand(q, y)  # type: ignore[no-any-return]

    def equation(log_p: Tensor) -> Tensor:
        logits = reading.output.logits
        kd: Tensor = method.token_loss(log_p if logits is None else logits, q, y)
        if kd.shape != y.shape:
            raise ValueError(
                f"{type(method).__name__}.token_loss returned {list(kd.shape)} and must "
                f"return one number for each token, {list(y.shape)}"
            )
        return kd

    return Equation(equation)
