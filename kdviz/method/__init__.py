"""The paper's method: losses, stages of the strategies, and what a step minimises."""
