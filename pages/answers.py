"""What teacher and students answer, what it costs, and what goes on inside while they do."""

from kdviz.ui.answers.inside import inside_part
from kdviz.ui.answers.mistakes import mistake_part
from kdviz.ui.answers.scores import run_part, score_part
from kdviz.ui.frame.controls import panels
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.frame.strip import strip

PARTS = {
    "scores": ("Scores and cost", "How well teacher and students answer", ("interval", "cost"), score_part),
    "inside": (
        "Same answer, different inside",
        "Same answer, different inside",
        ("inside", "logit_kl", "kl"),
        inside_part,
    ),
    "mistakes": (
        "Who is wrong where",
        "Who is wrong where",
        ("right_wrong", "repeated", "kept"),
        mistake_part,
    ),
    "runs": ("Runs against runs", "What differs between runs", ("strategy",), run_part),
}

NAMES = {name: row[0] for name, row in PARTS.items()}

scene = strip(sentence=False, parts=NAMES)
part = panels(NAMES, scene.view.panel)
_, title, terms, draw = PARTS[part]
heading(title, *terms)
with guarded(title):
    draw(scene)
