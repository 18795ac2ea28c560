"""Word embeddings of which training moves only the rows that occur in the training set.

A vocabulary has 30 thousand rows, a training set uses a few thousand of them. AdamW changes the others by
weight decay alone, which is one factor for all of them: here it is multiplied up and applied when somebody
looks. So gradients, moments, clipping and checkpoints are as large as what is used; the numbers are those of
the whole table.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kdviz.models.families import as_classifier

LARGEST_SHARE = 0.7


class UsedRows(nn.Module):
    """Stands in for an `nn.Embedding`: trains `weight` (used rows, hidden), keeps `table` (vocabulary,
    hidden) beside it.

    In train mode only the used rows can be looked up (another one is an IndexError); in eval mode every row.
    Its state dict is that of the embedding it stands for.
    """

    def __init__(self, embedding: nn.Embedding, used: Tensor):
        super().__init__()
        self.table, self.used, self.padding_idx = (
            embedding.weight.detach().clone(),
            used,
            embedding.padding_idx,
        )
        self.weight = nn.Parameter(self.table[used])
        self.place = torch.full((len(self.table),), len(used), device=used.device)
        self.place[used] = torch.arange(len(used), device=used.device)
        self._padding_place = None if self.padding_idx is None else int(self.place[self.padding_idx])
        self._decay, self._settled = 1.0, True

    def forward(self, input_ids: Tensor) -> Tensor:
        if self.training:
            return functional.embedding(self.place[input_ids], self.weight, padding_idx=self._padding_place)
        self.settle()
        return functional.embedding(input_ids, self.table)

    def stepped(self, optimizer: torch.optim.Optimizer) -> None:
        """Note a step of AdamW: the rows that are not used shrink by its weight decay."""
        if self.weight.grad is not None:
            group = next(
                group
                for group in optimizer.param_groups
                if any(parameter is self.weight for parameter in group["params"])
            )
            self._decay *= 1 - group["lr"] * group["weight_decay"]
            self._settled = False

    def settle(self) -> None:
        """Bring the table up to date."""
        if not self._settled:
            with torch.no_grad():
                self.table.mul_(self._decay)
                self.table[self.used] = self.weight
            self._decay, self._settled = 1.0, True

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        self.settle()
        destination[prefix + "weight"] = self.table

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *_: object) -> None:
        with torch.no_grad():
            self.table.copy_(state_dict[prefix + "weight"])
            self.weight.copy_(self.table[self.used])
        self._decay, self._settled = 1.0, True


def train_used_rows(model: nn.Module, tokens: np.ndarray) -> None:
    """Let `model` train only the word embeddings that occur in `tokens`; before its optimiser is made.

    Nothing changes where the training set uses most of the vocabulary. Undone by `train_all_rows`.
    """
    parts = as_classifier(model)
    embedding = parts.get_input_embeddings()
    used = torch.zeros(embedding.num_embeddings, dtype=torch.bool)
    used[torch.from_numpy(tokens).long()] = True
    used[[0, embedding.padding_idx or 0]] = True  # what batches are padded with
    if used.float().mean() <= LARGEST_SHARE:
        parts.set_input_embeddings(UsedRows(embedding, used.nonzero()[:, 0].to(embedding.weight.device)))


def train_all_rows(model: nn.Module) -> None:
    """Put an ordinary embedding back."""
    parts = as_classifier(model)
    rows = parts.get_input_embeddings()
    if isinstance(rows, UsedRows):
        rows.settle()
        parts.set_input_embeddings(
            nn.Embedding.from_pretrained(rows.table, freeze=False, padding_idx=rows.padding_idx)
        )
