"""The frame that pages share: the view, the strip, charts, words, guards."""
