"""Encoder checkpoints: the registry, layer matching, building models, and running them while recording."""
