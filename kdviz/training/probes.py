"""The probes: the presets of a run's task (`kdviz.tasks`), whose maps it stores at about twenty moments."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from kdviz.data.encoded import Batch, EncodedSet, Tokenizer
from kdviz.data.examples import Example
from kdviz.data.tokens import are_special
from kdviz.method.targets import Answers, Pairs, evaluation_needs
from kdviz.method.term import MAPS, Term
from kdviz.method.terms import TERMS, measured_terms
from kdviz.models.answer import answer
from kdviz.models.families import as_classifier
from kdviz.tasks import task_named
from kdviz.training.evaluate import mean_over_heads, mismatch_of, term_values


@dataclass(kw_only=True)
class Probes:
    """The probes of a task, encoded, with the teacher's answers to them."""

    ids: tuple[str, ...]
    encoded: EncodedSet
    rows: list[dict[str, Any]]
    teacher: Answers
    teacher_maps: dict[str, np.ndarray]
    batch: Batch

    def moments(self, total_steps: int, count: int) -> frozenset[int]:
        """About `count` steps, evenly spread, the first before the first step and the last after the last."""
        return frozenset(int(step) for step in np.linspace(0, total_steps, count + 1).round())

    def measure(
        self, student: nn.Module, pairs: Pairs, terms: Sequence[Term] = ()
    ) -> tuple[dict[str, list[Any]], dict[str, Any], dict[str, np.ndarray]]:
        """(mismatch over the probes, per-probe results, student maps by probe) in eval mode. `terms`: those
        to measure (default: the paper's).
        """
        terms, layers = terms or measured_terms(), range(as_classifier(student).config.num_hidden_layers)
        was_training = student.training
        student.eval()
        try:
            with torch.no_grad():
                needs = evaluation_needs(layers, (), [TERMS["kl"], *terms])
                own = answer(student, self.batch.inputs, needs)
                found = term_values(terms, pairs, self.teacher, own, self.batch.attention_mask)
        finally:
            student.train(was_training)
        values = {key: value.double().cpu().numpy() for key, value in found.items()}
        by_pair = {key: mean_over_heads(value) for key, value in values.items()}
        results = {
            name: {
                "student_logits": own.known_logits[row].tolist(),
                **{key: value[row].tolist() for key, value in by_pair.items()},
            }
            for row, name in enumerate(self.ids)
        }
        return mismatch_of(values), results, self._maps(own.reading(MAPS.name))

    def _maps(self, log_probs: dict[int, torch.Tensor]) -> dict[str, np.ndarray]:
        """Probabilities (layers, heads, query, key) by probe, padding stripped."""
        maps = {}
        for row, name in enumerate(self.ids):
            length = int(self.encoded.lengths[row])
            layers = [
                log_probs[layer][row, :, :length, :length].exp().cpu().numpy() for layer in sorted(log_probs)
            ]
            maps[name] = np.stack(layers).astype(np.float32)
        return maps


def make_probes(task: str, tokenizer: Tokenizer, teacher: nn.Module) -> Probes:
    """Encode the task's presets and ask the teacher about them: all its layers."""
    chosen = task_named(task).presets
    examples = [
        Example(index=number, text_a=preset.text_a, text_b=preset.text_b, label=preset.label)
        for number, preset in enumerate(chosen)
    ]
    encoded = tokenizer.encode_set(examples)
    device = next(teacher.parameters()).device
    batch = encoded.batch(np.arange(len(encoded))).to(device)
    needs = evaluation_needs(range(as_classifier(teacher).config.num_hidden_layers), (), list(TERMS.values()))
    with torch.no_grad():
        answers = answer(teacher, batch.inputs, needs)
    rows = []
    for number, preset in enumerate(chosen):
        ids = encoded.tokens[encoded.offsets[number] : encoded.offsets[number + 1]]
        tokens = tokenizer.tokens(ids.tolist())
        rows.append(
            {
                **asdict(preset),
                "tokens": tokens,
                "special": [place for place, is_special in enumerate(are_special(tokens)) if is_special],
                "token_ids": ids.tolist(),
                "teacher_logits": answers.known_logits[number].tolist(),
            }
        )
    probes = Probes(
        ids=tuple(preset.id for preset in chosen),
        encoded=encoded,
        rows=rows,
        batch=batch,
        teacher_maps={},
        teacher=answers,
    )
    probes.teacher_maps = probes._maps(answers.reading(MAPS.name))
    return probes
