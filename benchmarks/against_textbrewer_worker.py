"""One side of against_textbrewer.py: runs in TextBrewer's own environment and times passes of its
GeneralDistiller.

Told a folder with a teacher, a student and batches, it answers every line on standard input (`same` or
`fixed`) with the seconds of one pass: over our batches, or over the same examples padded to one length as
TextBrewer's GLUE example does.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig
from transformers import AutoModelForSequenceClassification


class WithoutSaving(GeneralDistiller):
    """Writing checkpoints is left out of both sides' times."""

    def save_and_callback(self, *_: object) -> None:
        pass


def adaptor(batch: dict, outputs) -> dict:
    """What TextBrewer matches: logits, attention maps, and the hidden states at [CLS] after every layer."""
    return {
        "logits": outputs.logits,
        "attention": outputs.attentions,
        "hidden": [state[:, :1].contiguous() for state in outputs.hidden_states[1:]],
    }


def load(folder: Path) -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")


def read_batches(path: Path) -> list[dict]:
    batches: dict[int, dict] = {}
    for name, tensor in load_file(path).items():
        number, _, field = name.partition(".")
        batches.setdefault(int(number), {})[field] = tensor
    return [batches[number] for number in sorted(batches)]


def main(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(settings["threads"])
    teacher, student = load(folder / "teacher").eval(), load(folder / "student")
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings["learning_rate"])
    matches = [
        {"layer_T": teacher_layer, "layer_S": student_layer, "feature": feature, "loss": loss, "weight": 1}
        for student_layer, teacher_layer in settings["pairs"]
        for feature, loss in (("attention", "attention_mse"), ("hidden", "cos"))
    ]
    distiller = WithoutSaving(
        train_config=TrainingConfig(
            device="cpu", output_dir=str(folder / "output"), log_dir=str(folder / "log")
        ),
        distill_config=DistillationConfig(
            temperature=1,
            kd_loss_weight=1,
            hard_label_weight=0,
            kd_loss_type="ce",
            intermediate_matches=matches,
        ),
        model_T=teacher,
        model_S=student,
        adaptor_T=adaptor,
        adaptor_S=adaptor,
    )
    batches = {name: read_batches(folder / f"{name}.safetensors") for name in ("same", "fixed")}
    clock = {"wall": time.perf_counter, "processor": time.process_time}[settings["clock"]]
    print("ready", flush=True)
    for line in sys.stdin:
        student.train()
        begin = clock()
        with contextlib.redirect_stdout(sys.stderr):
            distiller.train(
                optimizer,
                batches[line.strip()],
                num_epochs=1,
                max_grad_norm=1.0,
                output_attentions=True,
                output_hidden_states=True,
            )
        print(clock() - begin, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
