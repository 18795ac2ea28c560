"""Carrying out runs: launching, the queue, several students together, plans, limits, who may do what; and
what a process has one of: its audience, the room that follows.
"""
