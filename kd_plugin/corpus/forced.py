"""Teacher forcing: the word that a teacher finds likeliest at every prefix of the reference.

It is text to train on, with a word for each of the reference's, and no translation: each word
follows a prefix of the reference, not the words before it. Where the teacher would end, there is no
word; the end stands behind the last. (Wei et al., 2023, name it among the ways to decode a teacher,
and no more; this reading is ours.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batches import batches
from ..errors import InputError
from ..host.device import moved
from ..teachers.live import LiveTeacher
from .decoding import Search, record
from .records import Record

SLICE = 1 << 22  # probabilities that are held at once


class ForcedDecoder:
    """A teacher as :class:`.decoding.Decoder` is one, that reads the references."""

    def __init__(self, task: Any, teacher: LiveTeacher, search: Search, device: torch.device):
        """Put ``teacher`` on ``device``, in the precision of ``search``."""
        self.words, self.teacher = task.tgt_dict, teacher
        self.search, self.device = search, device
        teacher.to(device, search.dtype)

    def decode(
        self, pairs: Any, rows: Sequence[int], done: Callable[[int, int], None]
    ) -> dict[int, list[Record]]:
        """What the teacher says beside the references of sentences ``rows``; none where no word."""
        found: dict[int, list[Record]] = {}
        sizes = np.maximum(pairs.src_sizes, pairs.tgt_sizes)
        for batch in batches(rows, sizes, self.search.max_tokens):
            ours = self._decode_batch(pairs, batch.tolist())
            done(len(ours), int(pairs.tgt_sizes[batch].sum()))
            found.update(ours)
        return found

    def _decode_batch(self, pairs: Any, rows: Sequence[int]) -> dict[int, list[Record]]:
        sample = pairs.collater([pairs[row] for row in rows])
        ids = sample["id"].tolist()
        lengths = torch.as_tensor(pairs.tgt_sizes[ids])
        real = torch.arange(sample["target"].size(1)) < lengths.unsqueeze(1)  # [B, T]
        sample = moved(sample, self.device)
        log_p, tokens = self._likeliest(sample["net_input"], real.to(self.device))
        parts = (torch.split(each.cpu(), lengths.tolist()) for each in (log_p, tokens))
        return {row: self._record(*of_row) for row, *of_row in zip(ids, *parts)}

    @torch.no_grad()
    def _likeliest(self, net_input: Any, real: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and token [N] of what is likeliest at each real position."""
        targets = self.teacher.targets(net_input, real)
        found = []
        step = max(SLICE // len(self.words), 1)
        for start in range(0, len(targets), step):
            log_q = targets.rows(start, min(start + step, len(targets))).log_q
            log_q[:, self.words.pad()] = -math.inf
            found.append(log_q.max(-1))
        log_p, tokens = (torch.cat(parts) for parts in zip(*found))
        if not log_p.isfinite().all():
            raise InputError(
                "--teacher-forcing: the teacher's probabilities are not finite; leave --fp16 out, "
                "or take another checkpoint"
            )
        return log_p, tokens

    def _record(self, log_p: Tensor, tokens: Tensor) -> list[Record]:
        end = self.words.eos()
        words = [token for token in tokens.tolist() if token != end]
        if not words:
            return []
        return [record(self.words, [*words, end], float(log_p.mean()), cap=len(tokens) + 1)]
