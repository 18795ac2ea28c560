"""Start."""

from kdviz.ui.strip import strip

strip()
