"""The paper's method, pure: losses, terms, stages, what is wanted of a teacher, what a step minimises.

Nothing here imports the rest of kdviz: models, data and settings come in as arguments.
"""
