"""Training samples from Python: any DataLoader, Dataset or iterable as an endless row of samples.

Every rank reads the same row and asks for its own rectangles of each batch. What it asks for only grows, so what was
consumed is dropped.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from galvatron._inputs import (
    IGNORED_LABEL,
    IMAGE_CLASSES,
    KINDS,
    NEXT_TOKEN,
    SEQUENCE_TO_SEQUENCE,
    InputReader,
    documents_of,
    named_batch,
)
from galvatron._randomness import Randomness
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from galvatron._planner import ModelSpec

Sample = dict[str, Tensor]  # by input name, without the batch dimension

ENDLESS = 1 << 40  # samples per epoch of what does not know its length
COMPARED_SAMPLES = 4
_SAID_BY_NAME = {"positions": "position_ids", "token_types": "token_type_ids"}


class Rows(Protocol):
    """An endless row of samples by number; epochs follow one another."""

    size: int

    def read(self, numbers: Sequence[int], keep_from: int) -> dict[int, Sample]:
        """At least these, ascending; of those passed on the way, the ones from `keep_from` on too."""


class MapRows:
    """Of a dataset with len() and []: only what is asked for is read."""

    def __init__(self, data: Any, names: Sequence[str], shuffle: bool, seed: int) -> None:
        self.size = len(data)
        self._data = data
        self._names = names
        self._shuffle = shuffle
        self._seed = seed
        self._order: tuple[int, Tensor] | None = None
        if self.size == 0:
            raise ConfigError("[data] the dataset is empty")

    def read(self, numbers: Sequence[int], keep_from: int) -> dict[int, Sample]:
        places = [self._place(number) for number in numbers]
        many = getattr(self._data, "__getitems__", None)
        items = many(places) if many else [self._data[place] for place in places]
        return {n: named_batch(item, self._names, learns=True) for n, item in zip(numbers, items, strict=True)}

    def _place(self, number: int) -> int:
        epoch, place = divmod(number, self.size)
        if not self._shuffle:
            return place
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self._seed + epoch)
            self._order = (epoch, torch.randperm(self.size, generator=generator))
        return int(self._order[1][place])


class StreamRows:
    """Of an iterable of batches (a DataLoader) or of samples, started anew for each epoch.

    What shuffles by epoch (Hugging Face's set_epoch) is told which one it is. A stream or a loader that can say where
    it is (state_dict, as torchdata's StatefulDataLoader) goes on from there; others are read from the start once more.
    """

    def __init__(self, data: Any, names: Sequence[str], seed: int) -> None:
        self._data = data
        self._names = names
        self._is_loader = _is_loader(data)
        self._batched = self._is_loader and data.batch_sampler is not None
        says_where = all(hasattr(data, name) for name in ("state_dict", "load_state_dict"))
        self._has_state = says_where and (self._is_loader or hasattr(data, "set_epoch"))
        # A loader that is asked for its state makes its workers, and each iter() of it is a new start.
        self._at_start = self._data.state_dict() if self._has_state and not self._is_loader else None
        self._seed = seed
        self._known: _StreamPlace | None = None
        self.size = _samples_of_epoch(data)
        self._restart()

    def read(self, numbers: Sequence[int], keep_from: int) -> dict[int, Sample]:
        out: dict[int, Sample] = {}
        if self._known and self._next < self._known.number <= keep_from:
            self._jump(self._known, out)
        if numbers[0] < self._next and numbers[0] not in out:
            self._restart()
        while self._next <= numbers[-1]:
            for sample in self._next_samples():
                if self._next >= keep_from:
                    out[self._next] = sample
                self._next += 1
        return out

    def place(self, number: int) -> _StreamPlace | None:
        """Where sample `number` begins, where the stream can say it; what lies before is passed."""
        if not self._has_state or self._next > number:
            return None
        if self._next < number:
            self.read([number - 1], number)
        if self._is_loader:
            return self._place_of_loader(number)
        try:
            state = json.dumps(self._data.state_dict())
        except (TypeError, ValueError):
            return None
        # Code that draws at random would draw something else.
        return _StreamPlace(number, self._epoch, state, "") if self._randomness.is_untouched() else None

    def _place_of_loader(self, number: int) -> _StreamPlace | None:
        """Between two batches of an epoch."""
        if self._next != number or number % self.size == 0:
            return None
        try:
            return _StreamPlace(number, self._epoch, _packed((self._data.state_dict(), self._randomness.state)), "")
        except (TypeError, ValueError, AttributeError, RuntimeError, pickle.PickleError):
            return None

    def begin_at(self, place: _StreamPlace) -> None:
        """To be used when samples from there on are asked for. It is checked then."""
        if self._has_state:
            self._known = place

    def _restart(self) -> None:
        self._next = 0
        self._epoch = -1
        self._iterator: Iterator[Any] = iter(())
        self._randomness = Randomness(self._seed)

    def _jump(self, place: _StreamPlace, out: dict[int, Sample]) -> None:
        """Not where the first sample behind it is another one: a shuffle's buffer is not a part of a stream's state."""
        self._known = None
        self._restart()
        try:
            samples = self._samples_at(place)
        except (TypeError, ValueError, KeyError, RuntimeError, pickle.PickleError) as error:
            if not self._is_loader:
                raise
            warnings.warn(f"the data do not take their own state, and are read from the start: {error}", stacklevel=2)
            samples = []
        if samples and digest_of(samples[0]) == place.next_sample:
            for sample in samples:
                out[self._next] = sample
                self._next += 1
            return
        if not self._is_loader:
            self._data.load_state_dict(self._at_start)
        self._restart()

    def _samples_at(self, place: _StreamPlace) -> list[Sample]:
        """The first batch, or sample, from there on."""
        if self._is_loader:
            state, randomness = _unpacked(place.state)
        else:
            state, randomness = json.loads(place.state), None
        self._data.load_state_dict(state)
        self._next, self._epoch = place.number, place.epoch - 1
        with self._randomness:
            self._begin_epoch()
        if randomness is not None:
            self._randomness.state = randomness  # what iter() draws was drawn before
        return self._next_samples()

    def _begin_epoch(self) -> None:
        self._epoch += 1
        for one in (self._data, getattr(self._data, "dataset", None)):
            set_epoch = getattr(one, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(self._epoch)
        self._iterator = iter(self._data)

    def _next_samples(self) -> list[Sample]:
        with self._randomness:
            item = next(self._iterator, None)
            if item is None:
                self._begin_epoch()
                item = next(self._iterator, None)
        if item is None:
            raise ConfigError(f"[data] the data yields nothing in epoch {self._epoch}; an iterator is read only once")
        named = named_batch(item, self._names, learns=True)
        if not self._batched:
            return [named]
        return [{key: value[i] for key, value in named.items()} for i in range(len(next(iter(named.values()))))]


@dataclass(frozen=True)
class _StreamPlace:
    """Between two samples of a stream."""

    number: int  # of the sample behind it
    epoch: int
    state: str  # of the stream, as JSON; of a loader with that of Randomness, _packed()
    next_sample: str  # digest of the sample behind it


class Samples:
    """What the C++ side asks for (python_samples.h)."""

    def __init__(self, data: Any, spec: ModelSpec, *, shuffle: bool, seed: int) -> None:
        self._reader = InputReader(spec)
        self._spec = spec
        self._rows = _rows(data, self._reader.names, shuffle, seed)
        self._kept: dict[int, Sample] = {}
        self._sample: Sample | None = None  # the first of all
        self._consumed = 0
        self._seq_length = 0
        self.size = self._rows.size

    @property
    def first_length(self) -> int:
        """Tokens of the first sample; 0 where samples are images."""
        sample = self._first()
        first = self._reader.names[0]
        if first not in sample:
            raise ConfigError(f"[data] samples have no '{first}'; they have {', '.join(sample) or 'nothing we know'}")
        if sample[first].ndim == 0:
            raise ConfigError(
                f"[data] {first} of a sample is one number, {sample[first].item()}; a sample is a row of them"
            )
        return len(sample[first]) if first == "input_ids" else 0

    def expect(self, seq_length: int) -> Samples:
        """Every sample must have this many tokens."""
        self._seq_length = seq_length
        return self

    def rows(self, kind: str, consumed: int, begin: int, count: int) -> Tensor:
        """Input `kind` of `count` samples from number consumed + begin on; `consumed` never goes back but to start."""
        self._drop(consumed)
        if count == 0:
            return self._batch(consumed, 1)[kind][:0]
        return self._batch(consumed + begin, count)[kind]

    def says(self, kind: str) -> bool:
        """Do samples come with this, which no layer needs (_inputs.py)?"""
        if self._reader.task == IMAGE_CLASSES:
            return False
        if kind in _SAID_BY_NAME:
            return _SAID_BY_NAME[kind] in self._reader.names and _SAID_BY_NAME[kind] in self._first()
        # What is padded behind a text that sees only what was before needs no mask.
        return kind in self._documents and (self._are_masked() or self._reader.task != NEXT_TOKEN)

    @property
    def _documents(self) -> list[str]:
        return ["documents", "target_documents"] if self._reader.task == SEQUENCE_TO_SEQUENCE else ["documents"]

    def num_labels(self, consumed: int, count: int) -> float:
        """Labels that count in the `count` samples after `consumed`."""
        self._drop(consumed)
        if self._labels_are_tokens():  # no need to read what other ranks read
            return float(count * (self._seq_length - 1))
        batch = self._batch(consumed, count)
        labels = batch.get("labels", batch.get("classes"))
        assert labels is not None
        return float((labels != IGNORED_LABEL).sum())

    def state(self, consumed: int) -> str:
        """Where the samples behind the first `consumed` are, for go_on_from(); "" where they are found without."""
        place = self._rows.place(consumed) if isinstance(self._rows, StreamRows) else None
        if place is None:
            return ""
        self._kept.update(self._rows.read([consumed], consumed))
        return json.dumps(asdict(replace(place, next_sample=digest_of(self._kept[consumed]))))

    def go_on_from(self, consumed: int, state: str) -> None:
        """What state() said of so many samples. The samples are the same without it."""
        if not state or not isinstance(self._rows, StreamRows):
            return
        try:
            place = _StreamPlace(**json.loads(state))
        except (TypeError, ValueError):
            return
        if place.number == consumed:
            self._rows.begin_at(place)

    def fingerprint(self) -> str:
        return digest_of(self._batch(0, min(COMPARED_SAMPLES, self.size)))

    def _labels_are_tokens(self) -> bool:
        return self._reader.task == NEXT_TOKEN and "labels" not in self._first() and not self._are_masked()

    def _are_masked(self) -> bool:
        return not {"attention_mask", "position_ids"}.isdisjoint(self._first())

    def _first(self) -> Sample:
        if self._sample is None:
            self._sample = self._raw(0, 1)[0]
        return self._sample

    def _drop(self, consumed: int) -> None:
        self._consumed = consumed
        for number in [n for n in self._kept if n < consumed]:
            del self._kept[number]

    def _raw(self, first: int, count: int) -> list[Sample]:
        numbers = range(first, first + count)
        missing = [n for n in numbers if n not in self._kept]
        if missing:
            self._kept.update(self._rows.read(missing, self._consumed))
        return [self._kept[n] for n in numbers]

    def _batch(self, first: int, count: int) -> dict[str, Tensor]:
        samples = [self._fitted(first + i, sample) for i, sample in enumerate(self._raw(first, count))]
        try:
            batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
        except (RuntimeError, KeyError) as error:
            raise ConfigError(f"[data] samples {first} to {first + count - 1} are not alike: {error}") from None
        out = self._reader.read(batch)
        if "images" in out:
            out["images"] = out["images"].float()
        for kind, tokens in (("documents", "tokens"), ("target_documents", "target_tokens")):
            if tokens in out and self.says(kind):
                out.setdefault(kind, torch.ones_like(out[tokens]))
        return out

    def _fitted(self, number: int, sample: Sample) -> Sample:
        """With labels, and padded to the length that every sample has."""
        out = dict(sample)
        task, length = self._reader.task, self._seq_length
        if self._reader.names[0] not in out:
            raise self._missing(self._reader.names[0], number, sample)
        if task == NEXT_TOKEN:
            if "position_ids" in out and "attention_mask" not in out:
                out["attention_mask"] = documents_of(out["position_ids"])
            out.setdefault("labels", out["input_ids"])  # the reader knows which count
        if "labels" not in out:
            raise self._missing("labels", number, sample)
        if task == IMAGE_CLASSES:
            return out
        self._check_length(number, sample)
        if task != SEQUENCE_TO_SEQUENCE:
            _check_labels(number, out)
        lengths = dict.fromkeys(KINDS, length)
        if task == SEQUENCE_TO_SEQUENCE:
            target = self._spec.target_length(length)
            lengths |= {"labels": target, "decoder_input_ids": target, "decoder_attention_mask": target}
        if self.says("documents"):
            out.setdefault("attention_mask", torch.ones_like(out["input_ids"]))
        fillings = {"input_ids": self._reader.pad_token, "decoder_input_ids": self._reader.pad_token}
        fillings["labels"] = IGNORED_LABEL
        return {
            name: _padded(value, lengths[name], fillings.get(name, 0), number) if name in lengths else value
            for name, value in out.items()
        }

    def _missing(self, name: str, number: int, sample: Sample) -> ConfigError:
        return ConfigError(f"[data] sample {number} has no '{name}'; it has {', '.join(sample) or 'nothing'}")

    def _check_length(self, number: int, sample: Sample) -> None:
        """What is shorter is padded, where it is known what then is to be learned."""
        tokens = len(sample["input_ids"])
        if tokens > self._seq_length:
            raise ConfigError(
                f"[data] sample {number} has {tokens} tokens, more than the seq_length of {self._seq_length}: give a "
                "larger one (without one it is the length of the first sample), or cut samples to it"
            )
        if tokens < self._seq_length and self._labels_are_tokens():
            raise ConfigError(
                f"[data] sample {number} has {tokens} tokens, the others {self._seq_length}: give samples of different "
                "lengths an attention_mask, as tokenizers do, or labels"
            )


def _check_labels(number: int, sample: Sample) -> None:
    labels, tokens = sample["labels"], sample["input_ids"]
    if labels.ndim == 0:
        raise ConfigError(
            f"[data] labels of sample {number} is one number, {labels.item()}; a text has one for each token"
        )
    if len(labels) != len(tokens):
        raise ConfigError(
            f"[data] sample {number} has {len(labels)} labels and {len(tokens)} input_ids; there is one for each token"
        )


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _is_loader(data: Any) -> bool:
    """Also torchdata's, which in some versions is no DataLoader."""
    return isinstance(data, DataLoader) or (hasattr(data, "batch_sampler") and hasattr(data, "dataset"))


def _packed(state: Any) -> str:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    packed = base64.b85encode(buffer.getvalue()).decode()
    _unpacked(packed)  # what only code could read is not kept
    return packed


def _unpacked(text: str) -> Any:
    return torch.load(io.BytesIO(base64.b85decode(text)), weights_only=True)


def _samples_of_epoch(data: Any) -> int:
    """That an iterable of them, or a DataLoader, yields; ENDLESS where it does not say."""
    sampler, batch_size = data, 1
    if _is_loader(data):
        sampler = data.sampler
        if data.batch_sampler is not None:
            sampler = getattr(data.batch_sampler, "sampler", data.dataset)
            if getattr(data.batch_sampler, "drop_last", False):
                batch_size = getattr(data.batch_sampler, "batch_size", 1)
    if not isinstance(sampler, Sized):
        return ENDLESS
    return len(sampler) // batch_size * batch_size


def _rows(data: Any, names: Sequence[str], shuffle: bool, seed: int) -> Rows:
    if _is_loader(data):
        return StreamRows(data, names, seed)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return MapRows(data, names, shuffle, seed)
    if hasattr(data, "__iter__"):
        return StreamRows(data, names, seed)
    raise ConfigError(
        f"[data] {type(data).__name__} is no data: give a PREFIX of token files, 'synthetic', a DataLoader, a dataset "
        "with len() and [], or an iterable of samples"
    )


def _padded(values: Tensor, length: int, filling: int, number: int) -> Tensor:
    if len(values) > length:
        raise ConfigError(f"[data] sample {number} has {len(values)} labels, more than the {length} of its seq_length")
    return torch.nn.functional.pad(values, (0, length - len(values)), value=filling)
