"""Numbers of the comparison, against scipy, scikit-learn and plain definitions."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz import analysis as compare
from kdviz.analysis.cka import FEW_EXAMPLES
from kdviz.config import RunConfig
from kdviz.metrics import scores
from kdviz.runs.arrays import ROOT_STEPS
from kdviz.runs.writer import RunWriter
from kdviz.tasks import TASKS

RANDOM = np.random.default_rng(0)


def maps(*shape: int, seed: int = 0, sharp: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 1 / sharp), shape[:-1])


def test_row_kl_is_scipys_entropy():
    """A swapped direction or another logarithm would still look like a KL."""
    from scipy.stats import entropy

    teacher, student = maps(4, 9, 9, seed=1), maps(4, 9, 9, seed=2)
    assert compare.row_kl(teacher, student) == pytest.approx(entropy(teacher, student, axis=-1), abs=1e-12)
    assert not np.allclose(compare.row_kl(teacher, student), compare.row_kl(student, teacher))


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 1000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_map_against_itself_is_exactly_zero(heads, tokens, seed, stored_as_bytes):
    """Teacher against itself has to read 0.000 whatever the storage; a one-sided epsilon would leave a
    residue.
    """
    teacher = maps(heads, tokens, tokens, seed=seed, sharp=10)
    if stored_as_bytes:
        teacher = np.round(teacher * 255)
        teacher = teacher / np.maximum(teacher.sum(axis=-1, keepdims=True), 1)
    assert (compare.row_kl(teacher, teacher) == 0).all()


@given(st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_kl_is_finite_and_not_negative_with_exact_zeros(seed):
    """One stored zero would make a whole layer infinite, and a floor without rescaling would make it
    negative.
    """
    teacher, student = (np.round(maps(2, 8, 8, seed=seed + k, sharp=20) * 255) for k in (0, 5000))
    teacher, student = (side / np.maximum(side.sum(axis=-1, keepdims=True), 1) for side in (teacher, student))
    kl = compare.row_kl(teacher, student)
    assert np.isfinite(kl).all() and (kl >= 0).all()


@pytest.mark.parametrize("precision", ["float16", "bytes"])
def test_stored_maps_give_nearly_the_kl_of_the_exact_ones(precision):
    """The epsilon has to match the storage: one for float16 used on bytes would overstate every missing
    link.
    """
    teacher, student = maps(6, 16, 16, seed=3, sharp=4), maps(6, 16, 16, seed=4, sharp=4)
    student = 0.8 * teacher + 0.2 * student
    exact = compare.row_kl(teacher, student).mean()
    if precision == "float16":
        stored = [side.astype(np.float16).astype(np.float32) for side in (teacher, student)]
    else:
        stored = [np.round(np.sqrt(side) * ROOT_STEPS) ** 2 for side in (teacher, student)]
        stored = [side / side.sum(axis=-1, keepdims=True) for side in stored]
        assert any((side == 0).any() for side in stored)
    assert compare.row_kl(*stored).mean() == pytest.approx(exact, rel=0.02)


def test_layers_heads_and_rows_average_to_each_other():
    """Row bars have to average to the number shown beside them, at every level."""
    teacher, student, pairs = maps(6, 4, 7, 7, seed=5), maps(3, 4, 7, 7, seed=6), [(0, 1), (1, 3), (2, 5)]
    by_head = compare.pair_kl_heads(teacher, student, pairs)
    assert by_head.shape == (3, 4)
    assert compare.pair_kl(teacher, student, pairs) == pytest.approx(by_head.mean(axis=1))
    for place, (student_layer, teacher_layer) in enumerate(pairs):
        rows = compare.row_kl(teacher[teacher_layer], student[student_layer])
        assert rows.mean(axis=1) == pytest.approx(by_head[place])


def test_filters_keep_what_they_say():
    """Hiding [CLS] without saying whether rows were rescaled would change every number silently."""
    tokens = ["[CLS]", "a", "b", "[SEP]", "c", "[SEP]"]
    attention = maps(2, 6, 6, seed=9)
    plain, kept_words, kept = compare.filter_maps(attention, tokens, hide_special=True)
    assert kept == [1, 2, 4] and kept_words == ["a", "b", "c"]
    assert np.array_equal(plain, attention[:, [1, 2, 4]][:, :, [1, 2, 4]]) and (plain.sum(axis=-1) < 1).all()
    scaled, _, _ = compare.filter_maps(attention, tokens, hide_special=True, renormalise=True)
    assert scaled.sum(axis=-1) == pytest.approx(1.0)
    thin, _, _ = compare.filter_maps(attention, tokens, threshold=0.2)
    assert np.array_equal(np.isnan(thin), attention < 0.2) and np.array_equal(
        thin[attention >= 0.2], attention[attention >= 0.2]
    )
    same, _, everything = compare.filter_maps(attention, tokens)
    assert np.array_equal(same, attention) and everything == list(range(6))
    assert compare.kept_tokens(["[CLS]", "[SEP]"], hide_special=True) == [0, 1]
    with pytest.raises(ValueError, match="6 x 6|3 x 3"):
        compare.filter_maps(attention, tokens[:3])


@given(st.permutations(range(6)), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_permuted_teacher_is_recovered_exactly(order, seed):
    """An assignment read along the wrong axis gives the inverse permutation and looks just as plausible."""
    probes = [maps(6, size, size, seed=seed + size) for size in (5, 8)]
    matrix = compare.head_kl_matrix(probes, [probe[list(order)] for probe in probes])
    match = compare.match_heads(matrix)
    assert [order[student] for student in match.student_heads] == list(range(6))
    assert match.matched_kl == 0 and match.gain == match.same_index_kl
    assert match.moved == sum(place != value for place, value in enumerate(order))


@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_best_partners_never_lose_to_same_index(num_teacher, num_student, seed):
    """A gain below zero would mean that the assignment is not the best one."""
    matrix = np.random.default_rng(seed).random((num_teacher, num_student))
    match = compare.match_heads(matrix)
    partners = [head for head in match.student_heads if head >= 0]
    assert len(set(partners)) == len(partners) == min(num_teacher, num_student)
    if num_teacher == num_student:
        assert match.gain >= 0


def test_head_matrix_holds_the_kl_of_every_two_heads():
    """Broadcasting the wrong way round transposes the matrix without an error."""
    teacher, student = maps(3, 6, 6, seed=10), maps(4, 6, 6, seed=11)
    matrix = compare.head_kl_matrix([teacher], [student])
    assert matrix.shape == (3, 4)
    assert matrix[2, 1] == pytest.approx(compare.row_kl(teacher[2], student[1]).mean())


def test_equal_heads_are_not_called_reshuffled_and_drift_counts_changes():
    """Ties broken by chance would show drift where nothing moved."""
    match = compare.match_heads(np.zeros((4, 4)))
    assert match.student_heads == (0, 1, 2, 3) and match.moved == 0
    swapped = compare.HeadMatch(student_heads=(1, 0, 2, 3), matched_kl=0.0, same_index_kl=1.0)
    assert compare.head_drift([match, match, swapped, match]) == [0, 0, 2, 2]
    assert compare.head_drift([]) == []


def linear_cka(first, second) -> float:
    """CKA of two feature matrices over the same examples."""
    running = compare.RunningCka()
    running.add([np.asarray(first, dtype=np.float64)], [np.asarray(second, dtype=np.float64)])
    return float(running.matrix()[0, 0])


@given(st.integers(3, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.floats(0.01, 100))
@settings(max_examples=40, deadline=None)
def test_cka_ignores_rotation_scale_and_shift(num, wide, narrow, seed, scale):
    """A CKA without centring depends on the mean vector, which says nothing about the geometry."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(num, wide)), random.normal(size=(num, narrow))
    rotation = np.linalg.qr(random.normal(size=(wide, wide)))[0]
    value = linear_cka(first, second)
    assert 0 <= value <= 1
    assert linear_cka(first @ rotation * scale + 3, second) == pytest.approx(value, abs=1e-8)
    assert linear_cka(first, first @ rotation * scale) == pytest.approx(1.0)
    assert linear_cka(second, first) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("chunk", [compare.RunningCka.CHUNK, 8])
@pytest.mark.parametrize("sizes", [[50], [1] * 50, [7] * 7 + [1], [1024, 1024, 76], [30, 2000, 1]])
def test_running_cka_is_that_of_all_examples_at_once(sizes, chunk, monkeypatch):
    """Whole-set features of a large model do not fit into memory; sums over chunks that lose the mean, or the
    digits, would shift every cell a little.
    """
    monkeypatch.setattr(compare.RunningCka, "CHUNK", chunk)
    rng, num = np.random.default_rng(1), sum(sizes)
    base = rng.normal(size=(num, 12)) * 3 + 40  # far from zero: [CLS] vectors have a large common part
    base += np.linspace(0, 10, num)[:, None]  # and a set in order of length is not like its first chunk
    students = [base[:, :8] @ rng.normal(size=(8, 6)) + rng.normal(size=(num, 6)) for _ in range(2)]
    teachers = [base @ rng.normal(size=(12, 9)) + rng.normal(size=(num, 9)) for _ in range(3)]
    running, begin = compare.RunningCka(), 0
    for size in sizes:
        part = slice(begin, begin + size)
        running.add(*([layer[part].astype(np.float32) for layer in side] for side in (students, teachers)))
        begin += size

    def by_definition(first, second):
        first, second = first - first.mean(0), second - second.mean(0)
        own = np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
        return np.linalg.norm(second.T @ first) ** 2 / own

    expected = [[by_definition(student, teacher) for teacher in teachers] for student in students]
    assert running.matrix() == pytest.approx(np.array(expected), abs=2e-5)
    assert running.matrix() == pytest.approx(np.array(expected), abs=2e-5), "asking changes nothing"


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e200])
def test_cka_of_numbers_that_are_not_finite_is_none(broken):
    """A student that diverged would be drawn as one that has nothing to do with the teacher: similarity 0."""
    first = np.random.default_rng(0).normal(size=(20, 3))
    first[4, 1] = broken
    with np.errstate(all="ignore"):
        assert np.isnan(linear_cka(first, np.random.default_rng(1).normal(size=(20, 4))))


def test_cka_of_few_examples_is_far_from_0_for_vectors_that_have_nothing_in_common():
    """The page says below how many examples 0 is no measure: with another formula that may not hold."""
    draw = np.random.default_rng(0)
    scales = np.arange(1, 65) ** -0.5  # some directions carry more, as in [CLS] vectors
    few, enough, many = (
        linear_cka(draw.normal(size=(num, 64)) * scales, draw.normal(size=(num, 64)) * scales)
        for num in (8, FEW_EXAMPLES, 4000)
    )
    assert few > 0.5 > 0.2 > enough > many and many < 0.02


def test_running_cka_keeps_no_examples():
    """All of QQP with twelve layers was 2.2 GB: the memory must not grow with the number of examples."""
    running = compare.RunningCka()
    for _ in range(40):
        batch = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
        running.add([batch], [batch])
    held = [
        array for name, value in vars(running).items() if name != "_waiting" for array in _arrays_in(value)
    ]
    waiting = _arrays_in(running._waiting)
    assert sum(array.nbytes for array in held) < 10_000
    assert sum(len(array) for array in waiting) <= 2 * running.CHUNK


def _arrays_in(value):
    if isinstance(value, np.ndarray):
        return [value]
    return [array for each in value for array in _arrays_in(each)] if isinstance(value, list) else []


def test_cka_is_the_normalised_hsic_of_linear_kernels():
    """The shortcut through cross-products has to equal the definition with centred kernels."""
    first, second = RANDOM.normal(size=(20, 5)), RANDOM.normal(size=(20, 7))
    centre = np.eye(20) - 1 / 20
    left, right = centre @ first @ first.T @ centre, centre @ second @ second.T @ centre
    expected = (left * right).sum() / np.sqrt((left * left).sum() * (right * right).sum())
    assert linear_cka(first, second) == pytest.approx(expected)
    assert linear_cka(first, np.ones((20, 3))) == 0


def test_output_kl_is_scipys_and_safe_for_large_logits():
    """A softmax that overflows gives NaN for exactly the confident examples."""
    from scipy.special import softmax
    from scipy.stats import entropy

    teacher, student = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(30, 3))
    expected = entropy(softmax(teacher, axis=1), softmax(student, axis=1), axis=1)
    assert compare.output_kl(teacher, student) == pytest.approx(expected)
    assert compare.output_kl(teacher, teacher + 5) == pytest.approx(np.zeros(30), abs=1e-12)
    assert np.isfinite(compare.output_kl(np.array([[900.0, -900]]), np.array([[-900.0, 900]]))).all()


def test_ranking_lists_agreeing_examples_most_different_inside_first():
    """An example on which the answers differ does not show "same answer, different inside"."""
    teacher = np.array([[2.0, 0], [0, 2], [2, 0], [0, 2]])
    far = compare.inside(
        [10, 11, 12, 13],
        teacher,
        teacher * np.array([[1], [1], [1], [-1]]),
        np.array([[1.0, 3], [4, 4], [1, 1], [9, 9]]),
    )
    near = compare.inside([13, 12, 11, 10], teacher[::-1], teacher[::-1], np.full((4, 2), 0.5))
    assert far.attention_kl.tolist() == [2, 4, 1, 9] and far.agrees.tolist() == [True, True, True, False]
    assert [row["index"] for row in compare.rank_inside(far)] == [11, 10, 12]
    rows = compare.rank_inside(far, near)
    assert [row["index"] for row in rows] == [11, 10, 12]
    assert rows[0]["other_attention_kl"] == 0.5 and rows[0]["times"] == 8


@given(st.integers(1, 60), st.integers(2, 4), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_right_and_wrong_add_up(num, classes, seed):
    """Counts that do not add to n mean that an example was lost or told twice."""
    from sklearn.metrics import accuracy_score

    random = np.random.default_rng(seed)
    label, teacher, student = (
        random.integers(classes, size=num),
        random.normal(size=(num, classes)),
        random.normal(size=(num, classes)),
    )
    table = compare.right_wrong(label, teacher, student)
    assert table.num_examples == num
    assert sorted(np.concatenate([cell for line in table.rows for cell in line]).tolist()) == list(range(num))
    assert table.counts[0].sum() / num == pytest.approx(accuracy_score(label, teacher.argmax(1)))
    assert table.counts[:, 0].sum() / num == pytest.approx(accuracy_score(label, student.argmax(1)))
    if table.repeated_mistakes is not None:
        wrong = teacher.argmax(1) != label
        assert table.repeated_mistakes == pytest.approx(
            (student.argmax(1) == teacher.argmax(1))[wrong].mean()
        )
    own = compare.right_wrong(label, teacher, teacher)
    assert own.kept_right in (1.0, None) and own.repeated_mistakes in (1.0, None)


def test_numbers_that_are_none_are_no_answer():
    """argmax of NaN is the first class: agreement, and mistakes repeated, by who answered nothing."""
    label = np.array([0, 0, 1, 1])
    teacher = np.array([[1.0, 0], [np.nan, 0], [1, 0], [0, 1]])
    student = np.array([[1.0, 0], [np.nan, np.nan], [np.nan, 1], [np.inf, 1]])
    assert compare.predictions(student).tolist() == [0, -1, -1, -1]
    table = compare.right_wrong(label, teacher, student)
    assert table.counts.tolist() == [[1, 1], [0, 2]] and table.unanswered == 3
    assert table.kept_right == 0.5 and table.repeated_mistakes == 0
    with pytest.raises(ValueError, match="no answer"):
        scores(TASKS["cola"], label, compare.predictions(student))


def test_phenomena_partition_the_table():
    """Positions within a phenomenon have to point into the whole set, or a click opens another sentence."""
    label, names = np.array([0, 1, 0, 1, 1]), ["b", "a", None, "a", "b"]
    teacher = np.array([[1.0, 0], [0, 1], [1, 0], [1, 0], [0, 1]])
    student = np.array([[0.0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    tables = compare.right_wrong_by_phenomenon(names, label, teacher, student)
    assert list(tables) == ["a", "b"]
    assert tables["b"].rows[0][1].tolist() == [0] and tables["a"].rows[1][1].tolist() == [3]
    assert sum(table.num_examples for table in tables.values()) == 4


def test_a_setting_that_an_older_version_did_not_know_does_not_differ():
    """The stored demo's first table listed the weight of a term that none of its runs has."""
    new = RunConfig().to_dict()
    older = {name: value for name, value in new.items() if name != "value_relation_weight"}
    assert compare.differing_settings([new, older]) == []
    other = new | {"value_relation_weight": 2.0}
    rows = [{"setting": "value_relation_weight", "values": [2.0, None]}]
    assert compare.differing_settings([other, older]) == rows


def test_differing_settings():
    """A table of all settings hides the one that matters; a table without nested ones hides the data."""
    first = {
        "run_id": "a",
        "task": "cola",
        "strategy": "sid",
        "pairs": [[0, 1]],
        "created": 1,
        "data": {"source": "sample", "fingerprint": "x"},
        "seed": 0,
    }
    second = {
        "run_id": "b",
        "task": "cola",
        "strategy": "soft",
        "pairs": [[0, 1]],
        "created": 2,
        "data": {"source": "sample", "fingerprint": "x"},
        "seed": 0,
    }
    assert compare.differing_settings([first, second]) == [{"setting": "strategy", "values": ["sid", "soft"]}]
    other_rows = first | {"data": {"source": "sample", "fingerprint": "y"}}
    assert compare.differing_settings([first, other_rows]) == [
        {"setting": "data.fingerprint", "values": ["x", "y"]}
    ]
    other_source = first | {"data": {"source": "folder", "fingerprint": "y"}}
    assert [row["setting"] for row in compare.differing_settings([first, other_source])] == ["data.source"]
    assert compare.differing_settings([first, first]) == []
    # What explains another fingerprint takes its place; what decides on neither does not hide it.
    by_data_seed = other_rows | {"data_seed": 1, "teacher_fingerprint": "t"}
    by_seed = other_rows | {"seed": 1, "teacher_fingerprint": "t"}
    named = lambda config: [row["setting"] for row in compare.differing_settings([first, config])]
    assert named(by_data_seed) == ["data_seed"]
    assert named(by_seed) == ["seed", "data.fingerprint"]
    assert named(first | {"seed": 1, "teacher_fingerprint": "t"}) == ["seed", "teacher_fingerprint"]
    assert named(first | {"batch_size": 8, "teacher_fingerprint": "t"}) == ["batch_size"]
    assert named(first | {"student_weights_sha256": "w"}) == ["student_weights_sha256"]
    assert named(first | {"student_checkpoint": "/s", "student_weights_sha256": "w"}) == [
        "student_checkpoint"
    ]
    kept_by_others = {
        "owner": "c",
        "study": "grid",
        "planned": {"seconds": 3},
        "num_threads": 1,
        "data_dir": "/x",
    }
    assert compare.differing_settings([first, first | kept_by_others]) == []
    # Whatever a run can be asked for is listed, also what is added to RunConfig tomorrow.
    for item in fields(RunConfig):
        if item.name not in ("source", "data_dir"):
            rows = compare.differing_settings([first, first | {item.name: "other"}])
            assert [row["setting"] for row in rows] == [item.name]


def test_an_evaluation_without_a_score_is_never_the_best(tmp_path):
    """A run whose last evaluation has no finite answer ended in a TypeError instead of its summary."""
    evals = [
        {"kind": "eval", "epoch": epoch, "metrics": {"accuracy": score}}
        | dict.fromkeys(("intervals", "n", "teacher_metrics", "mismatch", "agreement", "logit_kl"))
        for epoch, score in enumerate((None, -0.5, -0.25, None))
    ]
    writer = RunWriter(tmp_path)
    writer.files.metrics.write_text("".join(json.dumps(line) + "\n" for line in evals))
    writer.summary("accuracy", {})
    writer.close()
    found = json.loads(writer.files.summary.read_text())
    assert found["best_epoch"] == 2 and found["metrics"] == {"accuracy": None}
