"""The loop: trains a student stage by stage, evaluates it, and tells the run folder. It knows no screen."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdviz.data.encoded import Batch
from kdviz.errors import RunFailed
from kdviz.method.objective import Terms
from kdviz.method.stages import StageSchedule
from kdviz.method.strategies import planned_stages
from kdviz.method.targets import stage_needs
from kdviz.method.terms import measured_terms
from kdviz.models.build import weights_digest
from kdviz.models.export import config_of
from kdviz.models.trace import seed_dropout
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.checkpoint import drop_older, latest, load_epoch, save_epoch
from kdviz.runs.epoch_weights import keep_weights
from kdviz.runs.reader import Run
from kdviz.runs.writer import RunWriter
from kdviz.training import settled
from kdviz.training.card import model_card
from kdviz.training.continuation import State, continuation
from kdviz.training.cost import measure_cost
from kdviz.training.epoch import Recipe, train_epoch_of
from kdviz.training.eta import Clock, Stopwatch
from kdviz.training.evaluate import Evaluated, evaluate
from kdviz.training.events import Event, Listener, MomentDue, StageBegun, StepDone
from kdviz.training.export_check import check_export
from kdviz.training.listeners import LossLines, NewestDistance
from kdviz.training.optimise import make_optimizer
from kdviz.training.prepare import Prepared, make_student
from kdviz.training.seeds import derived_seed
from kdviz.training.step import set_trainable, step_terms
from kdviz.training.teacher_score import teacher_score
from kdviz.training.used_rows import train_all_rows, train_used_rows

TRAIN_LINES = 250


class Distillation:
    """One run's training, from its first step or its last checkpoint to its end."""

    def __init__(self, prepared: Prepared, writer: RunWriter, check_stop: Callable[[], None]):
        self.prepared, self.writer, self.check_stop = prepared, writer, check_stop
        self.config, self.pairs = prepared.config, prepared.pairs
        self.terms = measured_terms(self.config.terms if self.config.uses_internal_terms else ())
        self.generator = torch.Generator(device=prepared.device)
        self.student: nn.Module = make_student(prepared)
        seed_dropout(self.student, self.generator)
        train_used_rows(self.student, prepared.train.ids_in_batches)
        self.optimizer = make_optimizer(
            self.student, learning_rate=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        self.schedule = StageSchedule(planned_stages(self.config), self.config.cosine_threshold)
        self.steps_per_epoch = self.config.steps_per_epoch(len(prepared.train))
        self.total_steps = self.steps_per_epoch * self.config.epochs
        self.recipe = Recipe(
            seed=self.config.seed,
            total_steps=self.total_steps,
            learning_rate=self.config.learning_rate,
            warmup_share=self.config.warmup_share,
            max_grad_norm=self.config.max_grad_norm,
        )
        self.moments = prepared.probes.moments(self.total_steps, self.config.snapshots)
        self.epoch = self.step = 0
        self.seconds = {"training": 0.0, "evaluation": 0.0}
        self.watch = Stopwatch()
        self.clock = Clock(
            self.schedule, self.steps_per_epoch, self.config.epochs, self.config.student_layers
        )
        self.distance = NewestDistance()

    @property
    def checkpoints(self) -> Path:
        return self.writer.files.checkpoints

    def start(self) -> None:
        """Show the student as it is before training, or go back to its last checkpoint."""
        score = self._score_teacher()
        if not self._resume():
            self.writer.line({"kind": "teacher_score", "step": 0, "epoch": 0, **score})
            self.begin()
        self.watch.pause()

    def train(self) -> Iterator[None]:
        """All epochs that are left, after `start`. Hands over after every step and every epoch, so that
        several students can take turns; nothing that happens in between changes what is trained. Raises
        Stopped, or RunFailed where the loss is no number any more.
        """
        self.watch.go_on()
        while self.epoch < self.config.epochs:
            for event in self.train_epoch():
                if isinstance(event, StepDone):
                    self.watch.pause()
                    yield
                    self.watch.go_on()
            self._end_epoch()
            yield

    def _score_teacher(self) -> dict[str, Any]:
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
        found = continuation(self.writer)
        if found is None:
            self.writer.keep_teacher_lines()
            return False
        state = load_epoch(found, State, model=self.student, optimizer=self.optimizer)
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.schedule = StageSchedule(
            self.schedule.stages,
            self.schedule.threshold,
            index=state["stage_index"],
            epochs_in_stage=state["epochs_in_stage"],
        )
        self.writer.cut_metrics(state["metrics_bytes"], then=state["eval"])
        self._mend(state.get("evaluation_sha256"))
        self._publish(None)
        return True

    def _mend(self, evaluation_sha256: str | None) -> None:
        """Write again what the run's folder has lost since, and what can be made again: the results by
        example of the checkpoint's epoch, and the probes.
        """
        if not self.writer.has_evaluation(self.epoch, evaluation_sha256):
            main = next(iter(self.prepared.evaluations))
            self.writer.evaluation(self.epoch, self._evaluated(main, with_cka=False))
        probes = self.prepared.probes
        if not self.writer.has_probes(probes.ids):
            self.writer.probes(probes.rows, probes.teacher_maps)

    def begin(self) -> None:
        probes = self.prepared.probes
        self.writer.probes(probes.rows, probes.teacher_maps)
        self.probe()
        self._evaluate_and_publish()

    def train_epoch(self) -> Iterator[Event]:
        """One epoch in the present stage; every event is told to the listeners, and then handed on."""
        begin, listeners = self.watch.seconds, self._listeners()
        for event in self._events():
            for listener in listeners:
                listener(event)
            yield event
        self.seconds["training"] += self.watch.seconds - begin

    def _listeners(self) -> tuple[Listener, ...]:
        """Those of one epoch. Made anew for each: kept in `self` they would refer back to it, and weights and
        kept outputs of run after run would stay in memory until Python looks for such rings.
        """
        lines = LossLines(
            self.total_steps // TRAIN_LINES,
            self._train_line,
            what="the loss",
            advice=f"lower learning_rate (now {self.config.learning_rate:g})",
        )
        return self._follow, lines, self.distance, self.clock, self._tell_step

    def _events(self) -> Iterator[Event]:
        stage, prepared = self.schedule.current, self.prepared
        yield StageBegun(step=self.step, epoch=self.epoch, index=self.schedule.index, stage=stage)
        set_trainable(self.student, stage)
        yield from train_epoch_of(
            self.student,
            self.optimizer,
            self.generator,
            self.recipe,
            prepared.train.training_order(
                batch_size=self.config.batch_size,
                seed=derived_seed("order", self.config.seed),
                epoch=self.epoch,
            ),
            batch_of=prepared.batches.of,
            terms_of=self._terms,
            first_step=self.step,
            before_step=lambda step: self.check_stop(),
            moments=self.moments,
        )

    def _terms(self, batch: Batch) -> Terms:
        """Ask teacher and student as far as the stage needs them, and form its terms."""
        stage, config = self.schedule.current, self.config
        teacher = self.prepared.train_outputs.gather(batch, stage_needs(stage, self.pairs, config))
        return step_terms(
            self.student,
            batch,
            teacher,
            stage=stage,
            pairs=self.pairs,
            settings=config,
            generator=self.generator,
            run_in=self.prepared.run_in,
        )

    def _follow(self, event: Event) -> None:
        """What the run itself does at an event: count steps, note a stage's beginning, store a moment."""
        if isinstance(event, StepDone):
            self.step = event.step
        elif isinstance(event, MomentDue):
            self.probe()
        elif isinstance(event, StageBegun):
            self.watch.lap()
            if self.schedule.epochs_in_stage == 0:
                self.writer.line(
                    {
                        "kind": "stage",
                        "step": event.step,
                        "epoch": event.epoch,
                        "index": event.index,
                        "stage": event.stage.to_dict(),
                    }
                )

    def _train_line(self, event: StepDone, means: dict[str, Any], num_steps: int) -> None:
        self.writer.line(
            {
                "kind": "train",
                "step": event.step,
                "epoch": event.step / self.steps_per_epoch,
                "stage": self.schedule.current.for_metrics(),
                "loss": means["total"],
                "losses": {name: value for name, value in means.items() if name != "total"},
                "learning_rate": event.learning_rate,
                "seconds": self.watch.lap(),
                "steps": num_steps,
            }
        )

    def probe(self) -> None:
        """Store the student's maps of the probes, and the mismatch over the probes alone."""
        mismatch, results, maps = self.prepared.probes.measure(self.student, self.pairs, self.terms)
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
        moved = self.schedule.epoch_ended(self.distance.take())
        if moved:
            self.writer.log.info("stage %d begins after epoch %d", self.schedule.index + 1, self.epoch)
        self._evaluate_and_publish()

    def _evaluate_and_publish(self) -> None:
        """Evaluate, make the epoch safe, then show it: a crash in between loses nothing that was shown."""
        begin = time.perf_counter()
        prepared = self.prepared
        record: dict[str, Any] = {}
        measuring = 0.0
        self._tell("evaluating", force=True)
        for name in prepared.evaluations:
            evaluated = self._evaluated(name, with_cka=not record)
            measuring += evaluated.seconds
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
        self.clock.evaluated(max(measuring, record["seconds"]))
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "stage_index": self.schedule.index,
            "epochs_in_stage": self.schedule.epochs_in_stage,
            **self.writer.secured_metrics(),
            "evaluation_sha256": self.writer.evaluation_sha256(self.epoch),
            "settings": settled.lasting_settings(self.config),
            "eval": record,
        }
        save_epoch(self.checkpoints, self.epoch, model=self.student, optimizer=self.optimizer, state=state)
        self._publish(record)

    def _evaluated(self, name: str, *, with_cka: bool) -> Evaluated:
        """The student's answers to the evaluation set of that name. Before training, students of several
        strategies are one and the same: they are measured once.
        """

        def measure() -> Evaluated:
            return evaluate(
                self.student,
                self.prepared.evaluations[name],
                self.prepared.evaluation_outputs[name],
                self.pairs,
                num_teacher_layers=self.prepared.num_teacher_layers,
                terms=self.terms,
                with_cka=with_cka,
                tick=self.check_stop,
            )

        if self.step:
            return measure()
        terms, weights = tuple(term.key for term in self.terms), weights_digest(self.student)
        found: Evaluated = self.prepared.once(
            "before training", measure, name, with_cka, self.pairs, terms, weights
        )
        return found

    def _publish(self, record: dict[str, Any] | None) -> None:
        """Everything a finished epoch shows, from its checkpoint; done again after a crash it gives the same
        files.

        `record` is the eval line, or None where it stands in metrics.jsonl already.
        """
        folder = latest(self.checkpoints)
        if folder is None:
            raise RunFailed(f"{self.checkpoints} has lost its checkpoint; start a new run")
        self.writer.predictions(self.epoch)
        self.writer.student(
            folder / SAFETENSORS,
            config_of(self.student, self.prepared.task.labels),
            self.prepared.teacher_folder,
        )
        keep_weights(self.writer.folder, folder / SAFETENSORS, self.epoch, self.config)
        if record:
            self.writer.line(record)
        self.writer.summary(self.prepared.task.primary_metric, {"seconds": self.seconds})
        self.writer.card(model_card(Run(self.writer.folder)))
        drop_older(self.checkpoints, self.epoch)
        self._tell("distilling", force=True)

    def finish(self) -> None:
        """Measure what teacher and student cost, once training is over."""
        self._tell("measuring cost", force=True)
        train_all_rows(self.student)
        main = next(iter(self.prepared.evaluations.values()))
        cost = measure_cost(
            self.prepared.teacher,
            self.prepared.teacher_folder,
            self.student,
            self.writer.files.student,
            main,
            tick=self.check_stop,
        )
        check_export(self.writer.folder, self.epoch, self.prepared.samples, self.config.max_length)
        self.writer.summary(self.prepared.task.primary_metric, {"seconds": self.seconds, "cost": cost})

    def _tell_step(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self._tell("distilling")

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
            seconds_left=self.clock.seconds_left(self.step, self.epoch),
            steps_per_second=self.clock.steps_per_second,
        )
