"""The explorer: one linked picture of a sentence in teacher and student, on the page and in the report.

pack.py    one function from plain arrays to the bytes that the picture is drawn from
source.py  from a run folder, or from answers to an own sentence, to such a pack
bundle.py  the JavaScript modules beside it as one script
embed.py   the picture inside a file: head(), embed(sentences), scripts()
finding.py the sentence above two students · telling.py which sentence and students tell most

*.js       format (bytes to numbers), words, state, colour: pure, tested by Node's own runner; pen (canvas or
           SVG), dom, theme, lines, figure, curves, tower, heads: drawing; controls; take: table, PNG, SVG,
           CSV; explorer: the picture itself; in_page, carrier, in_file: how it comes to a page or a file
"""

from kdviz.explorer.embed import embed, head, page, palette, scripts
from kdviz.explorer.pack import header_of

__all__ = ["embed", "head", "header_of", "page", "palette", "scripts"]
