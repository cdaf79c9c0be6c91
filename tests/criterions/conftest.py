"""fairseq's attention rounds its weights to float32, whatever the model; tests need better."""

from __future__ import annotations

import fairseq.utils
import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def exact_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    def softmax(x: Tensor, dim: int, onnx_trace: bool = False) -> Tensor:
        return torch.softmax(x, dim, dtype=torch.promote_types(x.dtype, torch.float32))

    monkeypatch.setattr(fairseq.utils, "softmax", softmax)
