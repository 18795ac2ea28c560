"""The paper's method, pure: losses, terms, stages, what is wanted of a teacher, what a step minimises.

Nothing here imports the rest of kdviz: models, data and settings come in as arguments.
"""

CITATION = (
    "G. Aguilar, Y. Ling, Y. Zhang, B. Yao, X. Fan, C. Guo: Knowledge Distillation from Internal "
    "Representations. AAAI 2020, pp. 7350-7357 (arXiv 1910.03723)."
)
