"""Batches of similar lengths train as well as batches of random examples: between them lies what seeds do,
and 2 % of what training gains.
"""

import numpy as np

from kdviz.data.encoded import EncodedSet

SEEDS = range(6)


def random_order(encoded: EncodedSet, *, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Batches as plain shuffling makes them."""
    order = np.random.default_rng([seed, epoch]).permutation(len(encoded))
    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]


def test_similar_lengths_reach_the_loss_of_random_batches(tiny, tmp_path, monkeypatch):
    """Sorting by length can make batches of one kind, and every step's gradient lopsided: training would end
    worse, and only a comparison tells.
    """
    reached = {}
    for name in ("buckets", "random"):
        if name == "random":
            monkeypatch.setattr(EncodedSet, "training_order", random_order)
        runs = [
            tiny.run(f"{name}-{seed}", runs_dir=tmp_path, strategy="all", epochs=4, batch_size=4, seed=seed)
            for seed in SEEDS
        ]
        reached[name] = np.array(
            [[run.evals[-1]["logit_kl"], *run.evals[-1]["mismatch"]["attention_kl"]] for run in runs]
        )
    buckets, random = reached["buckets"], reached["random"]
    error = np.sqrt((buckets.var(axis=0, ddof=1) + random.var(axis=0, ddof=1)) / len(SEEDS))
    before = tiny.run("before", runs_dir=tmp_path, strategy="all", epochs=4, batch_size=4, seed=0).evals[0]
    gained = np.array([before["logit_kl"], *before["mismatch"]["attention_kl"]]) - random.mean(axis=0)
    assert (np.abs(buckets.mean(axis=0) - random.mean(axis=0)) < 3 * error + 0.02 * np.abs(gained)).all()
