"""Our errors are one line, wherever they were raised."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader, Dataset

from kd_plugin.errors import InputError

MESSAGE = "--flag 3 is wrong: it has a colon; give 4"


class Refuses(Dataset[int]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        raise InputError(MESSAGE)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loaders_worker_adds_nothing(workers: int) -> None:
    with pytest.raises(InputError) as refused:
        list(DataLoader(Refuses(), num_workers=workers))
    assert str(refused.value) == MESSAGE
