"""What the pages are made of: the only place under kdviz/ that imports streamlit.

frame/      what pages share: navigation (shell), the one View of a session (state), the strip, controls,
            charts and words, the runs folder (store), one line instead of a traceback (guard), who is looking
start/ distil/ attention/ layers/ answers/
            the parts of each page
"""
