"""How far the student is from the teacher, layer by layer and head by head."""

from kdviz.ui.controls import panels
from kdviz.ui.guard import guarded
from kdviz.ui.layers_parts import curves, more
from kdviz.ui.look import heading
from kdviz.ui.strip import strip

PARTS = {"curves": ("Curves", curves)}

scene = strip(sentence=False, more=more)
heading("How far apart teacher and student are, layer by layer", "kl")
part = panels({name: title for name, (title, _) in PARTS.items()}, scene.view.panel)
with guarded(PARTS[part][0]):
    PARTS[part][1](scene)
