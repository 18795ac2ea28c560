"""What pages share: the only place under kdviz/ that imports streamlit.

shell.py    the navigation around the pages
state.py    the one View of a session: read from the link, changed by controls, written back
strip.py    the strip on top of every page: what is being looked at, and the controls that change it
controls.py controls bound to a field of the View
store.py    the runs folder and the stored demo
look.py     charts, headings, theme
remember.py figures, remembered by what went into them
screen.py  whether the window is narrow; narrow.py figures taken apart for it
words.py    every term explained in a sentence
guard.py    one line instead of a traceback
ask.py      maps of one's own sentence, remembered
warm.py     heavy imports in the background
"""
