"""The stored demo: real runs on real GLUE data, made compact. `python -m kdviz.demo --data-dir DIR` builds it
again.
"""
