"""The loop: trains a student stage by stage, evaluates it, and tells the run folder. It knows no screen."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdviz.errors import RunFailed
from kdviz.method.objective import Terms, set_trainable, stage_needs, step_terms
from kdviz.method.stages import StageSchedule, planned_stages
from kdviz.models.build import config_of
from kdviz.models.trace import seed_dropout
from kdviz.runs.checkpoint import drop_older, latest, load_epoch, save_epoch
from kdviz.runs.epoch_weights import keep_weights
from kdviz.runs.writer import RunWriter
from kdviz.training.cost import measure_cost
from kdviz.training.eta import Clock
from kdviz.training.evaluate import evaluate
from kdviz.training.optimise import derived_seed, learning_rate_at, make_optimizer, optimizer_step
from kdviz.training.prepare import Prepared, make_student
from kdviz.training.teacher import teacher_score
from kdviz.training.used_rows import train_all_rows, train_used_rows

TRAIN_LINES = 250


class Distillation:
    """One run's training, from its first step or its last checkpoint to its end."""

    def __init__(self, prepared: Prepared, writer: RunWriter, check_stop: Callable[[], None]):
        self.prepared, self.writer, self.check_stop = prepared, writer, check_stop
        self.config, self.pairs = prepared.config, prepared.pairs
        self.generator = torch.Generator(device=prepared.device)
        self.student: nn.Module = make_student(prepared)
        seed_dropout(self.student, self.generator)
        train_used_rows(self.student, prepared.train.tokens)
        self.optimizer = make_optimizer(
            self.student, learning_rate=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        self.schedule = StageSchedule(planned_stages(self.config), self.config.cosine_threshold)
        self.steps_per_epoch = math.ceil(len(prepared.train) / self.config.batch_size)
        self.total_steps = self.steps_per_epoch * self.config.epochs
        self.moments = prepared.probes.moments(self.total_steps, self.config.snapshots)
        self.epoch = self.step = 0
        self.seconds = {"training": 0.0, "evaluation": 0.0}
        self.clock = Clock(
            self.schedule, self.steps_per_epoch, self.config.epochs, self.config.student_layers
        )
        self._recent: list[Terms] = []
        self._recent_begin = time.perf_counter()

    @property
    def checkpoints(self):
        return self.writer.folder / "checkpoints"

    def run(self) -> None:
        """Train to the end. Raises Stopped, or RunFailed where the loss is no number any more."""
        score = self._score_teacher()
        if not self._resume():
            self.writer.line({"kind": "teacher_score", "step": 0, "epoch": 0, **score})
            self.begin()
        while self.epoch < self.config.epochs:
            self.train_epoch()
            self._end_epoch()
        self._finish()

    def _score_teacher(self) -> dict:
        prepared = self.prepared
        name, main = next(iter(prepared.evaluations.items()))
        self.writer.update_status(force=True, phase="evaluating", phase_progress=None)
        return teacher_score(
            prepared.teacher,
            prepared.teacher_folder,
            prepared.task,
            main,
            prepared.evaluation_outputs[name].logits,
            tick=self.check_stop,
        )

    def _resume(self) -> bool:
        """Continue from the newest checkpoint; False where there is none (metrics are then begun anew)."""
        found = latest(self.checkpoints)
        if found is None:
            self.writer.keep_teacher_lines()
            return False
        state = load_epoch(found, model=self.student, optimizer=self.optimizer)
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.schedule.index, self.schedule.epochs_in_stage = state["stage_index"], state["epochs_in_stage"]
        self.writer.cut_metrics(state["metrics_bytes"], then=state["eval"])
        self._publish(None)
        return True

    def begin(self) -> None:
        probes = self.prepared.probes
        self.writer.probes(probes.rows, probes.teacher_maps)
        self.probe()
        self._evaluate_and_publish()

    def train_epoch(self) -> None:
        config, stage = self.config, self.schedule.current
        if self.schedule.epochs_in_stage == 0:
            self.writer.line(
                {
                    "kind": "stage",
                    "step": self.step,
                    "epoch": self.epoch,
                    "index": self.schedule.index,
                    "stage": stage.to_dict(),
                }
            )
        set_trainable(self.student, stage)
        needs = stage_needs(stage, self.pairs, config)
        every = max(1, self.total_steps // TRAIN_LINES)
        self.student.train()
        self._recent, self._recent_begin, begin = [], time.perf_counter(), time.perf_counter()
        distances: list[Tensor] = []
        order = self.prepared.train.training_order(
            batch_size=config.batch_size, seed=derived_seed("order", config.seed), epoch=self.epoch
        )
        for number, positions in enumerate(order, start=1):
            self.check_stop()
            batch = self.prepared.train.batch(positions).to(self.prepared.device)
            teacher = self.prepared.train_outputs.gather(batch, needs)
            self.generator.manual_seed(derived_seed(config.seed, "step", self.step))
            terms = step_terms(
                self.student,
                batch,
                teacher,
                stage=stage,
                pairs=self.pairs,
                config=config,
                generator=self.generator,
                run_in=self.prepared.run_in,
            )
            terms.total.backward()
            learning_rate = learning_rate_at(
                self.step,
                total_steps=self.total_steps,
                peak=config.learning_rate,
                warmup_share=config.warmup_share,
            )
            optimizer_step(
                self.optimizer,
                self.student.parameters(),
                learning_rate=learning_rate,
                max_grad_norm=config.max_grad_norm,
            )
            self.step += 1
            self._recent.append(terms.detached())
            if terms.newest_cls_distance is not None:
                distances.append(terms.newest_cls_distance.detach() * len(positions))
            if self.step % every == 0 or number == len(order):
                self._train_line(learning_rate)
            self.clock.step(self.schedule.index)
            if self.step in self.moments:
                self.probe()
            self._tell("distilling")
        self.seconds["training"] += time.perf_counter() - begin
        self.newest_distance = (
            float(torch.stack(distances).sum()) / len(self.prepared.train) if distances else None
        )

    def _train_line(self, learning_rate: float) -> None:
        """Write the mean of the terms since the last line; the only place where numbers leave the device."""
        means, stage = Terms.means(self._recent), self.schedule.current
        record = {
            "kind": "train",
            "step": self.step,
            "epoch": self.step / self.steps_per_epoch,
            "stage": stage.for_metrics(),
            "loss": means.pop("total"),
            "losses": means,
            "learning_rate": learning_rate,
            "seconds": time.perf_counter() - self._recent_begin,
            "steps": len(self._recent),
        }
        self.writer.line(record)
        if not math.isfinite(record["loss"]):
            raise RunFailed(
                f"the loss became {record['loss']} at step {self.step} of {self.total_steps}; lower "
                f"learning_rate (now {self.config.learning_rate:g})"
            )
        self._recent, self._recent_begin = [], time.perf_counter()

    def probe(self) -> None:
        """Store the student's maps of the probes, and the mismatch over the probes alone."""
        mismatch, results, maps = self.prepared.probes.measure(self.student, self.pairs)
        self.writer.snapshot(self.step, maps)
        self.writer.line(
            {
                "kind": "probe",
                "step": self.step,
                "epoch": self.step / self.steps_per_epoch,
                "mismatch": mismatch,
                "probes": results,
            }
        )

    def _end_epoch(self) -> None:
        self.epoch += 1
        moved = self.schedule.epoch_ended(self.newest_distance)
        if moved:
            self.writer.log.info("stage %d begins after epoch %d", self.schedule.index + 1, self.epoch)
        self._evaluate_and_publish()

    def _evaluate_and_publish(self) -> None:
        """Evaluate, make the epoch safe, then show it: a crash in between loses nothing that was shown."""
        begin = time.perf_counter()
        prepared, record = self.prepared, {}
        self._tell("evaluating", force=True)
        for name, encoded in prepared.evaluations.items():
            evaluated = evaluate(
                self.student,
                encoded,
                prepared.evaluation_outputs[name],
                self.pairs,
                num_teacher_layers=prepared.num_teacher_layers,
                with_cka=not record,
                tick=self.check_stop,
            )
            if record:
                record.setdefault("other_sets", {})[name] = evaluated.record(prepared.task)
            else:
                record = {
                    "kind": "eval",
                    "step": self.step,
                    "epoch": self.epoch,
                    **evaluated.record(prepared.task),
                }
                self.writer.evaluation(self.epoch, evaluated)
        record["seconds"] = time.perf_counter() - begin
        self.seconds["evaluation"] += record["seconds"]
        self.clock.evaluated(record["seconds"])
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "stage_index": self.schedule.index,
            "epochs_in_stage": self.schedule.epochs_in_stage,
            "metrics_bytes": self.writer.secured_bytes(),
            "eval": record,
        }
        save_epoch(self.checkpoints, self.epoch, model=self.student, optimizer=self.optimizer, state=state)
        self._publish(record)

    def _publish(self, record: dict | None) -> None:
        """Everything a finished epoch shows, from its checkpoint; done again after a crash it gives the same
        files.

        `record` is the eval line, or None where it stands in metrics.jsonl already.
        """
        folder = latest(self.checkpoints)
        self.writer.predictions(self.epoch)
        self.writer.student(
            folder / "model.safetensors", config_of(self.student), self.prepared.checkpoint.folder
        )
        keep_weights(self.writer.folder, folder / "model.safetensors", self.epoch, self.config)
        if record:
            self.writer.line(record)
        self.writer.summary(self.prepared.task.primary_metric, {"seconds": self.seconds})
        self.writer.card()
        drop_older(self.checkpoints, self.epoch)
        self._tell("distilling", force=True)

    def _finish(self) -> None:
        self._tell("measuring cost", force=True)
        train_all_rows(self.student)
        main = next(iter(self.prepared.evaluations.values()))
        cost = measure_cost(
            self.prepared.teacher,
            self.prepared.teacher_folder,
            self.student,
            self.writer.folder / "student",
            main,
            tick=self.check_stop,
        )
        self.writer.summary(self.prepared.task.primary_metric, {"seconds": self.seconds, "cost": cost})

    def _tell(self, phase: str, *, force: bool = False) -> None:
        self.writer.update_status(
            force=force,
            phase=phase,
            step=self.step,
            total_steps=self.total_steps,
            epoch=self.epoch,
            stage=self.schedule.index,
            waiting=None,
            phase_progress=None,
            seconds_left=self.clock.seconds_left(self.step, self.epoch, self.schedule.index),
            steps_per_second=self.clock.steps_per_second,
        )
