"""Hugging Face's datasets as training data, in memory and streamed: each epoch, every restart, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from package_testing import QUICK, TINY, TINY_VOCABULARY, needs_module
from torch.utils.data import DataLoader

import galvatron
from galvatron._samples import Samples
from galvatron._specs import spec_of

pytestmark = needs_module

LENGTH, ROWS = 16, 40


def rows() -> datasets.Dataset:
    tokens = np.random.default_rng(0).integers(0, TINY_VOCABULARY, (ROWS, LENGTH))
    return datasets.Dataset.from_dict({"input_ids": tokens, "number": list(range(ROWS))})


def streamed(shards: int = 3) -> datasets.IterableDataset:
    return rows().to_iterable_dataset(num_shards=shards)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """The same rows as lines of a file, which is read when it is asked for."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"input_ids": row["input_ids"]}) + "\n" for row in rows()))
    return path


class Counted:
    """How many rows a map saw."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, row: dict) -> dict:
        self.seen += 1
        return row


def samples_of(data: object) -> Samples:
    samples = Samples(data, spec_of(TINY), shuffle=True, seed=1234).expect(LENGTH)
    assert samples.first_length == LENGTH
    return samples


def tokens_of(samples: Samples, first: int, count: int) -> list[list[int]]:
    return samples.rows("tokens", first, 0, count).tolist()


STREAMS = {
    "plain": streamed,
    "filtered": lambda: streamed().filter(lambda row: row["number"] % 3 != 0),
    "shuffled": lambda: streamed().shuffle(seed=3, buffer_size=8),
    "batched": lambda: streamed().map(lambda batch: batch, batched=True, batch_size=7),
    "taken": lambda: streamed().skip(3).take(30),
    "mixed": lambda: datasets.interleave_datasets([streamed(), streamed(1)], probabilities=[0.7, 0.3], seed=5),
}


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("consumed", [4, 12, 28, 60, 100])
def test_a_stream_goes_on_where_it_was(kind, consumed):
    whole = samples_of(STREAMS[kind]())
    for first in range(0, consumed, 4):
        tokens_of(whole, first, 2)  # what the other ranks read this one passes
    state = whole.state(consumed)
    assert state, "Hugging Face's streams say where they are"
    expected = [tokens_of(whole, first, 4) for first in range(consumed, consumed + 80, 4)]
    again = samples_of(STREAMS[kind]())
    again.fingerprint()  # compared with other ranks' before the first step
    again.go_on_from(consumed, state)
    assert [tokens_of(again, first, 4) for first in range(consumed, consumed + 80, 4)] == expected
    # Saying where it is changes nothing.
    plain = samples_of(STREAMS[kind]())
    assert [tokens_of(plain, first, 4) for first in range(consumed, consumed + 80, 4)] == expected


def test_what_was_read_is_not_read_again(lines):
    def stream(counted: Counted) -> datasets.IterableDataset:
        return datasets.load_dataset("json", data_files=str(lines), split="train", streaming=True).map(counted)

    whole = samples_of(stream(Counted()))
    tokens_of(whole, 28, 4)
    state = whole.state(32)
    counted = Counted()
    again = samples_of(stream(counted))
    first = counted.seen
    again.go_on_from(32, state)
    assert tokens_of(again, 32, 4) == tokens_of(whole, 32, 4)
    assert counted.seen - first <= 8


def test_a_state_of_elsewhere_or_of_others_is_not_used():
    whole = samples_of(streamed())
    tokens_of(whole, 8, 4)
    state = whole.state(12)
    expected = tokens_of(whole, 12, 4)
    other = json.loads(state)
    other["next_sample"] = "0" * 64
    for consumed, wrong in [(12, json.dumps(other)), (8, state), (12, "{"), (12, "{}"), (12, "")]:
        again = samples_of(streamed())
        again.go_on_from(consumed, wrong)
        assert tokens_of(again, 12, 4) == expected


def test_streams_that_draw_at_random_are_read_again():
    def noisy() -> datasets.IterableDataset:
        return streamed().map(lambda row: {"input_ids": np.random.permutation(row["input_ids"]).tolist()})

    whole = samples_of(noisy())
    tokens_of(whole, 4, 4)
    assert whole.state(8) == ""


def test_a_generator_is_not_asked_for_more_than_is_needed():
    samples = samples_of(iter([{"input_ids": torch.arange(LENGTH)}] * 4))
    tokens_of(samples, 0, 4)
    assert samples.state(4) == ""


def test_each_epoch_of_a_stream_is_shuffled_anew():
    samples = samples_of(streamed().shuffle(seed=3, buffer_size=ROWS))
    epochs = [tokens_of(samples, first, ROWS) for first in (0, ROWS)]
    assert epochs[0] != epochs[1] and sorted(epochs[0]) == sorted(epochs[1])


@pytest.mark.parametrize("kind", ["rows", "plain", "shuffled"])
def test_training_goes_on_to_the_bit(kind, tmp_path):
    make = rows if kind == "rows" else STREAMS[kind]
    options = {**QUICK, "steps": 30, "global_batch": 4}
    expected = galvatron.train(TINY, data=make(), **options)["losses"]
    galvatron.train(TINY, data=make(), **options, save=tmp_path / "save", save_interval=17)
    index = json.loads((tmp_path / "save" / "step-000017" / "checkpoint.json").read_text())
    assert ("samples_state" in index) == (kind != "rows")
    rest = galvatron.train(TINY, data=make(), **options, resume=tmp_path / "save" / "step-000017")["losses"]
    assert rest == expected[17:]


class StatefulLoader(DataLoader):
    """torchdata's StatefulDataLoader in one process: epochs in random order, left and taken up between batches."""

    def __init__(self, data: object, batch_size: int) -> None:
        super().__init__(data, batch_size=batch_size)
        self._yielded, self._order, self._resumed = 0, torch.empty(0), False

    def state_dict(self) -> dict:
        return {"yielded": self._yielded, "order": self._order.clone()}

    def load_state_dict(self, state: dict) -> None:
        self._yielded, self._order, self._resumed = state["yielded"], state["order"], True

    def __iter__(self):
        torch.empty((), dtype=torch.int64).random_()  # as every DataLoader does, for its workers
        if not self._resumed:
            self._yielded, self._order = 0, torch.randperm(len(self.dataset))
        self._resumed = False
        return self._batches()

    def _batches(self):
        while (first := self._yielded * self.batch_size) < len(self._order):
            self._yielded += 1
            yield self.collate_fn([self.dataset[int(i)] for i in self._order[first : first + self.batch_size]])


class NoisyRows:
    """Reads are counted, and each draws."""

    def __init__(self) -> None:
        self.rows, self.seen = rows()["input_ids"], 0

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, place: int) -> dict:
        self.seen += 1
        return {"input_ids": torch.tensor(self.rows[place])[torch.randperm(LENGTH)]}


@pytest.mark.parametrize("consumed", [4, 32, 60, 100])
def test_a_loader_that_keeps_its_place_goes_on_there(consumed):
    whole = samples_of(StatefulLoader(NoisyRows(), 4))
    for first in range(0, consumed, 4):
        tokens_of(whole, first, 2)
    state = whole.state(consumed)
    assert state, "loaders with a state say where they are"
    expected = [tokens_of(whole, first, 4) for first in range(consumed, consumed + 80, 4)]
    data = NoisyRows()
    again = samples_of(StatefulLoader(data, 4))
    again.fingerprint()
    again.go_on_from(consumed, state)
    before = data.seen
    assert tokens_of(again, consumed, 4) == expected[0] and data.seen - before == 4
    assert [tokens_of(again, first, 4) for first in range(consumed, consumed + 80, 4)] == expected
    # Neither saying where it is nor a state that cannot be used changes a sample.
    for wrong in ("", state.replace(json.loads(state)["next_sample"], "0" * 64), state[:40]):
        plain = samples_of(StatefulLoader(NoisyRows(), 4))
        plain.go_on_from(consumed, wrong)
        assert [tokens_of(plain, first, 4) for first in range(consumed, consumed + 80, 4)] == expected


def test_a_loader_within_a_batch_or_behind_an_epoch_is_read_again():
    for consumed in (6, ROWS):
        whole = samples_of(StatefulLoader(NoisyRows(), 4))
        tokens_of(whole, consumed - 2, 2)
        assert whole.state(consumed) == ""
