"""What a probe may be: pairs, Datasets, dict batches; datapoints are items, sequences or tokens."""

from __future__ import annotations

import random
from collections import UserDict

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
)

from rdmviz import Recorder, gaussian_draws
from rdmviz.errors import LossShapeError, NonFiniteLossError, OptionError, ProbeError, TruncatedStoreError
from rdmviz.record import per_sample_cross_entropy, per_token_cross_entropy

KINDS, LENGTH, N = 17, 7, 12
G = torch.Generator().manual_seed(3)
X = torch.randn(N, 6, generator=G)
Y = torch.arange(N) % 3
IDS = torch.randint(3, KINDS, (N, LENGTH), generator=G)
LENGTHS = torch.arange(N) % (LENGTH - 2) + 3
MASK = (torch.arange(LENGTH) < LENGTHS[:, None]).long()
LABELS = IDS.masked_fill(MASK == 0, -100)
BATCH = {"input_ids": IDS, "attention_mask": MASK, "labels": LABELS}


class Items(Dataset):
    """A map-style Dataset of given items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def recorded(probe, model, **options):
    recorder = Recorder(None, probe, **options)
    recorder.record(0, model)
    return recorder.run


def losses(probe, model, **options):
    return recorded(probe, model, **options).loss.to_numpy()[0]


@pytest.fixture
def gpt():
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            n_layer=1, n_head=2, n_embd=8, vocab_size=KINDS, n_positions=16, bos_token_id=0, eos_token_id=0
        )
    )


@pytest.fixture
def bert_config():
    torch.manual_seed(0)
    return BertConfig(
        num_hidden_layers=1,
        num_attention_heads=2,
        hidden_size=8,
        intermediate_size=8,
        vocab_size=KINDS,
        num_labels=3,
    )


class Tagger(nn.Module):
    """Logits for each place, of what is there."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.out = nn.Embedding(KINDS, 8), nn.Linear(8, KINDS)

    def forward(self, input_ids, attention_mask=None):
        return self.out(self.embedding(input_ids))


# Datasets


class Pairs:
    """No torch Dataset, but behaves like one."""

    def __len__(self):
        return N

    def __getitem__(self, index):
        return X[index], Y[index]


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(X, Y),
        Items([(x, int(y)) for x, y in zip(X, Y, strict=True)]),
        Items([[x.numpy(), y.numpy()] for x, y in zip(X, Y, strict=True)]),
        Items([(x.tolist(), y.item()) for x, y in zip(X, Y, strict=True)]),
        Pairs(),
    ],
)
def test_a_dataset_of_pairs_is_the_pair(dataset):
    model = nn.Linear(6, 3)
    np.testing.assert_array_equal(losses(dataset, model), losses((X, Y), model))


def test_a_dataset_of_longer_tuples_and_of_structures():
    class Sum(nn.Module):
        def forward(self, a, b):
            return (a + b)[:, :3]

    expected = losses(((X, X), Y), Sum())
    items = zip(X, Y, strict=True)
    for dataset in (
        TensorDataset(X, X, Y),
        Items([({"b": x, "a": x}, y) for x, y in items]),
        Items([((x, x), y) for x, y in zip(X, Y, strict=True)]),
    ):
        np.testing.assert_array_equal(losses(dataset, Sum()), expected)


def test_targets_may_be_a_mapping_for_a_loss_of_ones_own():
    def weighted(outputs, targets):
        return per_sample_cross_entropy(outputs, targets["class"]) * targets["weight"]

    model, weight = nn.Linear(6, 3), torch.rand(N)
    dataset = Items([(x, {"class": y, "weight": w}) for x, y, w in zip(X, Y, weight, strict=True)])
    expected = losses((X, Y), model) * weight.numpy()
    for probe in (dataset, (X, {"class": Y, "weight": weight})):
        np.testing.assert_allclose(losses(probe, model, loss_fn=weighted, batch_size=5), expected, rtol=1e-6)


def test_a_dataset_of_dicts_is_the_dict_batch(gpt):
    expected = losses(BATCH, gpt)
    rows = [{name: value[i] for name, value in BATCH.items()} for i in range(N)]
    lists = [{name: value.tolist() for name, value in row.items()} for row in rows]
    for dataset in (Items(rows), Items(lists)):
        np.testing.assert_array_equal(losses(dataset, gpt), expected)


def test_a_dataset_is_read_once_and_its_draws_are_not_missed():
    class Augmented(Dataset):
        reads = 0

        def __len__(self):
            return N

        def __getitem__(self, index):
            self.reads += 1
            return X[index] + torch.rand(()) + random.random() + np.random.rand(), Y[index]  # noqa: NPY002

    def draws():
        return torch.rand(()).item(), random.random(), np.random.rand()  # noqa: NPY002

    def seed():
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002

    dataset, model = Augmented(), nn.Linear(6, 3)
    seed()
    expected = draws()
    seed()
    recorder = Recorder(None, dataset)
    for step in range(3):
        recorder.record(step, model)
    assert draws() == expected
    assert dataset.reads == N
    assert np.ptp(recorder.run.loss.to_numpy(), axis=0).max() == 0


class Endless(IterableDataset):
    def __iter__(self):
        yield X[0], Y[0]


PAIRS = [(x, int(y)) for x, y in zip(X, Y, strict=True)]


@pytest.mark.parametrize(
    ("probe", "error", "says"),
    [
        (
            Items([*PAIRS[:7], (X[0][:5], 1)]),
            ProbeError,
            r"item 7 .* is \(array \(5,\), number\) and item 0 is",
        ),
        (Items([*PAIRS[:3], (X[0], "a")]), ProbeError, r"item 3 .* \(array \(6,\), str\)"),
        (Items([{"a": X[0]}, {"a": X[0], "b": 1}]), ProbeError, "item 1"),
        (Items([{"input_ids": [1, 2]}, {"input_ids": [1, 2, 3]}]), ProbeError, r"item 1 .* array \(3,\)"),
        (Items([(X[0], object()), (X[0], object())]), ProbeError, "do not stack"),
        (Items([{"input_ids": IDS[0], "text": "a"}] * 2), ProbeError, r"probe\['text'\] is \['a', 'a'\]"),
        (Items(list(X)), ProbeError, r"item 0 of the Items is a Tensor; expected \(input, target\)"),
        (Items([(x,) for x in X]), ProbeError, "item 0"),
        (Items([(X[0], (1, 2))] * 3), ProbeError, r"target of item 0 .* is \(number, number\)"),
        (Items(PAIRS[:1]), LossShapeError, r"1 datapoint\(s\)"),
        (Items([]), LossShapeError, r"0 datapoint\(s\)"),
        (Endless(), OptionError, r"Endless, which has no items by number; .*default_collate\("),
        (Dataset(), OptionError, "no items by number"),
        (DataLoader(TensorDataset(X, Y)), OptionError, "probe is a DataLoader; expected the pair"),
        ({}, ProbeError, "expected inputs of the model"),
        ({"labels": Y}, ProbeError, "expected inputs of the model"),
        ({"input_ids": IDS, "labels": LABELS[:5]}, ProbeError, r"\['labels'\] has 5 datapoints and"),
        ({"input_ids": IDS, "use_cache": False}, ProbeError, r"probe\['use_cache'\] is False"),
        ({"input_ids": [[1, 2], [3]]}, ProbeError, "Pad what differs in length"),
        ({"input_ids": IDS[:1]}, LossShapeError, r"1 datapoint\(s\)"),
        ({"x": X}, OptionError, "no default loss for a dict batch with no labels"),
        ({"input_ids": IDS, "decoder_input_ids": IDS}, OptionError, "a dict batch with no labels"),
        ({"x": X, "labels": X}, OptionError, r"labels \(12, 6\) \(torch.float32\)"),
        ((X, Y - 1), ProbeError, "target of datapoint 0 is -1; expected a class"),
        (BATCH | {"labels": LABELS.index_fill(0, torch.tensor([4]), -100)}, ProbeError, "sequence 4 counts"),
        (
            BATCH | {"labels": LABELS.index_fill(0, torch.tensor([4]), -1)},
            ProbeError,
            "label -1 at position 1",
        ),
        ((IDS, torch.full_like(IDS, -100)), ProbeError, "no token of sequence 0 counts"),
    ],
)
def test_a_bad_probe_is_named(tmp_path, probe, error, says):
    with pytest.raises(error, match=says):
        Recorder(tmp_path / "run", probe)
    assert not (tmp_path / "run").exists()


def test_the_way_out_of_an_iterable_dataset_works():
    pair = default_collate([(X[0], Y[0])] * 3)
    assert losses(pair, nn.Linear(6, 3)).shape == (3,)


# Dict batches


def test_tokens_of_a_causal_model_agree_with_its_own_loss(gpt):
    run = recorded(BATCH, gpt, per="token", dtype="float64")
    gpt.eval()
    with torch.no_grad():
        own = gpt(**BATCH).loss.item()
    assert run.n_samples == int((LENGTHS - 1).sum())
    np.testing.assert_allclose(run.loss.mean(), own, rtol=1e-6)
    sequences = recorded(BATCH, gpt, dtype="float64").loss.to_numpy()[0]
    for sequence in range(N):
        here = run.loss.to_numpy()[0][run.probe["sequence"] == sequence]
        assert len(here) == LENGTHS[sequence] - 1
        np.testing.assert_allclose(here.mean(), sequences[sequence], rtol=1e-6)


def test_a_causal_model_sees_what_transformers_gives(gpt):
    expected = losses(BATCH, gpt)
    without = {"input_ids": IDS, "attention_mask": MASK}  # labels are the tokens, where there are any
    for batch in (without, UserDict(BATCH), {name: value.numpy() for name, value in BATCH.items()}):
        np.testing.assert_array_equal(losses(batch, gpt), expected)
    np.testing.assert_allclose(losses(BATCH, gpt, batch_size=5), expected, rtol=1e-6)
    assert isinstance(gpt(IDS, return_dict=False), tuple)
    gpt.register_forward_hook(lambda model, args, output: output.to_tuple())
    np.testing.assert_array_equal(losses(BATCH, gpt), expected)


def test_padding_on_the_left_predicts_nothing(gpt):
    """A first token has nothing before it: its place before is padding."""
    mask = MASK.flip(1)
    labels = IDS.masked_fill(mask == 0, -100)
    run = recorded(BATCH | {"attention_mask": mask, "labels": labels}, gpt, per="token")
    assert run.n_samples == int((LENGTHS - 1).sum())
    assert run.probe["position"].to_numpy().min() == 1
    first = run.probe["position"].to_numpy()[run.probe["sequence"] == 0][0]
    assert first == LENGTH - LENGTHS[0] + 1


def test_metadata_of_tokens(gpt):
    texts = np.array([[f"<{token}>" for token in row] for row in IDS.tolist()])
    frame = pd.DataFrame({"length": LENGTHS.numpy(), "name": [f"s{i}" for i in range(N)]})
    run = recorded(BATCH, gpt, per="token", metadata={**frame, "text": texts})
    again = recorded(BATCH, gpt, per="token", metadata=frame)
    sequence, position = run.probe["sequence"].to_numpy(), run.probe["position"].to_numpy()
    np.testing.assert_array_equal(run.probe["token"], IDS.numpy()[sequence, position])
    np.testing.assert_array_equal(run.probe["text"], texts[sequence, position])
    for got in (run, again):
        np.testing.assert_array_equal(got.probe["length"], LENGTHS.numpy()[sequence])
        assert got.probe["name"].to_numpy().tolist() == [f"s{i}" for i in sequence]
    assert list(run.probe.data_vars) == ["sequence", "position", "token", "length", "name", "text"]
    read = recorded(BATCH, gpt, per="token", metadata={"token": texts})
    np.testing.assert_array_equal(read.probe["token"], texts[sequence, position])
    for metadata, says in (
        ({"token": [1] * N}, "column 'token' is one that"),
        ({"position": texts}, "column 'position' is one that"),
        ({"a": [1, 2]}, r"expected \(12,\)"),
        (3, "expected a mapping"),
    ):
        with pytest.raises(ProbeError, match=says):
            Recorder(None, BATCH, per="token", metadata=metadata)


def test_classes_and_numbers_in_a_dict_batch(bert_config):
    model = BertForSequenceClassification(bert_config)
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
    expected = cross_entropy(logits, Y, reduction="none")
    for name in ("labels", "label", "label_ids"):
        np.testing.assert_allclose(losses({**inputs, name: Y}, model), expected, rtol=1e-6)
    np.testing.assert_allclose(losses((inputs, Y), model), expected, rtol=1e-6)
    real = torch.randn(N)
    bert_config.num_labels = 1
    model = BertForSequenceClassification(bert_config)
    with torch.no_grad():
        expected = (model.eval()(**inputs).logits[:, 0] - real).square()
    np.testing.assert_allclose(losses({**inputs, "labels": real}, model), expected, rtol=1e-5)


def test_labels_at_their_own_places_are_a_pair(bert_config):
    model = BertForMaskedLM(bert_config)
    with pytest.raises(OptionError, match=r"taken for next-token prediction\. Pass the pair"):
        losses(BATCH, model)
    batch = dict(BATCH)
    labels = batch.pop("labels").clone()
    labels[:, 2:] = -100
    run = recorded((batch, labels), model, per="token")
    with torch.no_grad():
        own = model.eval()(**batch, labels=labels).loss.item()
    np.testing.assert_allclose(run.loss.mean(), own, rtol=1e-6)
    assert run.n_samples == 2 * N


def test_a_loss_of_ones_own_for_a_dict_batch(gpt):
    def total(outputs, batch):
        assert set(batch) == set(BATCH)
        return per_token_cross_entropy(outputs.logits[:, :-1], batch["labels"][:, 1:]).sum(dim=1)

    expected = losses(BATCH, gpt) * (LENGTHS - 1).numpy()
    np.testing.assert_allclose(losses(BATCH, gpt, loss_fn=total, batch_size=5), expected, rtol=1e-5)

    def each(outputs, batch):
        return per_token_cross_entropy(outputs.logits[:, :-1], batch["labels"][:, 1:])

    def padded(outputs, batch):
        return nn.functional.pad(each(outputs, batch), (1, 0))

    expected = losses(BATCH, gpt, per="token")
    for loss_fn in (each, padded):
        given = losses(BATCH, gpt, loss_fn=loss_fn, per="token", batch_size=5)
        np.testing.assert_allclose(given, expected, rtol=1e-5)
    with pytest.raises(LossShapeError, match=r"gave \(12,\) for tokens \(12, 7\); expected with per='token'"):
        losses(BATCH, gpt, loss_fn=total, per="token")
    without = {"input_ids": IDS, "attention_mask": MASK}
    assert losses(without, gpt, loss_fn=lambda o, b: o.logits.mean(dim=(1, 2))).shape == (N,)


def test_labels_of_an_encoder_and_decoder_are_not_shifted():
    class Translator(Tagger):
        def forward(self, input_ids, decoder_input_ids, **masks):
            return (super().forward(decoder_input_ids), None)

    model = Translator()
    batch = {"input_ids": IDS, "decoder_input_ids": IDS, "labels": LABELS}
    expected = losses((IDS, LABELS), Tagger(), per="token")
    np.testing.assert_array_equal(losses(batch, model, per="token"), expected)
    masked = {**batch, "labels": IDS, "attention_mask": MASK.flip(1), "decoder_attention_mask": MASK}
    np.testing.assert_array_equal(losses(masked, model, per="token"), expected)


# Token sequences in a pair


def test_tokens_of_a_pair_are_not_shifted():
    model = Tagger()
    with torch.no_grad():
        each = cross_entropy(model(IDS).transpose(1, 2), IDS, reduction="none").numpy()
    kept = MASK.numpy().astype(bool)
    means = (each * kept).sum(axis=1) / kept.sum(axis=1)
    for probe in ((IDS, LABELS), ({"input_ids": IDS, "attention_mask": MASK}, IDS), (IDS, LABELS.int())):
        np.testing.assert_allclose(losses(probe, model), means, rtol=1e-6)
        np.testing.assert_allclose(losses(probe, model, per="token", batch_size=5), each[kept], rtol=1e-6)

    def halves(outputs, targets):
        return per_token_cross_entropy(outputs, targets) / 2

    given = losses((IDS, LABELS), model, per="token", loss_fn=halves)
    np.testing.assert_allclose(given, each[kept] / 2, rtol=1e-6)


def test_classes_of_any_integer_type_and_masks_of_any_shape():
    model = nn.Linear(6, 3)
    for dtype in (torch.uint8, torch.int32):
        np.testing.assert_array_equal(losses((X, Y.to(dtype)), model), losses((X, Y), model))
    pairwise = MASK[:, None, None, :] * MASK[:, None, :, None]  # says nothing of single places
    probe = ({"input_ids": IDS, "attention_mask": pairwise}, LABELS)
    np.testing.assert_array_equal(losses(probe, Tagger()), losses((IDS, LABELS), Tagger()))


def test_sequences_without_a_token_have_no_datapoint_per_token():
    labels = LABELS.clone()
    labels[3] = -100
    run = recorded((IDS, labels), Tagger(), per="token", batch_size=1)
    assert 3 not in run.probe["sequence"]
    assert run.n_samples == int(LENGTHS.sum() - LENGTHS[3])


@pytest.mark.parametrize(
    ("probe", "model", "options", "error", "says"),
    [
        ((X, Y), nn.Linear(6, 3), {"per": "token"}, OptionError, "expected token sequences"),
        ((X, Y), nn.Linear(6, 3), {"per": "word"}, OptionError, "per='word'; expected 'sequence' or 'token'"),
        ((X, IDS), nn.Linear(6, 3), {}, OptionError, r"expected logits \(12, 7, vocabulary\)"),
        ((IDS, IDS + 1), Tagger(), {}, LossShapeError, "targets reach 17 and the outputs are logits of 17"),
        ((X, Y + 1), nn.Linear(6, 3), {}, LossShapeError, "targets reach class 3 .* logits of 3 classes"),
    ],
)
def test_what_does_not_fit_is_named(probe, model, options, error, says):
    with pytest.raises(error, match=says):
        losses(probe, model, **options)


# Losses over a training


def test_a_loss_that_changes_its_length_later_leaves_the_run_intact(tmp_path):
    def fickle(outputs, targets):
        return per_sample_cross_entropy(outputs, targets)[: N - fickle.missing]

    fickle.missing = 0
    model = nn.Linear(6, 3)
    with Recorder(tmp_path / "run", (X, Y), loss_fn=fickle) as recorder:
        recorder.record(0, model)
        fickle.missing = 1
        with pytest.raises(LossShapeError, match=r"gave \(11,\) for 12 datapoints"):
            recorder.record(1, model)
        fickle.missing = 0
        recorder.record(2, model)
    assert recorder.run.steps.tolist() == [0, 2]


def test_nan_in_the_first_row_is_an_error_and_later_it_is_what_happened(tmp_path):
    inputs = X.clone()
    inputs[5, 0] = torch.nan
    model = nn.Linear(6, 3)
    with Recorder(tmp_path / "bad", (inputs, Y)) as recorder:
        with pytest.raises(
            NonFiniteLossError, match=r"datapoint 5 \(1 of 12 in all\) is NaN at step 3, the first"
        ):
            recorder.record(3, model)
        with pytest.raises(TruncatedStoreError):
            assert recorder.run.n_steps
    recorder = Recorder(tmp_path / "run", (X, Y))
    recorder.record(0, model)
    nn.init.constant_(model.weight, torch.nan)
    with pytest.warns(RuntimeWarning, match="loss of 12 of 12 datapoints is NaN at step 1"):
        recorder.record(1, model)
    recorder.record(2, model)  # told once: a warning would be an error here
    nn.init.ones_(model.weight)
    recorder.record(3, model)
    run = recorder.close()
    assert np.isnan(run.loss.to_numpy()).all(axis=1).tolist() == [False, True, True, False]


def test_infinite_losses_are_recorded_from_the_start():
    assert np.isinf(losses((X, Y), nn.Linear(6, 3), loss_fn=lambda o, t: o[:, 0] * torch.inf)).all()


# Gaussian draws


def test_gaussian_draws_take_the_same_probes(gpt):
    tagger = Tagger()
    for per in ("sequence", "token"):
        run = gaussian_draws(tagger, (IDS, LABELS), draws=5, per=per)
        by_items = gaussian_draws(tagger, TensorDataset(IDS, LABELS), draws=5, per=per)
        np.testing.assert_array_equal(run.loss, by_items.loss)
        assert run.n_samples == (N if per == "sequence" else int(LENGTHS.sum()))
    run = gaussian_draws(gpt, BATCH, draws=5, sigma=1e-6, per="token", metadata={"length": LENGTHS})
    assert run.loss.shape == (5, int((LENGTHS - 1).sum()))
    np.testing.assert_allclose(run.loss[0], losses(BATCH, gpt, per="token"), rtol=1e-3)
    assert list(run.probe.data_vars) == ["sequence", "position", "token", "length"]
