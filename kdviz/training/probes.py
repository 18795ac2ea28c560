"""The probes: the project's own sentences, whose maps a run stores at about twenty moments."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from kdviz.data.encoded import EncodedSet, Tokenizer
from kdviz.data.examples import Example
from kdviz.data.tokens import are_special
from kdviz.method import losses
from kdviz.models.trace import classify, trace
from kdviz.presets import presets
from kdviz.training.teacher_outputs import TeacherBatch


@dataclass(kw_only=True)
class Probes:
    """The probes of a task, encoded, with the teacher's answers to them."""

    ids: tuple[str, ...]
    encoded: EncodedSet
    rows: list[dict]
    teacher: TeacherBatch
    teacher_maps: dict[str, np.ndarray]
    batch: object

    def moments(self, total_steps: int, count: int) -> frozenset[int]:
        """About `count` steps, evenly spread, the first before the first step and the last after the last."""
        return frozenset(int(step) for step in np.linspace(0, total_steps, count + 1).round())

    def measure(
        self, student: nn.Module, pairs: tuple[tuple[int, int], ...]
    ) -> tuple[dict, dict, dict[str, np.ndarray]]:
        """(mismatch over the probes, per-probe results, student maps by probe) in eval mode."""
        was_training = student.training
        student.eval()
        try:
            with torch.no_grad():
                traced = trace(student, *self.batch.inputs, record=range(student.config.num_hidden_layers))
                logits = classify(student, traced.last)
                kl = torch.stack(
                    [
                        losses.attention_kl_per_head(
                            self.teacher.log_probs[layer], traced.log_probs[own], self.batch.attention_mask
                        )
                        for own, layer in pairs
                    ],
                    dim=1,
                )
                distance = torch.stack(
                    [
                        losses.cls_distance_per_example(self.teacher.cls[layer], traced.cls[own])
                        for own, layer in pairs
                    ],
                    dim=1,
                )
        finally:
            student.train(was_training)
        kl, distance = kl.double().cpu(), distance.double().cpu()
        heads = kl.mean(dim=0)
        mismatch = {
            "attention_kl": heads.mean(dim=1).tolist(),
            "attention_kl_heads": heads.tolist(),
            "cls_distance": distance.mean(dim=0).tolist(),
        }
        results = {
            name: {
                "student_logits": logits[row].tolist(),
                "attention_kl": kl[row].mean(dim=1).tolist(),
                "cls_distance": distance[row].tolist(),
            }
            for row, name in enumerate(self.ids)
        }
        return mismatch, results, self._maps(traced.log_probs)

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
    chosen = presets(task)
    examples = [
        Example(index=number, text_a=preset.text_a, text_b=preset.text_b, label=preset.label)
        for number, preset in enumerate(chosen)
    ]
    encoded = tokenizer.encode_set(examples)
    device = next(teacher.parameters()).device
    batch = encoded.batch(np.arange(len(encoded))).to(device)
    layers = frozenset(range(teacher.config.num_hidden_layers))
    with torch.no_grad():
        traced = trace(teacher, *batch.inputs, record=layers)
        logits = classify(teacher, traced.last)
    rows = []
    for number, preset in enumerate(chosen):
        ids = encoded.tokens[encoded.offsets[number] : encoded.offsets[number + 1]]
        tokens = tokenizer.tokens(ids)
        rows.append(
            {
                **asdict(preset),
                "tokens": tokens,
                "special": [place for place, is_special in enumerate(are_special(tokens)) if is_special],
                "token_ids": ids.tolist(),
                "teacher_logits": logits[number].tolist(),
            }
        )
    probes = Probes(
        ids=tuple(preset.id for preset in chosen),
        encoded=encoded,
        rows=rows,
        batch=batch,
        teacher_maps={},
        teacher=TeacherBatch(
            logits=logits, cls={layer: traced.cls[layer] for layer in layers}, log_probs=traced.log_probs
        ),
    )
    probes.teacher_maps = probes._maps(traced.log_probs)
    return probes
