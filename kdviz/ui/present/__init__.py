"""Lectures on the screen: the Learn page, presenter mode, and followers of the presenter."""
