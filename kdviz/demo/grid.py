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
    source="folder",
    student_layers=3,
    epochs=6,
    learning_rate=1e-4,
    teacher_epochs=4,
    teacher_learning_rate=5e-5,
    max_length=64,
    snapshots=12,
    keep_checkpoints=False,
)
MAPS_AFTER = {"cola": (0, 1, 2, 3, 4, 5, 6), "depths": (0, 3, 6)}
MAPS_AFTER_PAIRS = (0, 1, 2, 3, 6)  # pairs are longer, and the whole demo stays below 12 MB
DEPTH_TASK, DEPTH_STRATEGY, DEPTHS = "cola", "all", (1, 2, 4, 5)


def demo_runs(data_dir: str) -> Iterator[tuple[str, RunConfig, tuple[int, ...]]]:
    """(run id, config, epochs after which its maps are stored), the most telling first: one seed of
    everything, depths, more seeds.
    """
    for task in TASKS:
        for strategy in STRATEGIES:
            yield _run(data_dir, task, strategy, 0)
    for depth in DEPTHS:
        yield _run(data_dir, DEPTH_TASK, DEPTH_STRATEGY, 0, depth)
    for task, sizes in TASKS.items():
        for seed in range(1, sizes["seeds"]):
            for strategy in STRATEGIES:
                yield _run(data_dir, task, strategy, seed)


def _run(
    data_dir: str, task: str, strategy: str, seed: int, depth: int = 3
) -> tuple[str, RunConfig, tuple[int, ...]]:
    sizes = {key: TASKS[task][key] for key in ("train_size", "eval_size")}
    config = RunConfig(
        **{
            **SETTINGS,
            **sizes,
            "task": task,
            "strategy": strategy,
            "seed": seed,
            "student_layers": depth,
            "data_dir": data_dir,
        }
    )
    maps_after = MAPS_AFTER["depths"] if depth != 3 else MAPS_AFTER.get(task, MAPS_AFTER_PAIRS)
    return f"demo-{task}-{strategy}-{depth}l-s{seed}", config, maps_after if seed == 0 else ()
