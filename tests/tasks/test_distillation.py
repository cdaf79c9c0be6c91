"""The task: two targets of a source, a student that decodes by hook, and whose state is whose."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import options
from fairseq.tasks import TASK_DATACLASS_REGISTRY

from kd_plugin.errors import InputError
from kd_plugin.host.decode_hook import require_decode_hook

from .. import support
from ..support import TINY, Setup, build, distillation


def seq_kd(data: Path, *flags: object) -> Setup:
    return build(data, *TINY, *distillation("--criterion", "seq_kd", *flags))


def text_of(data: Path) -> dict[str, list[tuple[str, str]]]:
    folder = data.with_name(data.name + ".text")
    return {
        split: list(
            zip(*((folder / f"{split}.{c}").read_text().splitlines() for c in ("xx", "yy")))
        )
        for split in ("train", "valid")
    }


# Two targets


def test_a_batch_is_the_references_plus_the_teachers_text(data: Path, distilled: Path) -> None:
    both = seq_kd(data, "--distilled-data", distilled)
    rows = [7, 0, 31, 19]
    sample, reference = both.batch(rows=rows), seq_kd(data).batch(rows=rows)
    alone = seq_kd(distilled).batch(rows=rows)
    second = sample.pop("distilled")
    torch.testing.assert_close(sample, reference, rtol=0, atol=0)
    torch.testing.assert_close(second["target"], alone["target"], rtol=0, atol=0)
    shifted = alone["net_input"]["prev_output_tokens"]
    torch.testing.assert_close(second["prev_output_tokens"], shifted, rtol=0, atol=0)
    assert second["ntokens"] == alone["ntokens"]


def test_batching_and_limits_see_the_longer_target(data: Path, distilled: Path) -> None:
    both, one, other = seq_kd(data, "--distilled-data", distilled), seq_kd(data), seq_kd(distilled)
    sizes = []
    for setup in (both, one, other):
        setup.task.load_dataset("train")
        dataset = setup.task.dataset("train")
        sizes.append([dataset.size(row)[1] for row in range(len(dataset))])
    assert sizes[0] == [max(pair) for pair in zip(*sizes[1:])]
    dataset = both.task.dataset("train")
    assert [dataset.num_tokens(i) for i in range(len(dataset))] == [
        max(dataset.size(i)) for i in range(len(dataset))
    ]
    longest = max(sizes[0])
    kept, _ = dataset.filter_indices_by_size(dataset.ordered_indices(), (99, longest - 1))
    assert set(kept) == {row for row, size in enumerate(sizes[0]) if size < longest}


def test_a_subset_without_teacher_text_is_the_reference_alone(
    data: Path, distilled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setup = seq_kd(data, "--distilled-data", distilled)
    with caplog.at_level("INFO"):
        setup.task.load_dataset("test")
    assert "has no test set: it is evaluated on the reference alone" in caplog.text
    assert "distilled" not in setup.batch("test")


def test_a_subset_with_the_references_is_the_reference_alone(
    data: Path, distilled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a folder of fairseq-kd binarise: what is evaluated there is no teacher's text."""
    pairs = {"train": text_of(distilled)["train"], "valid": text_of(data)["valid"]}
    setup = seq_kd(data, "--distilled-data", support.binarise(tmp_path / "bin", pairs, data))
    assert "distilled" in setup.batch("train")
    with caplog.at_level("INFO"):
        sample = setup.batch("valid")
    assert "has the references of valid: it is evaluated on these alone" in caplog.text
    setup.model.eval()
    log = setup.criterion(setup.model, sample)[2]
    assert "kd_loss" not in log
    assert log["nll_loss"] > 0


def refused(data: Path, distilled: Path | str, words: str) -> None:
    setup = seq_kd(data, "--distilled-data", distilled)
    with pytest.raises(InputError, match=words) as caught:
        setup.task.load_dataset("train")
    assert "--distilled-data" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_number_of_sentences(data: Path, tmp_path: Path) -> None:
    pairs = text_of(data)
    pairs["train"].pop()
    refused(
        data,
        support.binarise(tmp_path / "short", pairs, data),
        "has 149 sentences in train and the data has 150; the teacher must translate this corpus",
    )


def test_another_source(data: Path, tmp_path: Path) -> None:
    pairs = text_of(data)
    row = next(i for i, (source, _) in enumerate(pairs["train"]) if i > 20 and " " in source)
    source, target = pairs["train"][row]
    swapped = " ".join(reversed(source.split()))
    assert swapped != source
    pairs["train"][row] = (swapped, target)
    other = support.binarise(tmp_path / "other", pairs, data)
    refused(data, other, f"another source in line {row + 1} of train: '{swapped}' instead of")


def test_another_order_of_sentences(data: Path, tmp_path: Path) -> None:
    pairs = text_of(data)
    pairs["train"] = pairs["train"][1:] + pairs["train"][:1]
    other = support.binarise(tmp_path / "shifted", pairs, data)
    refused(data, other, "another source in line 1 of train")


def test_another_dictionary(data: Path, tmp_path: Path) -> None:
    words = support.reverse_dictionaries(data, tmp_path / "words")
    other = support.binarise(tmp_path / "other", text_of(data), words)
    refused(data, other, "its dictionary of xx is not this run's: entry 4 is")


@pytest.mark.parametrize("folder", ["nowhere", "here:there"])
def test_a_folder_that_is_none(data: Path, folder: str) -> None:
    refused(data, folder, "is no folder; name one|names 2 folder.s. and the data 1")


def test_a_folder_without_a_training_set(data: Path, tmp_path: Path) -> None:
    refused(data, str(tmp_path), "holds no train set of xx-yy; name the folder")


def test_a_data_folder_that_is_none() -> None:
    with pytest.raises(InputError, match="the data folder 'nowhere' does not exist"):
        seq_kd(Path("nowhere"))


# The student


def test_the_hook_encodes_once_and_decodes_as_told(data: Path) -> None:
    setup = seq_kd(data)
    sample, model = setup.batch(), setup.model
    plain = model(**sample["net_input"])[0]
    encoded: list[Any] = []
    model.encoder.register_forward_hook(lambda *_: encoded.append(None))
    tokens = sample["net_input"]["prev_output_tokens"]

    def twice(encoder_out: Any, decoder: Any) -> Any:
        assert encoder_out["encoder_out"][0].shape[1:] == (5, 14)
        return decoder(tokens)[0], decoder(tokens, encoder_out=encoder_out)[0]

    first, second = model(**sample["net_input"], decode=twice)
    assert len(encoded) == 1
    torch.testing.assert_close(first, plain, rtol=0, atol=0)
    torch.testing.assert_close(second, plain, rtol=0, atol=0)


def test_the_hook_leaves_no_trace_in_the_checkpoint(data: Path) -> None:
    ours = seq_kd(data).model
    stock = build(data, *TINY, "--criterion", "cross_entropy").model
    assert type(stock).__name__ == type(ours).__name__
    assert isinstance(ours, type(stock))
    torch.testing.assert_close(ours.state_dict(), stock.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(ours).state_dict(), ours.state_dict())


def test_a_model_without_a_decoder_is_refused_by_who_needs_it() -> None:
    with pytest.raises(
        InputError, match=r"--criterion x decodes .* Linear has no separate encoder"
    ):
        require_decode_hook(torch.nn.Linear(2, 2), "--criterion x")


def test_validation_bleu_is_the_students(data: Path, teacher: Path) -> None:
    command = ["--criterion", "word_kd", "--teacher-path", teacher, "--eval-bleu"]
    setup = build(data, *TINY, *distillation(*command))
    assert setup.task.sequence_generator.model.models[0] is setup.model


def test_a_checkpoint_of_another_dictionary_is_refused(data: Path) -> None:
    task = seq_kd(data).task
    task.load_state_dict(copy.deepcopy(task.state_dict()))
    with pytest.raises(
        InputError, match=r"trained with another dictionary of yy than dict\.yy\.txt"
    ):
        task.load_state_dict({"dictionary_sha256": {"yy": "0"}})


def test_every_flag_reaches_the_parser() -> None:
    """fairseq drops a flag whose name is taken, without a word."""
    parser = options.get_training_parser()
    command = ["data", "--arch", "transformer", *distillation("--criterion", "seq_kd")]
    parsed = options.parse_args_and_arch(parser, input_args=command)
    stock = set(TASK_DATACLASS_REGISTRY["translation"].__dataclass_fields__)
    ours = set(TASK_DATACLASS_REGISTRY["distillation"].__dataclass_fields__) - stock
    ours -= {"cpu", "fp16", "tpu"}  # the host's flags, which the task looks at
    neighbours = {f"knnmt_{name}" for name in ("datastore", "k", "lambda", "temperature")}
    assert ours == {"teacher_path", "teacher_store", "teacher_data", "distilled_data"} | neighbours
    declared = TASK_DATACLASS_REGISTRY["distillation"].__dataclass_fields__
    assert all(getattr(parsed, name) == declared[name].default for name in ours)
