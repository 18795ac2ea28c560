"""Which runs the stored demo consists of."""

from collections.abc import Iterator

from kdviz.config import STRATEGIES, RunConfig

TASKS = {
    # Sizes for a machine without a GPU: an hour or two in all. With one, raise them and build again.
    "cola": dict(train_size=4000, eval_size=None, seeds=3),
    "qqp": dict(train_size=2000, eval_size=1000, seeds=1),
    "mrpc": dict(train_size=1500, eval_size=None, seeds=1),
    "rte": dict(train_size=1000, eval_size=None, seeds=3),
}
SETTINGS = dict(
    source="folder", student_layers=3, epochs=6, learning_rate=1e-4, teacher_epochs=4, teacher_learning_rate=5e-5, max_length=64, snapshots=12, keep_checkpoints=False,
)
DEPTH_TASK, DEPTH_STRATEGY, DEPTHS = "cola", "all", (1, 2, 4, 5)


def demo_runs(data_dir: str) -> Iterator[tuple[str, RunConfig, bool]]:
    """(run id, config, whether its maps are stored), the most telling first: one seed of everything, depths, more seeds."""
    for task in TASKS:
        for strategy in STRATEGIES:
            yield _run(data_dir, task, strategy, 0)
    for depth in DEPTHS:
        yield _run(data_dir, DEPTH_TASK, DEPTH_STRATEGY, 0, depth)
    for task, sizes in TASKS.items():
        for seed in range(1, sizes["seeds"]):
            for strategy in STRATEGIES:
                yield _run(data_dir, task, strategy, seed)


def _run(data_dir: str, task: str, strategy: str, seed: int, depth: int = 3) -> tuple[str, RunConfig, bool]:
    sizes = {key: TASKS[task][key] for key in ("train_size", "eval_size")}
    config = RunConfig(**{**SETTINGS, **sizes, "task": task, "strategy": strategy, "seed": seed, "student_layers": depth, "data_dir": data_dir})
    return f"demo-{task}-{strategy}-{depth}l-s{seed}", config, seed == 0
