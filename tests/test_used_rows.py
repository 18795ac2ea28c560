"""Training only the word embeddings in use: the numbers must be those of training the whole table."""

import copy

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from kdviz.compat import ATTENTION
from kdviz.models.trace import classify, trace
from kdviz.training.optimise import make_optimizer, optimizer_step
from kdviz.training.used_rows import UsedRows, train_all_rows, train_used_rows


@pytest.fixture
def model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = ATTENTION
    return BertForSequenceClassification(config)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(1, 20, (6, 4, 7), generator=torch.Generator().manual_seed(1))


def steps(model, ids, optimizer) -> None:
    model.train()
    for number, batch in enumerate(ids):
        mask = torch.ones_like(batch)
        mask[0, 5:], batch[0, 5:] = 0, 0
        logits = classify(model, trace(model, batch, mask, torch.zeros_like(batch)).last)
        torch.nn.functional.cross_entropy(logits, torch.arange(4) % 2).backward()
        optimizer_step(optimizer, model.parameters(), learning_rate=0.02 / (number + 1), max_grad_norm=0.5)


def make(model, ids):
    train_used_rows(model, ids.numpy().ravel())
    return make_optimizer(model, learning_rate=0.02, weight_decay=0.1)


def test_the_same_numbers_as_the_whole_table(model, ids):
    """Else the shortcut changes the training: moments, clipping or the decay of rows that are not used."""
    whole = copy.deepcopy(model)
    steps(whole, ids.clone(), make_optimizer(whole, learning_rate=0.02, weight_decay=0.1))
    steps(model, ids.clone(), make(model, ids))
    assert isinstance(model.bert.embeddings.word_embeddings, UsedRows)
    got, expected = model.state_dict(), whole.state_dict()
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(got[name], tensor, rtol=0, atol=1e-6, msg=name)
    unseen = torch.arange(20, 50).reshape(5, 6)
    ones = torch.ones_like(unseen)
    model.eval(), whole.eval()
    torch.testing.assert_close(
        trace(model, unseen, ones, 0 * ones).last,
        trace(whole, unseen, ones, 0 * ones).last,
        rtol=0,
        atol=1e-5,
    )


def test_looking_in_between_changes_nothing(model, ids):
    """Evaluations and snapshots settle the table at any time; the training must not notice."""
    twin = copy.deepcopy(model)
    optimizer, other = make(model, ids), make(twin, ids)
    for batch in ids:
        steps(model, batch[None].clone(), optimizer)
        steps(twin, batch[None].clone(), other)
        twin.state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, twin.state_dict()[name], rtol=0, atol=1e-7, msg=name)


def test_saved_and_loaded_is_the_same(model, ids):
    """A resumed run must go on with the weights it was stopped with, used rows and others."""
    fresh = copy.deepcopy(model)
    steps(model, ids.clone(), make(model, ids))
    make(fresh, ids)
    fresh.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()})
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name
    assert torch.equal(
        fresh.bert.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight
    )


def test_only_used_rows_can_be_trained(model, ids):
    """A word outside the training set must be an error in training, never a silent wrong row."""
    make(model, ids)
    model.train()
    with pytest.raises(IndexError):
        model.bert.embeddings.word_embeddings(torch.tensor([[40]]))


def test_frozen_embeddings_do_not_decay(model, ids):
    """AdamW leaves a parameter without gradient alone: freezing must hold for the rows that are not used as
    well.
    """
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    optimizer = make(model, ids)
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad = False
    steps(model, ids.clone(), optimizer)
    train_all_rows(model)
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, before)


def test_a_set_that_uses_most_rows_trains_the_ordinary_table(model):
    """Else a large set would pay for the detour."""
    train_used_rows(model, torch.arange(45).numpy())
    assert isinstance(model.bert.embeddings.word_embeddings, torch.nn.Embedding)
