"""Datastores, their neighbours, and training from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.files.blocks import manifest_path
from kd_plugin.files.whole import sha256
from kd_plugin.neighbours import retrieval as command
from kd_plugin.neighbours import search as searching
from kd_plugin.neighbours.keys import Keys
from kd_plugin.neighbours.search import Search, build_index, recall
from kd_plugin.stores.store import Store

from ..stored import assert_stores_equal, cache, interrupt
from ..support import TINY, build, distillation

K = 5


def datastore(data: Path, teacher: Path, output: Path, *flags: object) -> Path:
    arguments = ["datastore", data, "--path", teacher, "--output", output, "--cpu", *flags]
    cli.main([str(part) for part in arguments])
    return output


def neighbours(folder: Path, output: Path, *flags: object) -> Path:
    arguments = ["neighbours", folder, "--output", output, "--k", K, *flags]
    cli.main([str(part) for part in arguments])
    return output


@pytest.fixture(scope="module")
def stored(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datastore(data, teacher, tmp_path_factory.mktemp("datastore") / "store")


def tokens_and_keys(folder: Path, subset: str = "train") -> tuple[Any, Any]:
    """All of a datastore, by the manifest alone."""
    path = folder / f"{subset}.xx-yy.shard0-of-1.store"
    fields = json.loads(manifest_path(path).read_text())["settings"]["record"]
    kind = np.dtype([(name, kind, (size,)) for name, kind, size in fields])
    records = np.fromfile(path, kind)
    return records["y"][:, 0].astype(int), records["features0"].astype(np.float64)


def nearest_by_hand(keys: Any, query: Any, k: int, without: int = -1) -> tuple[Any, Any]:
    """Squared distances and numbers of the k nearest, the first of equal ones first."""
    distances = ((keys - query) ** 2).sum(1)
    order = [i for i in np.argsort(distances, kind="stable").tolist() if i != without][:k]
    return distances[order], order


def test_keys_are_the_decoders_states_in_the_order_of_the_corpus(
    data: Path, teacher: Path, stored: Path, tmp_path: Path
) -> None:
    ffn = datastore(data, teacher, tmp_path / "ffn", "--keys", "ffn-input", "--subset", "train")
    setup = build(data, *TINY, *distillation("--criterion", "word_kd", "--teacher-path", teacher))
    setup.task.load_dataset("train")
    pairs, model, start = setup.task.dataset("train"), setup.task.teacher.models[0], 0
    (y, keys), (_, ffn_keys) = tokens_and_keys(stored), tokens_and_keys(ffn)
    read: list[torch.Tensor] = []
    model.decoder.layers[-1].fc1.register_forward_hook(lambda m, i, o: read.append(i[0][:, 0]))
    for row in range(40):
        sample = pairs.collater([pairs[row]])
        states = model(**sample["net_input"], features_only=True)[0][0].detach().numpy()
        stop = start + len(states)
        assert y[start:stop].tolist() == sample["target"][0].tolist()
        np.testing.assert_allclose(keys[start:stop], states, rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(ffn_keys[start:stop], read[-1].detach(), rtol=2e-3, atol=2e-4)
        start = stop


@pytest.mark.parametrize("own", ["keep", "leave-out"])
def test_neighbours_are_the_nearest_keys(stored: Path, tmp_path: Path, own: str) -> None:
    """Tokens and distances of train and valid, against a loop over all keys."""
    output = neighbours(stored, tmp_path, "--own", own, "--dtype", "float32")
    y, keys = tokens_and_keys(stored)
    for subset in ("train", "valid"):
        _, queries = tokens_and_keys(stored, subset)
        store = Store(output, f"{subset}.xx-yy")
        found = np.concatenate([store.read(row) for row in range(len(store))])
        assert len(found) == len(queries)
        for i in range(0, len(queries), 7):
            without = i if own == "leave-out" and subset == "train" else -1
            distances, order = nearest_by_hand(keys, queries[i], K, without)
            np.testing.assert_allclose(
                found["distance"][i], distances - distances[0], rtol=1e-4, atol=1e-4
            )
            assert sorted(found["ids"][i].tolist()) == sorted(y[order].tolist())
            if own == "keep" and subset == "train":
                assert y[i] in found["ids"][i][found["distance"][i] == 0]


def test_shards_of_keys_and_of_neighbours(
    data: Path, teacher: Path, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = tmp_path / "parts"
    for shard in (2, 0, 1):
        flags = ("--subset", "train", "--shard", f"{shard}/3")
        capsys.readouterr()
        datastore(data, teacher, parts, *flags)
        built = "exact, " in capsys.readouterr().out
        assert built == (shard == 1)  # the last one
    for shard in (1, 0):
        neighbours(parts, tmp_path / "two", "--subset", "train", "--shard", f"{shard}/2")
    one = neighbours(stored, tmp_path / "one", "--subset", "train")
    ours, theirs = (Store(folder, "train.xx-yy") for folder in (tmp_path / "two", one))
    for row in range(150):
        np.testing.assert_allclose(
            ours.read(row)["distance"], theirs.read(row)["distance"], rtol=1e-2, atol=1e-2
        )


def test_stopped_neighbours_end_in_the_same_bytes(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = neighbours(stored, tmp_path / "whole", "--block-size", 40)

    def run() -> Path:
        return neighbours(stored, tmp_path / "parts", "--block-size", 40)

    interrupt(monkeypatch, command._Asked, 4, run, tmp_path / "parts")
    assert_stores_equal(run(), whole)


def test_stored_features_serve_as_a_datastore(
    data: Path, teacher: Path, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cache(data, teacher, tmp_path / "store", "--features", "--max-tokens", 99)
    datastore(data, teacher, folder)
    assert capsys.readouterr().out.count("is complete: nothing to do") == 2
    ours = neighbours(folder, tmp_path / "ours", "--dtype", "float32", "--subset", "valid")
    theirs = neighbours(stored, tmp_path / "theirs", "--dtype", "float32", "--subset", "valid")
    for row in range(23):
        found = [Store(s, "valid.xx-yy").read(row)["distance"] for s in (ours, theirs)]
        np.testing.assert_allclose(found[0], found[1], atol=0.02)


# The index


class Made(Keys):
    """Keys in memory; many of them near each other, as states are."""

    def __init__(self, size: int, width: int, seed: int = 0):
        generator = np.random.default_rng(seed)
        centres = 4 * generator.standard_normal((size // 50, width))
        noise = generator.standard_normal((size, width))
        which = generator.integers(len(centres), size=size)
        self.made: NDArray[np.float32] = (centres[which] + noise).astype(np.float32)
        self.width = width

    def __len__(self) -> int:
        return len(self.made)

    def of(self, ids: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.made[ids]
        return found

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        return self.made[start:stop]


def test_exact_search_goes_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Made(700, 13)
    keys.made[501] = keys.made[40]  # equally near: the first comes first
    whole = Search(keys).nearest(keys.made[:90], 7)
    monkeypatch.setattr(searching, "BLOCK", 64)
    monkeypatch.setattr(searching, "CHUNK", 1000)
    parts = Search(keys).nearest(keys.made[:90], 7)
    np.testing.assert_array_equal(whole[1], parts[1])
    for i in range(90):
        distances, order = nearest_by_hand(keys.made.astype(np.float64), keys.made[i], 7)
        assert parts[1][i].tolist() == order
        np.testing.assert_allclose(parts[0][i], distances, rtol=1e-5, atol=1e-5)
    assert parts[1][40].tolist()[:2] == [40, 501]


@pytest.mark.parametrize(("memory", "codes"), [(5000 * 16, "SQ8"), (5000 * 16 - 1, "PQ8x4fsr")])
def test_an_index_finds_nearly_all(
    memory: int, codes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MEMORY", memory)
    assert searching.index_factory(5000, 16).endswith(f",{codes}")
    keys = Made(5000, 16)
    path = tmp_path / "index.faiss"
    build_index(keys, searching.index_factory(5000, 16), path)
    found = Search(keys, path, sha256(path), probes=8, refine=8)
    assert recall(found, keys.made[::50], 10) > 0.95
    distance, ids = found.nearest(keys.made[::50], 10)
    assert (np.diff(distance, axis=1) >= 0).all()
    np.testing.assert_array_equal(ids[:, 0], np.arange(0, 5000, 50))
    again = tmp_path / "again.faiss"
    build_index(keys, searching.index_factory(5000, 16), again)
    assert path.read_bytes() == again.read_bytes()


def test_too_few_keys_in_the_lists_are_searched_exactly(tmp_path: Path) -> None:
    keys = Made(300, 8)
    path = tmp_path / "index.faiss"
    build_index(keys, "IVF20,PQ4x4fs", path)
    found = Search(keys, path, sha256(path), probes=1)
    _, ids = found.nearest(keys.made[:50], 60)
    assert (ids >= 0).all()
    assert all(len(set(row)) == 60 for row in ids.tolist())


def test_recall_is_told(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = datastore(data, teacher, tmp_path / "d", "--index", "IVF4,PQ13x4fs")
    neighbours(folder, tmp_path / "n", "--probes", 1, "--refine", 2)
    printed = capsys.readouterr().out
    assert "of the 5 nearest, 500 tokens" in printed
    assert 0.2 < float(printed.split("recall ")[1].split()[0]) < 1


# Training


def knn_kd(*flags: object) -> list[object]:
    return [*TINY, *distillation("--criterion", "knn_kd", "--label-smoothing", 0.1, *flags)]


@pytest.fixture(scope="module")
def store(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return neighbours(stored, tmp_path_factory.mktemp("neighbours") / "s", "--dtype", "float32")


@pytest.mark.parametrize(("T", "k"), [(100.0, 0), (3.0, 4), (1e-3, 0), (1e6, 0)])
def test_the_loss_is_the_papers(data: Path, stored: Path, store: Path, T: float, k: int) -> None:
    """Against a loop over the neighbours of each token, found by hand."""
    setup = build(data, *knn_kd("--teacher-store", store, "--knn-temperature", T, "--knn-k", k))
    y, keys = tokens_and_keys(stored)
    rows = range(5)
    sample = setup.batch(rows=rows)
    lengths = [len(setup.task.dataset("train")[row]["target"]) for row in rows]
    starts = np.cumsum([0, *lengths])
    kl, nll, smooth, found = 0.0, 0.0, 0.0, 0
    for line, row in enumerate(sample["id"].tolist()):
        log_p = setup.model(**sample["net_input"])[0][line].log_softmax(-1).tolist()
        for position in range(lengths[row]):
            token = int(starts[row]) + position
            distances, order = nearest_by_hand(keys, keys[token], k or K)
            weights = np.exp(-(distances - distances[0]) / T)
            q: dict[int, float] = {}
            for i, weight in zip(order, weights / weights.sum()):
                q[int(y[i])] = q.get(int(y[i]), 0.0) + weight  # equal tokens add up
            kl += sum(p * (np.log(p) - log_p[position][v]) for v, p in q.items() if p > 0)
            gold = int(y[token])
            found += gold in q
            V = len(log_p[position])
            eps = 0.1 / (V - 1)
            nll += -(1 - 0.1 - eps) * log_p[position][gold] - eps * sum(log_p[position])
            smooth += 1
    loss, size, log = setup.criterion(setup.model, sample)
    assert size == smooth
    assert log["kd_loss"].item() == pytest.approx(kl, rel=1e-5)
    assert loss.item() == pytest.approx(nll + kl, rel=1e-5)
    assert int(log["retrieved"]) == found


def test_info_tells_how_much_neighbours_repeat_the_reference(
    data: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["cache", str(data), "--output", str(store), "--info", "--subset", "train"])
    printed = capsys.readouterr().out
    kept, setup = Store(store, "train.xx-yy"), build(data, *TINY, *distillation())
    setup.task.load_dataset("train")
    targets = setup.task.dataset("train").tgt
    sums = np.zeros(3)
    for row in range(len(kept)):
        for record, y in zip(kept.read(row), targets[row].tolist()):
            q: dict[int, float] = {}
            weights = np.exp(-(record["distance"].astype(float) - record["distance"][0]) / 10)
            for token, weight in zip(record["ids"].tolist(), weights / weights.sum()):
                q[token] = q.get(token, 0.0) + weight
            sums += (
                weights[0] / weights.sum(),
                q.get(y, 0.0),
                -sum(p * np.log(p) for p in q.values()),
            )
    nearest, mass, entropy = sums / kept.tokens
    assert (
        f"--knn-temperature 10: {nearest:.3f} of the weight on the nearest, {mass:.3f} on the "
        f"reference's token, entropy {entropy:.3f} nats a token\n"
    ) in printed


def test_info_tells_whether_neighbours_follow_their_teacher_or_its_text(
    data: Path, teacher: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beliefs = tmp_path / "beliefs"
    cache(data, teacher, beliefs, "--subset", "train", "--dtype", "float32")
    info = ["cache", str(data), "--output", str(store), "--info", "--subset", "train"]
    capsys.readouterr()
    cli.main([*info, "--beside", str(beliefs)])
    printed = capsys.readouterr().out
    kept, believed = Store(store, "train.xx-yy"), Store(beliefs, "train.xx-yy")
    setup = build(data, *TINY, *distillation())
    setup.task.load_dataset("train")
    masses, alike = [], 0
    for row, target in enumerate(setup.task.dataset("train").tgt):
        for near, record, y in zip(kept.read(row), believed.read(row), target.tolist()):
            best = int(record["ids"][record["log_q"].argmax()])
            if best != y:
                weights = np.exp(-near["distance"].astype(float) / 10)
                found = [float(weights[near["ids"] == token].sum()) for token in (best, y)]
                own = [float(np.exp(record["log_q"].max())), float(np.exp(record["gold"][0]))]
                by_token = {y: float(weights[near["ids"] == y].sum()) for y in near["ids"].tolist()}
                alike += max(by_token, key=lambda token: (by_token[token], -token)) == best
                masses.append([*own, *(mass / weights.sum() for mass in found)])
    own, own_reference, best_mass, reference = np.mean(masses, 0)
    assert (
        f"at {len(masses) / kept.tokens:.3f} of the tokens the teacher prefers another one to the "
        f"reference's, with {own:.3f} on it and {own_reference:.3f} on the reference's\n"
    ) in printed
    assert (
        f"--knn-temperature 10: there neighbours have {best_mass:.3f} on what the teacher prefers, "
        f"their own likeliest at {alike / len(masses):.3f}, and {reference:.3f} on the "
        "reference's\n"
    ) in printed
    assert min(best_mass, reference) > 0.01
    own_store = [*info[:3], str(beliefs), *info[4:]]
    for wrong, message in (
        ([*info, "--beside", str(store)], "--beside .* holds neighbours; give a store"),
        ([*own_store, "--beside", str(beliefs)], "no neighbours to compare"),
        ([*info[:3], "new", "--path", "T", "--beside", "b"], "compared by --info"),
    ):
        with pytest.raises(SystemExit, match=message):
            cli.main(wrong)


def belief_of(distance: list[float], ids: list[int], T: float) -> list[float]:
    from kd_plugin.teachers.retrieved import NeighbourBelief

    rows = (torch.tensor([ids]), torch.tensor([distance], dtype=torch.float64))
    whole: list[float] = NeighbourBelief(*rows, 7).probabilities(T)[0].tolist()
    return whole


def test_limits_of_the_temperature() -> None:
    nearest = belief_of([0.0, 0.5, 0.5, 2.0], [3, 5, 5, 1], 1e-4)
    assert nearest == [0, 0, 0, 1, 0, 0, 0]
    counts = belief_of([0.0, 0.5, 0.5, 2.0], [3, 5, 5, 1], 1e9)
    assert counts == pytest.approx([0, 0.25, 0, 0.25, 0, 0.5, 0])


def test_fp16_distances_do_not_overflow(stored: Path, tmp_path: Path) -> None:
    keys = Made(100, 13)
    keys.made *= 400
    search = Search(keys)
    queries = Store(stored, "valid.xx-yy")
    settings = {"record": [["ids", "<u2", 90], ["distance", "<f2", 90]]}
    asked = command._Asked(search, queries, settings, 90, own=False)
    asked.keys = keys
    keys.tokens = lambda ids: np.zeros_like(ids)  # type: ignore[method-assign]
    found = asked._of(0, 20)
    assert np.isfinite(found["distance"]).all()
    assert (found["distance"][:, 0] == 0).all()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--knn-k", 9), r"--knn-k 9 asks for more neighbours than the store holds \(5\)"),
        (("--knn-k", -1), "--knn-k -1"),
        (("--knn-temperature", 0), "--knn-temperature 0.0 is out of range"),
        (("--teacher-path", "T.pt"), "--teacher-path T.pt is no store of neighbours"),
    ],
)
def test_flags_that_make_no_sense(
    data: Path, store: Path, flags: tuple[object, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(data, *knn_kd("--teacher-store", store, *flags))


def test_other_stores_are_refused(data: Path, stored: Path, store: Path) -> None:
    with pytest.raises(InputError, match=r"is a store of features, .* reads neighbours"):
        build(data, *knn_kd("--teacher-store", stored))
    with pytest.raises(InputError, match=r"is a store of neighbours, .* reads beliefs or features"):
        build(data, *knn_kd("--teacher-store", store), "--criterion", "word_kd")
    with pytest.raises(InputError, match="needs a teacher"):
        build(data, *knn_kd())


def test_verify_wants_a_store_of_beliefs(data: Path, teacher: Path, store: Path) -> None:
    with pytest.raises(SystemExit, match="is a store of neighbours; --verify compares"):
        cache(data, teacher, store, "--verify")


def test_datastores_that_cannot_be_used(
    data: Path, teacher: Path, second_teacher: Path, stored: Path, tmp_path: Path
) -> None:
    for flags, message in (
        (("--k", 99999), "--k 99999 asks for more neighbours than the datastore has"),
        (("--subset", "test"), "holds none"),
        (("--k", 0), "--k 0 is too small"),
    ):
        with pytest.raises(SystemExit, match=message):
            neighbours(stored, tmp_path / "n", *flags)
    with pytest.raises(SystemExit, match="holds no finished datastore"):
        neighbours(tmp_path, tmp_path / "n")
    with pytest.raises(SystemExit, match="needs teachers whose output is one matrix"):
        datastore(data, second_teacher, tmp_path / "d")
    with pytest.raises(SystemExit, match="has the states of one model; name one"):
        datastore(data, Path(f"{teacher}:{teacher}"), tmp_path / "d")
    with pytest.raises(SystemExit, match="--index IVFx is no index that faiss can make"):
        datastore(data, teacher, tmp_path / "d", "--index", "IVFx")
    folder = datastore(data, teacher, tmp_path / "e", "--index", "IVF4,PQ13x4fs")
    with open(folder / "index.faiss", "ab") as file:
        file.write(b"x")
    with pytest.raises(SystemExit, match="is not the index that was built"):
        neighbours(folder, tmp_path / "n")
    shutil.copytree(stored, tmp_path / "f")
    name = "train.xx-yy.shard0-of-1.store"
    content = bytearray((tmp_path / "f" / name).read_bytes())
    content[4321] ^= 1
    (tmp_path / "f" / name).write_bytes(content)
    with pytest.raises(SystemExit, match="is damaged at sentence"):
        neighbours(tmp_path / "f", tmp_path / "n")
