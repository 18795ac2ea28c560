"""Carrying out runs: launching, the queue, studies, plans, and who may do what."""
