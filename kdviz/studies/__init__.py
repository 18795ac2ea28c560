"""Studies: a grid of runs from one file, its table with intervals, the paper's numbers beside it.

spec.py        a TOML file at one of its sizes -> Study, a tuple of Cells (one run each)
identity.py    names of runs and folders; when a run is a cell's
check.py       every cell resolved before anything runs: what it needs, how long, how much disk
progress.py    how far it is, how long it still takes
folder.py      what a study keeps under <runs>/studies/<study>/
runner.py      carrying it out here · queued.py in the app's queue · on_ray.py, ray_tasks.py on a cluster
workers.py     several runs at once, each in a process · bundle.py a folder as bytes, for another machine
measures.py    the numbers of one finished run · statistics.py intervals, tests
table.py       rows and comparisons, which are described in rows.py
paper.py       the paper's table with the marks of its numbers · says.py what a table says, in sentences
render.py      a table as text, Markdown, CSV, JSON · results.py committed tables with their provenance
command.py     `kdviz study`
shipped/       the studies that come with kdviz · results/ their committed tables

Runs stay ordinary runs; nothing here is needed to look at one.
"""
