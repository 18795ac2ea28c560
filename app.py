"""kdviz: seeing knowledge distillation. The entry of the app: `streamlit run app.py`.

Streamlit reads this file twice: once as the module that makes its server, and for every visitor as a script.
"""

if __name__ == "__main__":
    from kdviz.ui.frame.shell import open_app

    open_app()
else:
    from streamlit.starlette import App

    from kdviz.ui.frame.serving import settings

    app = App(__file__, **settings())
