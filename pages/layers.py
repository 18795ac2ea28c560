"""How far the student is from the teacher, layer by layer and head by head."""

from kdviz.ui.frame.controls import panels
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.look import heading
from kdviz.ui.frame.strip import strip
from kdviz.ui.layers.parts import cka, curves, heads, more, partners
from kdviz.ui.layers.stages import stages

PARTS = {
    "curves": (
        "Curves",
        "How far apart teacher and student are, layer by layer",
        ("kl", "cls", "stages"),
        curves,
    ),
    "stages": ("Stages", "What is in the loss when", ("stages",), stages),
    "heads": ("All heads", "Every head at a glance", ("kl", "head"), heads),
    "partners": (
        "Partners of heads",
        "Which student head does the work of which teacher head",
        ("head_matching",),
        partners,
    ),
    "cka": ("What layers represent", "Where the student's layers sit in the teacher", ("cka",), cka),
}

NAMES = {name: row[0] for name, row in PARTS.items()}

scene = strip(sentence=False, more=more, parts=NAMES)
part = panels(NAMES, scene.view.panel)
_, title, terms, draw = PARTS[part]
heading(title, *terms)
with guarded(title):
    draw(scene)
