"""One epoch, of teacher and student alike: batches in, events out."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from kdviz.data.encoded import Batch
from kdviz.method.objective import Terms
from kdviz.training.events import EpochDone, Event, MomentDue, StepDone
from kdviz.training.optimise import learning_rate_at, optimizer_step
from kdviz.training.seeds import derived_seed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained. `seed` names each step's dropout; `learning_rate` is the peak."""

    seed: int
    total_steps: int
    learning_rate: float
    warmup_share: float
    max_grad_norm: float


def train_epoch_of(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    recipe: Recipe,
    order: Sequence[np.ndarray],
    *,
    batch_of: Callable[[np.ndarray], Batch],
    terms_of: Callable[[Batch], Terms],
    first_step: int,
    before_step: Callable[[int], None],
    moments: Collection[int] = (),
) -> Iterator[Event]:
    """Train one epoch in `order` (each batch's positions), telling every step when it is done.

    `terms_of` runs the model on a batch and forms what is minimised. `first_step` steps were taken before;
    `before_step` hears how many were, and may raise: then nothing of the coming step has happened. After the
    steps in `moments` a moment is due. Whoever iterates may leave off between two events and go on later.
    """
    model.train()
    step = first_step
    for number, positions in enumerate(order, start=1):
        before_step(step)
        batch = batch_of(positions)
        generator.manual_seed(derived_seed(recipe.seed, "step", step))
        terms = terms_of(batch)
        terms.total.backward()
        learning_rate = learning_rate_at(
            step,
            total_steps=recipe.total_steps,
            peak=recipe.learning_rate,
            warmup_share=recipe.warmup_share,
        )
        optimizer_step(
            optimizer,
            model.parameters(),
            learning_rate=learning_rate,
            max_grad_norm=recipe.max_grad_norm,
        )
        step += 1
        yield StepDone(
            step=step,
            terms=terms.detached(),
            learning_rate=learning_rate,
            num_examples=len(positions),
            ends_epoch=number == len(order),
        )
        if step in moments:
            yield MomentDue(step=step)
    yield EpochDone(step=step)
