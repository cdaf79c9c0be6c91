r"""Translation with nearest neighbours (Khandelwal et al., 2021).

.. math:: \log p'(v) = \log\big(\lambda\, q(v) + (1 - \lambda)\, p(v)\big), \qquad
    q(v) \propto \sum_{i: v_i = v} \exp(-d_i / T)

with the squared distances d of the k nearest keys of a datastore to the decoder's state, and their
tokens. Each step of the beam search asks for all of its hypotheses at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq.models import FairseqEncoderDecoderModel
from torch import Tensor

from ..errors import InputError
from ..host.paths import absolute
from ..host.probabilities import is_plain_softmax
from ..host.states import capture
from ..teachers.retrieved import NeighbourBelief
from ..teachers.stored import output_matrix, require_dictionaries
from .mixture import Mixture
from .search import open_datastore


def translate_with_neighbours(models: Sequence[Any], task: Any) -> None:
    """Let the model of a translation answer with its neighbours, where the task names a datastore.

    Raises:
        InputError: several models translate, or the datastore is not this model's.
    """
    cfg = task.cfg
    if not cfg.knnmt_datastore:
        return
    if len(models) > 1:
        raise InputError(
            f"--knnmt-datastore {cfg.knnmt_datastore} has the states of one model and "
            f"{len(models)} translate; give one checkpoint"
        )
    mixture = Mixture(cfg.knnmt_k, cfg.knnmt_lambda, cfg.knnmt_temperature)
    NeighbourMemory(cfg.knnmt_datastore, mixture, task).attach(models[0])


class NeighbourMemory:
    """A datastore that a decoder asks at each step."""

    def __init__(self, folder: str, mixture: Mixture, task: Any):
        """Open ``--knnmt-datastore``.

        Raises:
            InputError: it is of other dictionaries, or has fewer than k keys.
        """
        self.mixture = mixture
        self.flag = f"--knnmt-datastore {folder}"
        self.folder = Path(absolute(folder))
        store, self.search = open_datastore(self.folder, "--knnmt-datastore")
        require_dictionaries(store, task, self.flag)
        if mixture.k > len(self.search.keys):
            raise InputError(
                f"--knnmt-k {mixture.k} is more than {self.flag} has keys, "
                f"{len(self.search.keys)}; give at most that"
            )
        self.settings = store.settings

    def attach(self, model: Any) -> None:
        """Let ``model`` answer with the mixture from now on.

        Raises:
            InputError: it is not the model that the datastore was written with.
        """
        if not isinstance(model, FairseqEncoderDecoderModel) or not is_plain_softmax(model):
            raise InputError(f"{self.flag} needs a Transformer with a plain softmax")
        latest, _ = capture(model, self.settings["keys"])
        self._require_same_model(model)
        kind: Any = type(model)
        model.__class__ = _with_neighbours(kind)
        model.neighbour_memory, model.latest_keys = self, latest  # of a step's hypotheses [n, 1, D]

    def _require_same_model(self, model: Any) -> None:
        (recorded,) = self.settings["output"]
        ours = model.decoder.output_projection.weight
        theirs = output_matrix(self.folder, recorded).to(ours)
        if ours.shape != theirs.shape or not torch.equal(ours, theirs):
            raise InputError(
                f"{self.flag} was written with another model than the one that translates; name "
                "the same checkpoint, or write a datastore with this one"
            )

    def mix(self, log_p: Tensor, keys: Tensor) -> Tensor:
        """The mixture's log-probabilities [n, V] from the model's, and the states [n, D]."""
        k, weight, temperature = self.mixture
        if weight == 0:
            return log_p
        distance, ids = self.search.nearest(keys.float().cpu().numpy(), k)
        tokens = torch.from_numpy(self.search.keys.tokens(ids)).to(log_p.device)
        distances = torch.from_numpy(distance).to(log_p.device)
        q = NeighbourBelief(tokens, distances, log_p.size(-1)).probabilities(temperature).to(log_p)
        if weight == 1:
            return q.clamp(min=torch.finfo(q.dtype).tiny).log()
        log_q = q.log() + math.log(weight)  # -inf where nothing was found
        return torch.logaddexp(log_p + math.log1p(-weight), log_q)


@functools.cache
def _with_neighbours(base: Any) -> Any:
    def get_normalized_probs(
        self: Any, net_output: Any, log_probs: bool, sample: Any = None
    ) -> Tensor:
        log_p = base.get_normalized_probs(self, net_output, True, sample)  # [n, T, V]
        last = self.neighbour_memory.mix(log_p[:, -1], self.latest_keys[0][:, -1])
        mixed = torch.cat([log_p[:, :-1], last.unsqueeze(1)], 1)
        return mixed if log_probs else mixed.exp()

    members = {"get_normalized_probs": get_normalized_probs, "__module__": base.__module__}
    return type(base.__name__, (base,), members)
