"""kdviz: seeing knowledge distillation. The entry of the app: `streamlit run app.py`."""

from kdviz.ui.frame.shell import open_app

open_app()
