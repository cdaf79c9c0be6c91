"""The gated feed-forward against values by hand, loops, differences, and a plain one's size."""

from __future__ import annotations

import math
from argparse import Namespace
from typing import Any

import pytest
import torch
from fairseq.models.transformer import TransformerConfig, base_architecture
from fairseq.modules.transformer_layer import (
    TransformerDecoderLayerBase,
    TransformerEncoderLayerBase,
)
from torch import Tensor, nn

from kd_plugin.models.gating import GatedLinear, gated_width
from kd_plugin.models.transformer_glu import GatedDecoderLayer, GatedEncoderLayer

from ..oracle import gated_feed_forward


def gated_linear(features: int, width: int) -> GatedLinear:
    value, gate = nn.Linear(features, width), nn.Linear(features, width, bias=False)
    layer = GatedLinear(value, gate, width).double()
    nn.init.normal_(layer.channel_logits)
    return layer


def test_a_value_by_hand() -> None:
    layer = GatedLinear(nn.Linear(1, 2), nn.Linear(1, 2, bias=False), 2).double()
    weights = {
        "value.weight": [[2.0], [1.0]],
        "value.bias": [1.0, -1.0],
        "gate.weight": [[0.0], [math.log(3) / 3]],
        "channel_logits": [0.0, math.log(4)],
    }
    layer.load_state_dict(
        {name: torch.tensor(w, dtype=torch.float64) for name, w in weights.items()}
    )
    h = layer(torch.tensor([[3.0]], dtype=torch.float64))
    expected = [[0.5 * (2 * 3 + 1) * 0.5, 0.8 * (3 - 1) * 0.75]]
    torch.testing.assert_close(h, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert layer.effective_width() == pytest.approx(0.5 + 0.8, abs=1e-12)


def test_the_equation_as_loops() -> None:
    torch.manual_seed(0)
    layer = gated_linear(7, 13)
    second: Any = nn.Linear(13, 7, dtype=torch.float64)
    x = torch.randn(3, 5, 7, dtype=torch.float64)
    parameters: list[Any] = [
        layer.channel_logits, layer.value.weight, layer.value.bias, layer.gate.weight,
        second.weight, second.bias,
    ]  # fmt: skip
    weights = [parameter.tolist() for parameter in parameters]
    expected = [gated_feed_forward(row, *weights) for row in x.reshape(-1, 7).tolist()]
    ours = second(layer(x)).reshape(-1, 7)
    theirs = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_gradients() -> None:
    torch.manual_seed(1)
    layer = gated_linear(3, 7)
    names = [name for name, _ in layer.named_parameters()]

    def call(x: Tensor, *weights: Tensor) -> Tensor:
        h: Tensor = torch.func.functional_call(layer, dict(zip(names, weights)), (x,))
        return h

    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(call, (x, *layer.parameters()))


def test_half_precision_costs_no_more_than_its_rounding() -> None:
    """Three factors and a sum of 7 terms, each rounded to 11 bits."""
    torch.manual_seed(2)
    layer = gated_linear(7, 13).half()
    x = torch.randn(5, 7, dtype=torch.float16)
    half = layer(x)
    assert half.dtype == torch.float16
    exact = layer.double()(x.double())
    torch.testing.assert_close(half.double(), exact, rtol=2e-3, atol=2e-3)


def test_gates_start_nearly_open() -> None:
    layer = GatedLinear(nn.Linear(3, 100), nn.Linear(3, 100, bias=False), 100)
    assert layer.effective_width() == pytest.approx(98.2, abs=0.01)


@pytest.mark.parametrize("plain", [1, 2, 3, 4, 5, 22, 1000, 2048])
def test_the_width_is_two_thirds(plain: int) -> None:
    assert abs(gated_width(plain) - 2 * plain / 3) <= 1 / 3 + 1e-9


@pytest.mark.parametrize(("d", "f"), [(34, 130), (66, 68), (66, 257), (126, 509), (510, 2047)])
@pytest.mark.parametrize(
    ("plain", "gated"),
    [
        (TransformerEncoderLayerBase, GatedEncoderLayer),
        (TransformerDecoderLayerBase, GatedDecoderLayer),
    ],
)
def test_the_feed_forward_costs_what_a_plain_one_costs(
    plain: Any, gated: Any, d: int, f: int
) -> None:
    args = Namespace(encoder_embed_dim=d, encoder_ffn_embed_dim=f, encoder_attention_heads=2)
    args.decoder_attention_heads = 2
    base_architecture(args)
    cfg = TransformerConfig.from_namespace(args)

    def cost(kind: Any) -> int:
        layer = kind(cfg)
        return sum(p.numel() for part in (layer.fc1, layer.fc2) for p in part.parameters())

    assert abs(cost(gated) / cost(plain) - 1) <= min(0.01, 1 / (2 * f) + 1 / (6 * d))
