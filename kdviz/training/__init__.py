"""Training: teacher, student loop, evaluation, and everything these need."""
