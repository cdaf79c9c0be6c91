"""What of a search is not fairseq's: samples that a seed repeats, and the scores of diverse beams.

Both stand in for the part of fairseq's sequence generator that chooses the next tokens, so that
ensembles, neighbours, limits of length and what is forbidden (padding, an empty translation) are
those of its beam search.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from fairseq.search import DiverseBeamSearch, Search
from torch import Tensor

Hypotheses = list[dict[str, Any]]  # as fairseq's generator returns them for a sentence


class Sampler(Search):  # type: ignore[misc]
    """Draws each next token by the model's probability among those that a rule keeps.

    The k likeliest (Fan et al., 2018); the nucleus, the fewest likeliest whose probabilities sum to
    p or more (Holtzman et al., 2020); those of probability ``epsilon`` or more (Hewitt et al.,
    2022). The likeliest is always kept. What fairseq forbids is out before; the probabilities that
    a rule reads, and the scores, are the model's all the same: only the draw is renormalised.

    A sentence's numbers come from ``random.Random("SEED:ROW")``, one a sample and step, so they
    depend neither on its batch nor on where it is decoded.
    """

    def __init__(self, words: Any, seed: int, top_k: int, top_p: float, epsilon: float):
        """Of the dictionary ``words``; ``top_k`` and ``top_p`` of -1 and ``epsilon`` of 0 keep all.

        No more than one of them should be given.
        """
        super().__init__(words)
        self.seed, self.top_k, self.top_p, self.epsilon = seed, top_k, top_p, epsilon
        self.rows: list[int] = []
        self.draws: list[random.Random] = []

    def begin(self, rows: Sequence[int]) -> None:
        """Prepare for a batch of sentences ``rows``."""
        self.rows = list(rows)
        self.draws = [random.Random(f"{self.seed}:{row}") for row in rows]

    def step(
        self,
        step: int,
        lprobs: Tensor,
        scores: Tensor,
        prev_output_tokens: Tensor | None = None,
        original_batch_idxs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See fairseq's ``Search.step``; ``lprobs`` [B, N, V], one candidate [B, N] a sample."""
        places = range(len(lprobs)) if original_batch_idxs is None else original_batch_idxs.tolist()
        samples = range(lprobs.size(1))
        numbers = [[self.draws[place].random() for _ in samples] for place in places]
        uniform = torch.tensor(numbers, dtype=torch.float64, device=lprobs.device)
        tokens = drawn(self.weights(lprobs), uniform)
        found = lprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        if step > 0:
            found = found + scores[:, :, step - 1]
        beams = torch.arange(lprobs.size(1), device=lprobs.device).expand_as(tokens)
        return found, tokens, beams.clone()

    def weights(self, log_p: Tensor) -> Tensor:
        """To what each token's chance is proportional, float64, 0 where it is not kept.

        Args:
            log_p: log-probabilities [..., V], -inf where a token is forbidden.
        """
        log_p = log_p.double()
        best, place = log_p.max(-1, keepdim=True)
        p = log_p.exp()
        kept = torch.ones_like(p, dtype=torch.bool)
        if self.top_k > 0:
            likeliest = log_p.topk(min(self.top_k, log_p.size(-1))).indices
            kept = torch.zeros_like(kept).scatter(-1, likeliest, True)
        elif self.top_p > 0:
            sorted_p, places = p.sort(-1, descending=True)
            before = sorted_p.cumsum(-1) - sorted_p
            kept = torch.zeros_like(kept).scatter(-1, places, before < self.top_p)
        elif self.epsilon > 0:
            kept = p >= self.epsilon
        kept = kept.scatter(-1, place, True)
        return (log_p - best).exp().nan_to_num(0) * kept

    def arranged(self, place: int, best: Hypotheses) -> Hypotheses:
        """A sentence's samples in an order that their scores have no part in, but the seed."""
        draw = random.Random(f"{self.seed}:{self.rows[place]}:order")
        return [best[i] for _, i in sorted((draw.random(), i) for i in range(len(best)))]


def drawn(weights: Tensor, uniform: Tensor) -> Tensor:
    """One index a row by its share of ``weights`` [..., V]; ``uniform`` [...] is in [0, 1)."""
    sums = weights.cumsum(-1)
    found = torch.searchsorted(sums, (uniform * sums[..., -1]).unsqueeze(-1), right=True)
    found = found.clamp(max=weights.size(-1) - 1)
    # a sum that was rounded might point behind the last token that has a weight
    found = torch.where(weights.gather(-1, found) > 0, found, weights.argmax(-1, keepdim=True))
    return found.squeeze(-1)


class DiverseBeams(DiverseBeamSearch):  # type: ignore[misc]
    """fairseq's diverse beam search; the scores that come out are the model's.

    fairseq's are less the penalties by which a group keeps away from the ones before it, and so no
    log-probabilities. The search is fairseq's; the log-probability of each prefix is kept beside.
    """

    def __init__(self, words: Any, groups: int, strength: float, lenpen: float):
        """Of the dictionary ``words``; the numbers are those of fairseq's flags."""
        super().__init__(words, groups, strength)
        self.lenpen = lenpen

    def begin(self, rows: Sequence[int]) -> None:
        """Prepare for a batch."""
        self.log_p: dict[tuple[int, ...], float] = {}  # by place in the batch and tokens

    def step(
        self,
        step: int,
        lprobs: Tensor,
        scores: Tensor,
        prev_output_tokens: Tensor | None = None,
        original_batch_idxs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See fairseq's ``Search.step``."""
        found, tokens, beams = super().step(
            step, lprobs, scores, prev_output_tokens, original_batch_idxs
        )
        assert prev_output_tokens is not None
        assert original_batch_idxs is not None
        B, N, _ = lprobs.shape
        prefixes = prev_output_tokens.view(B, N, -1)[:, :, 1:].tolist()
        places = original_batch_idxs.tolist()
        flat = beams * lprobs.size(-1) + tokens
        chosen = lprobs.reshape(B, -1).gather(1, flat).tolist()
        for place, theirs, *each in zip(places, prefixes, tokens.tolist(), beams.tolist(), chosen):
            for token, beam, log_p in zip(*each):
                before = (place, *theirs[beam])
                after = (*before, token)
                self.log_p[after] = log_p + (self.log_p[before] if step else 0.0)
        return found, tokens, beams

    def arranged(self, place: int, best: Hypotheses) -> Hypotheses:
        """A sentence's hypotheses with the model's scores, best first."""
        told = []
        for hypothesis in best:
            tokens = (place, *hypothesis["tokens"].tolist())
            score = self.log_p[tokens] / (len(tokens) - 1) ** self.lenpen
            told.append({**hypothesis, "score": score})
        return sorted(told, key=lambda hypothesis: -hypothesis["score"])
