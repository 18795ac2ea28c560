"""What people come to do with kdviz, and that a real browser walks every one of it."""

import ast
from pathlib import Path

STORIES = {
    1: "start and see something at once, offline",
    2: "teacher and student maps side by side for the same sentence",
    3: "where they differ",
    4: "scrub through training",
    5: "start a short run and keep using the page",
    6: "reload, lose the network, restart",
    7: "stop a run",
    8: "my own sentence or pair",
    9: "presets, each with its reason",
    10: "KL curves linked to maps",
    11: "scores of teacher, student and baselines",
    12: "same answer, different inside",
    13: "send a link",
    14: "presenter mode",
    15: "take it away: report, numbers, pictures",
    16: "match heads",
    17: "all heads at a glance",
    18: "who is wrong where",
    19: "filters",
    20: "BertViz of both models",
    21: "compare runs",
    22: "the tour",
    23: "projector and colour-blind safe",
    24: "thirty viewers",
    25: "honest and fail-soft",
    26: "the finding in half a minute",
    27: "type at once",
    28: "the picture answers under the hand",
    29: "my own teacher",
    30: "the room follows",
    31: "five strategies in one go",
    32: "a study",
}


def test_a_browser_walks_every_story():
    """A story without a test breaks, and nobody learns of it before a lecture does."""
    walked: dict[int, list[str]] = {number: [] for number in STORIES}
    for path in sorted(Path(__file__).parent.glob("test_*browser*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.story":
                    for number in mark.args:
                        walked[ast.literal_eval(number)].append(f"{path.name}::{node.name}")
    assert not {number for number, tests in walked.items() if not tests}
