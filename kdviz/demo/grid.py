"""Which runs the stored demo consists of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kdviz.config import RunConfig
from kdviz.method.strategies import STRATEGIES
from kdviz.models.registry import TEACHERS

TWICE_AN_EPOCH, EVERY_EPOCH, EVERY_SECOND, ENDS_AND_MIDDLE, BEFORE_AND_AFTER = 0.5, 1.0, 2.0, 4.0, 8.0


@dataclass(frozen=True, kw_only=True)
class DemoRun:
    """A run of the demo. `epochs_between_maps`: of its stored moments (None: scores and the last evaluation
    alone).

    `answers_at_ends`: of the results by example those before training and after it alone. `with_weights`:
    teacher and student are stored too, so that it can be asked about one's own sentence.
    """

    id: str
    config: RunConfig
    epochs_between_maps: float | None
    answers_at_ends: bool = False
    with_weights: bool = False


# The paper's geometry: twelve teacher layers, of which the student's six are matched with 2, 4, …, 12. PID
# and SID need an epoch for each of six pairs before their last stage, so every strategy gets eight.
PAPER = {
    "teacher": "mpnet-base",
    "student_layers": 6,
    "epochs": 8,
    "learning_rate": 5e-5,
    "teacher_epochs": 3,
    "teacher_learning_rate": 3e-5,
}
# Half as many epochs are enough for soft labels and all layers at once, not for PID and SID.
PAPER_SHORT = PAPER | {"epochs": 4}
# What one's own machine does in minutes, and what one's own question pair is answered by.
SMALL = {
    "teacher": "minilm-l6",
    "student_layers": 3,
    "epochs": 3,
    "learning_rate": 1e-4,
    "teacher_epochs": 2,
    "teacher_learning_rate": 5e-5,
    "keep_checkpoints": True,
}
COMMON = {
    "source": "folder",
    "train_size": None,
    "eval_size": None,
    "max_length": 64,
    "snapshots": 20,
    "keep_checkpoints": False,
}
NUM_SEEDS = 3
DEPTHS, DEPTH_SEED = (1, 2, 3, 4), 1
FIRST_DEPTHS = (1, 2)  # with maps, of the first screen's teacher; all of them are of the second teacher's
OWN_TEACHERS = ("cola",)  # tasks of which every seed has a teacher fine-tuned anew; else seeds share one
TELLING = ("soft", "all")  # their maps are shown at every stored moment; the others' at fewer
TELLING_FIRST = (*TELLING, *(name for name in STRATEGIES if name not in TELLING))


def demo_runs(data_dir: str) -> Iterator[DemoRun]:
    """The most telling first: those that answer one's own sentence, every strategy on CoLA, depths, then the
    other tasks and more seeds. Question pairs (QQP) have the small models alone: in the paper's geometry an
    epoch of them has 898 steps of longer texts, against CoLA's 268.
    """
    for strategy in TELLING:
        yield replace(_run(data_dir, "qqp", strategy, settings=SMALL), with_weights=True)
    for strategy in TELLING_FIRST:
        yield _run(data_dir, "cola", strategy)
    for depth in FIRST_DEPTHS:
        yield _run(data_dir, "cola", "all", depth=depth)
    for depth in DEPTHS:
        yield _run(data_dir, "cola", "all", seed=DEPTH_SEED, depth=depth)
    yield _run(data_dir, "qqp", "hard", settings=SMALL)
    for strategy in TELLING_FIRST:
        yield _run(data_dir, "rte", strategy)
    for strategy in TELLING:
        yield _run(data_dir, "mrpc", strategy, settings=PAPER_SHORT)
    for seed in range(1, NUM_SEEDS):
        for strategy in TELLING:
            yield _run(data_dir, "mrpc", strategy, seed=seed, settings=PAPER_SHORT)
        for task in ("cola", "rte"):
            for strategy in STRATEGIES:
                yield _run(data_dir, task, strategy, seed=seed)


def _run(
    data_dir: str,
    task: str,
    strategy: str,
    *,
    seed: int = 0,
    depth: int | None = None,
    settings: dict = PAPER,
) -> DemoRun:
    depth = depth or settings["student_layers"]
    config = RunConfig(
        **{
            **COMMON,
            **settings,
            "task": task,
            "strategy": strategy,
            "seed": seed,
            "data_seed": seed if task in OWN_TEACHERS else 0,
            "student_layers": depth,
            "data_dir": data_dir,
        }
    )
    teacher_layers, is_deepest = TEACHERS[config.teacher].num_layers, depth == settings["student_layers"]
    return DemoRun(
        id=f"demo-{task}-{strategy}-{depth}of{teacher_layers}-s{seed}",
        config=config,
        epochs_between_maps=_epochs_between_maps(config, is_deepest=is_deepest),
        answers_at_ends=not is_deepest,
    )


def _epochs_between_maps(config: RunConfig, *, is_deepest: bool) -> float | None:
    """The first screen's task most finely. Pairs of sentences are longer, so their maps take more of the room
    that there is.
    """
    if config.seed != 0:
        return None
    if not is_deepest:
        return ENDS_AND_MIDDLE
    telling = config.strategy in TELLING
    if config.task == "cola":
        return TWICE_AN_EPOCH if telling else EVERY_EPOCH
    if not telling:
        return BEFORE_AND_AFTER
    return EVERY_EPOCH if config.epochs < PAPER_SHORT["epochs"] else EVERY_SECOND
