"""The measurements of ``fairseq-kd agreement`` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .table import grid
from .tally import Agreement, Quality, Tally

COLUMNS = ["frequency", "tokens", "agreement", "KL"]
OF_EACH = ["accuracy", "NLL", "ppl", "ECE"]
SOURCES = {
    "train": "the targets of the training set",
    "dictionary": "the dictionary's counts, for want of a training set",
}


def markdown(tally: Tally, names: Sequence[str], bins: int, counted: str) -> str:
    """A row for all tokens and one for each group, and what the numbers are.

    ``counted`` says what frequencies were counted in: ``train`` or ``dictionary``.
    """
    columns = COLUMNS + [f"{name} {letter}" for name in OF_EACH for letter in "TS"]
    rows = [["all", *_cells(tally.total())]]
    for name, found in zip(names, tally.groups()):
        cells = _cells(found) if found else ["0"] + [""] * (len(columns) - 2)
        rows.append([name, *cells])
    half = tally.harder_half()
    share = f"{100 * half.share_of_kl:.0f} %" if half.share_of_kl is not None else "none"
    blocks = [
        grid(columns, rows),
        f"The half of the tokens that S finds harder, its NLL {half.least_nll:.2f} bits or more, "
        f"has {share} of the KL.",
        "T is the teacher and S the student; both read the references. Agreement (the same "
        "likeliest token), accuracy and ECE in per cent; KL(T || S) and NLL in bits a token; ppl "
        f"is 2 ** NLL. ECE: the likeliest token against the reference's, {bins} bins of equal "
        "width (Guo et al. 2017), each row by itself.",
        f"Frequency: how often the reference's token stands in {SOURCES[counted]}.",
    ]
    return "\n\n".join(blocks)


def _cells(found: Agreement) -> list[str]:
    cells = [f"{found.tokens}", f"{100 * found.agreement:.2f}", f"{found.kl:.4f}"]
    for teacher, student in zip(_of_each(found.teacher), _of_each(found.student)):
        cells += [teacher, student]
    return cells


def _of_each(model: Quality) -> list[str]:
    ppl = "inf" if model.perplexity is None else f"{model.perplexity:.2f}"
    return [f"{100 * model.accuracy:.2f}", f"{model.nll:.3f}", ppl, f"{100 * model.ece:.2f}"]
