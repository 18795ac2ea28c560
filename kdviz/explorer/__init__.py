"""The explorer: one linked picture of a sentence in teacher and student, on the page and in the report.

pack.py    one function from plain arrays to the bytes that the picture is drawn from
source.py  from a run folder, or from answers to an own sentence, to such a pack
bundle.py  the JavaScript modules beside it as one script
embed.py   the picture inside a file: head(), embed(sentences), scripts()

*.js       format (bytes to numbers), words, state, colour: pure, tested by Node's own runner; pen (canvas or
           SVG), figure, curves, tower: drawing; take: table, PNG, SVG, CSV; explorer: the picture itself
"""

from kdviz.explorer.embed import embed, head, page, palette, scripts
from kdviz.explorer.pack import header_of

__all__ = ["embed", "head", "header_of", "page", "palette", "scripts"]
