"""Recorded attention against transformers' own maps, and what must not change it: padding, dropout, other
threads.
"""

import copy
import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from needs import needs_of
from transformers import BertForSequenceClassification

from kdviz.data.encoded import EncodedSet, Tokenizer
from kdviz.data.examples import Example
from kdviz.models.answer import answer
from kdviz.models.build import load_classifier
from kdviz.models.trace import (
    Recorder,
    SeededDropout,
    attend,
    attention_forward,
    classify,
    seed_dropout,
    trace,
)

TEXTS = (
    "The dog sees the cat.",
    "Yes.",
    "Again and again the old horse near the river likes what the doctor and the artist know.",
    "The child helps the lawyer today.",
)
PAIRS = tuple(zip(TEXTS, TEXTS[1:] + TEXTS[:1]))


def encoded_texts(folder: Path, pairs: bool = False) -> EncodedSet:
    rows = PAIRS if pairs else [(text, None) for text in TEXTS]
    return Tokenizer(folder, 32).encode_set(
        [Example(index=number, text_a=a, text_b=b, label=number % 2) for number, (a, b) in enumerate(rows)]
    )


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> torch.nn.Module:
    return load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def encoded(tiny_checkpoint: Path) -> EncodedSet:
    return encoded_texts(tiny_checkpoint)


ALL = np.arange(len(TEXTS))
LAYERS = range(4)


def eager_twin(model: torch.nn.Module) -> BertForSequenceClassification:
    twin = BertForSequenceClassification._from_config(
        copy.deepcopy(model.config), attn_implementation="eager"
    ).eval()
    twin.load_state_dict(model.state_dict())
    return twin


@pytest.mark.parametrize("pairs", [False, True])
def test_maps_logits_and_cls_equal_transformers_eager(model, tiny_checkpoint, pairs):
    """A missing scale, mask or token type gives maps that look like attention and are another model's."""
    batch = encoded_texts(tiny_checkpoint, pairs).batch(ALL)
    assert bool((batch.attention_mask == 0).any()) and bool(batch.token_type_ids.any()) == pairs
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=LAYERS)
        logits = classify(model, traced.last)
        expected = eager_twin(model)(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            token_type_ids=batch.token_type_ids,
            output_attentions=True,
            output_hidden_states=True,
        )
    assert len(expected.attentions) == 4
    real_rows = batch.attention_mask.bool()[:, None, :, None]
    for layer in LAYERS:
        assert torch.allclose(
            traced.log_probs[layer].exp() * real_rows, expected.attentions[layer] * real_rows, atol=1e-6
        )
        assert torch.allclose(traced.cls[layer], expected.hidden_states[layer + 1][:, 0], atol=1e-5)
    assert torch.allclose(logits, expected.logits, atol=1e-5)


def test_minilm_equals_transformers_eager(minilm_folder):
    """The tiny model could hide what real weights show: large scores, twelve heads, many tokens."""
    model = load_classifier(minilm_folder, 2, torch.Generator().manual_seed(0))
    batch = encoded_texts(minilm_folder, pairs=True).batch(ALL)
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=range(6))
        expected = eager_twin(model)(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            token_type_ids=batch.token_type_ids,
            output_attentions=True,
        )
    for layer in range(6):
        rows = batch.attention_mask.bool()[:, None, :, None]
        assert torch.allclose(
            traced.log_probs[layer].exp() * rows, expected.attentions[layer] * rows, atol=1e-5
        )
    assert torch.allclose(classify(model, traced.last), expected.logits, atol=1e-4)


def test_padded_keys_carry_no_probability_and_rows_sum_to_one(model, encoded):
    """Attention on padding, or rows that sum to less than 1, make a KL that is no KL."""
    batch = encoded.batch(ALL, min_length=30)
    with torch.no_grad():
        traced = trace(model, *batch.inputs, record=LAYERS)
    padded = ~batch.attention_mask.bool()[:, None, None, :]
    for layer in LAYERS:
        probabilities = traced.log_probs[layer].exp()
        assert probabilities.masked_select(padded).max() == 0
        assert torch.allclose(probabilities.sum(-1), torch.ones(()), atol=1e-5)
        assert traced.log_probs[layer].dtype == torch.float32


@pytest.mark.parametrize("min_length", [0, 31])
@pytest.mark.parametrize("record", [(), tuple(LAYERS)])
def test_an_example_gives_the_same_alone_and_in_a_padded_batch(model, encoded, min_length, record):
    """Without its mask the fused attention attends to padding: predictions would change with the neighbours
    in the batch.
    """
    with torch.no_grad():
        batch = encoded.batch(ALL, min_length=min_length)
        together = trace(model, *batch.inputs, record=record)
        for position in ALL:
            single = encoded.batch(np.array([position]))
            alone = trace(model, *single.inputs, record=record)
            length = int(encoded.lengths[position])
            assert torch.allclose(together.last[position, :length], alone.last[0], atol=1e-5)
            for layer in record:
                assert torch.allclose(
                    together.log_probs[layer][position, :, :length, :length].exp(),
                    alone.log_probs[layer][0].exp(),
                    atol=1e-6,
                )


def test_recording_does_not_change_the_model(model, encoded):
    """Recorded layers take another path than fused ones: evaluation and training would see two models."""
    batch = encoded.batch(ALL)
    with torch.no_grad():
        plain, recorded = trace(model, *batch.inputs), trace(model, *batch.inputs, record=[1, 3])
    assert set(recorded.log_probs) == {1, 3} and not plain.log_probs
    assert torch.allclose(plain.last, recorded.last, atol=1e-5)


def test_queries_keys_and_values_are_the_layers_own_and_of_no_other_layer(model, encoded):
    """A term over values of the layer below would fall and mean nothing; what nobody asked for fills the
    memory.
    """
    batch = encoded.batch(ALL)
    wanted = {"queries": [0], "keys": [1], "values": [0, 3]}
    with torch.no_grad():
        found = trace(model, *batch.inputs, parts=wanted).parts
        hidden = eager_twin(model)(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            token_type_ids=batch.token_type_ids,
            output_hidden_states=True,
        ).hidden_states
    assert {name: sorted(by_layer) for name, by_layer in found.items()} == wanted
    for name, of in {"queries": "query", "keys": "key", "values": "value"}.items():
        for layer in wanted[name]:
            own = getattr(model.bert.encoder.layer[layer].attention.self, of)(hidden[layer])
            expected = own.view(*own.shape[:2], 4, 8).transpose(1, 2)
            real = batch.attention_mask.bool()[:, None, :, None]
            assert torch.allclose(found[name][layer] * real, expected * real, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_a_truncated_trace_equals_the_lower_part_of_the_full_one(model, encoded, num_layers):
    """Early stages run only the lower layers: another result there would make pid and sid train towards the
    wrong maps.
    """
    batch = encoded.batch(ALL)
    with torch.no_grad():
        full = trace(model, *batch.inputs, record=LAYERS)
        part = trace(model, *batch.inputs, num_layers=num_layers, record=range(num_layers))
    assert len(part.cls) == num_layers
    for layer in range(num_layers):
        assert torch.equal(part.cls[layer], full.cls[layer]) and torch.equal(
            part.log_probs[layer], full.log_probs[layer]
        )


def test_recording_a_layer_that_is_not_run_is_refused(model, encoded):
    """A wanted layer that never runs would be missing from the loss without a word."""
    with pytest.raises(ValueError, match="layers from 0 to 1"):
        trace(model, *encoded.batch(ALL).inputs, num_layers=2, record=[2])
    with pytest.raises(ValueError, match="layers from 0 to 3"):
        trace(model, *encoded.batch(ALL).inputs, record=[-1])


def test_recorded_maps_are_finite_distributions_in_train_mode(tiny_checkpoint, encoded):
    """transformers' maps in train mode are after dropout: no distributions, with exact zeros, and the KL on
    them is NaN.
    """
    model = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(3)
    seed_dropout(model, generator)
    model.train()
    batch = encoded.batch(ALL)
    traced = trace(model, *batch.inputs, record=LAYERS, generator=generator)
    real_keys = batch.attention_mask.bool()[:, None, None, :].expand_as(traced.log_probs[0])
    for layer in LAYERS:
        assert torch.allclose(traced.log_probs[layer].exp().sum(-1), torch.ones(()), atol=1e-5)
        assert torch.isfinite(traced.log_probs[layer][real_keys]).all()
    again = trace(model, *batch.inputs, record=LAYERS, generator=generator)
    assert not torch.allclose(again.last, traced.last), "dropout is on"


def test_the_first_layer_map_is_free_of_attention_dropout(tiny_checkpoint, encoded):
    """Dropout in the recorded map would make the student chase noise; it belongs only to what flows on."""
    model = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    for module in model.bert.embeddings.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = encoded.batch(ALL)
    with torch.no_grad():
        expected = trace(model, *batch.inputs, record=[0]).log_probs[0]
        model.train()
        found = trace(model, *batch.inputs, record=[0], generator=torch.Generator().manual_seed(1)).log_probs[
            0
        ]
    assert torch.equal(found, expected)


def test_attend_is_its_formula_on_every_path():
    """Fused or recorded, with a bias or a mask of either kind: one path with another scale would make what is
    recorded another model's.
    """
    made = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 8, generator=made)
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()[:, None, None, :]
    masks = {None: None, "boolean": real, "added": torch.zeros(real.shape).masked_fill(~real, -1e30)}
    biases = (None, torch.randn(1, 4, 5, 5, generator=made))
    for (kind, mask), bias, scaling, is_recorded in itertools.product(
        masks.items(), biases, (None, 0.7), (False, True)
    ):
        scores = query @ key.transpose(2, 3) * (8**-0.5 if scaling is None else scaling)
        scores = scores if bias is None else scores + bias
        scores = scores if kind is None else scores.masked_fill(~real, -torch.inf)
        recorder = Recorder(wanted=frozenset({3}), generator=None, layer=3 if is_recorded else 2)
        for each in (recorder, *([] if is_recorded else [None])):
            found = attend(query, key, value, mask, scaling=scaling, bias=bias, recorder=each)
            expected = (scores.softmax(-1) @ value).transpose(1, 2)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert set(recorder.log_probs) == ({3} if is_recorded else set())
        if is_recorded:
            torch.testing.assert_close(recorder.log_probs[3].exp(), scores.softmax(-1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("is_recorded", [False, True])
def test_attention_drops_weights_in_training_and_records_them_before(is_recorded):
    """Without dropout a student learns its few examples by heart; maps after dropout are no distributions."""
    query, key = torch.randn(2, 2, 4, 64, 8, generator=torch.Generator().manual_seed(0))
    weights = (query @ key.transpose(2, 3) * 8**-0.5).softmax(-1)
    value = torch.eye(64).expand(2, 4, 64, 64)  # so that the output is the weights themselves
    recorder = Recorder(
        wanted=frozenset({0} if is_recorded else ()), generator=torch.Generator().manual_seed(1)
    )

    def weights_used(module: torch.nn.Module, **dropout: float) -> torch.Tensor:
        out, _ = attention_forward(module, query, key, value, None, kdviz_recorder=recorder, **dropout)
        return out.transpose(1, 2)

    module = torch.nn.Identity()
    used = weights_used(module.train(), dropout=0.25)
    assert (used == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(used, torch.where(used == 0, 0.0, weights / 0.75))
    if is_recorded:
        torch.testing.assert_close(recorder.log_probs[0].exp(), weights)
    torch.testing.assert_close(weights_used(module.train()), weights)
    torch.testing.assert_close(weights_used(module.eval(), dropout=0.25), weights)
    half = [each.bfloat16() for each in (query, key, value)]
    assert attend(*half, None, recorder=recorder).dtype == torch.bfloat16


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_what_dropout_keeps_is_scaled_by_what_it_dropped(p):
    """p counts in steps of 1/65536; scaled by the p that was asked for, the mean would be another one."""
    dropout = SeededDropout(p, torch.Generator().manual_seed(0)).train()
    scale = 65536 / (65536 - round(p * 65536))
    kept = set()
    for length in range(997, 1001):  # four elements share a number of the generator
        kept |= set(dropout(torch.ones(length, dtype=torch.float64)).tolist()) - {0.0}
    assert sorted(kept) == [pytest.approx(scale, rel=1e-7)]


def test_a_share_of_nearly_all_leaves_one_number_in_65536():
    """A checkpoint with such a dropout is let in, and would break the first step by a division by nothing."""
    dropout = SeededDropout(0.999995, torch.Generator().manual_seed(0)).train()
    assert dropout(torch.ones(1 << 20)).unique().tolist() == [0.0, 65536.0]


def test_no_more_layers_are_run_than_are_asked_for(model, encoded):
    """Early stages of pid and sid are cheap because of it; all the numbers would still be right."""
    batch, ran = encoded.batch(ALL), []
    hooks = [
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(model.bert.encoder.layer)
    ]
    for needs, num_layers, expected in (
        (needs_of(logits=False, cls=[1]), None, 2),
        (needs_of(cls=[1]), None, 4),
        (needs_of(logits=False, cls=[0]), 3, 3),
        (needs_of(cls=[0]), 3, 3),
    ):
        ran.clear()
        with torch.no_grad():
            answer(model, batch.inputs, needs, num_layers=num_layers)
        assert ran == list(range(expected))
    for hook in hooks:
        hook.remove()


def test_dropout_of_a_run_is_off_in_eval_mode(tiny_checkpoint, encoded):
    """Every evaluation would measure another student than the one that is stored."""
    model = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        plain = trace(model, *encoded.batch(ALL).inputs, record=LAYERS)
        before = generator.get_state()
        seed_dropout(model, generator)
        seeded = trace(model, *encoded.batch(ALL).inputs, record=LAYERS, generator=generator)
    assert torch.equal(seeded.last, plain.last) and torch.equal(generator.get_state(), before)


def test_dropout_draws_from_the_runs_generator_alone(tiny_checkpoint, encoded):
    """With torch's global generator, two runs in one process would change each other's numbers, and resuming
    would too.
    """
    model = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    generator = torch.Generator()
    seed_dropout(model, generator)
    model.train()
    batch = encoded.batch(ALL)

    def outcome(global_seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        generator.manual_seed(5)
        return classify(model, trace(model, *batch.inputs, record=[0, 2], generator=generator).last).detach()

    assert torch.equal(outcome(1), outcome(2))
    state = torch.random.get_rng_state()
    outcome_after = trace(model, *batch.inputs, record=[0], generator=generator)
    assert torch.equal(torch.random.get_rng_state(), state) and outcome_after.last.requires_grad


def test_dropout_keeps_the_mean_and_the_share(tiny_checkpoint):
    """Forgetting 1/(1 − p) shifts every activation between training and evaluation."""
    model = load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    seed_dropout(model, generator)
    assert type(model.dropout).__name__ == "SeededDropout" and model.dropout.p == 0.1
    model.train()
    out = model.dropout(torch.ones(200, 500))
    assert out.mean().item() == pytest.approx(1, abs=0.01) and (
        out == 0
    ).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert all(
        not isinstance(module, torch.nn.Dropout)
        for name, module in model.named_modules()
        if not name.endswith("attention.self.dropout")
    ), "none is left unseeded"


def test_traces_in_several_threads_do_not_meet(tiny_checkpoint, encoded):
    """A recorder kept in the module, or in a global, would hand one run's maps to another."""
    models = [
        load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0)),
        load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0)),
    ]
    batches = [encoded.batch(np.array([0, 2])), encoded.batch(np.array([1, 3]))]
    with torch.no_grad():
        expected = [trace(model, *batch.inputs, record=LAYERS) for model, batch in zip(models, batches)]
    wrong, barrier = [], threading.Barrier(2)

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(15):
            with torch.no_grad():
                # Both threads use the same model object too: nothing may stick to it.
                found = trace(models[0], *batches[number].inputs, record=LAYERS)
            wrong.extend(
                layer
                for layer in LAYERS
                if not torch.equal(found.log_probs[layer], expected[number].log_probs[layer])
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_bfloat16_arithmetic_stays_finite_and_near(model, encoded):
    """In half precision −inf, exp and small probabilities are where NaN is born; the recorded maps are made
    in float32.
    """
    batch = encoded.batch(ALL)
    with torch.no_grad():
        expected = trace(model, *batch.inputs, record=LAYERS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = trace(model, *batch.inputs, record=LAYERS)
    for layer in LAYERS:
        assert found.log_probs[layer].dtype == torch.float32
        assert torch.allclose(found.log_probs[layer].exp(), expected.log_probs[layer].exp(), atol=0.08)
        assert torch.allclose(found.log_probs[layer].exp().sum(-1), torch.ones(()), atol=1e-5)
