"""The Learn page, presenter mode and followers, without a browser."""

import json
import os
from pathlib import Path

import pytest
from folders import make_run
from streamlit.testing.v1 import AppTest

from kdviz.jobs import following
from kdviz.jobs.permissions import Visitor
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.share.lecture import SHIPPED, Lecture, read_lecture
from kdviz.share.view import View
from kdviz.text import plain
from kdviz.ui.present.numbers import numbers
from kdviz.ui.present.questions import question_key

ROOT = Path(__file__).parents[1]
LECTURER = Visitor(owner="a" * 32, is_presenter=True)
LECTURE = read_lecture(SHIPPED / "the-paper.toml")
HOSTILE = """
title = "<script>alert(1)</script>"
[[steps]]
title = "![x](http://evil.example/x.png) </script>"
text = "<img src=x onerror=alert(1)> ![p](http://evil.example/p.png) [l](javascript:alert(1))"
view = "layers?run=@soft"
question = "<b>why</b>?"
answer = "![a](http://evil.example/a.png)"
try = "<script>alert(2)</script>"
done_when = "step=@first"
notes = "![n](http://evil.example/n.png)"
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No own runs, no own lectures, a code, and an empty room."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("KDVIZ_PRESENTER_CODE", "blue")
    monkeypatch.delenv("KDVIZ_LECTURES", raising=False)
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr(following, "shared", lambda room=following.Following(): room)


def open_app(**params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def learn(**params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in params.items():
        app.query_params[name] = value
    return app.switch_page("pages/learn.py").run()


def texts(app: AppTest) -> str:
    elements = [*app.markdown, *app.info, *app.warning, *app.caption, *app.subheader, *app.error]
    return "\n".join(str(element.value) for element in elements)


def params(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


@pytest.mark.parametrize("at", range(1, len(LECTURE.steps) + 1))
def test_every_step_stands(at: int):
    """A step that breaks would break in front of the room."""
    app = open_app(present="the-paper", at=str(at))
    assert not app.exception and not app.warning
    step, found = LECTURE.steps[at - 1], params(app)
    assert step.text.strip() in texts(app) and found["at"] == str(at)
    assert found.get("page") == step.place.page
    assert not [text for text in texts(app).split("\n") if "not recorded" in text]


def test_the_scores_stand_beside_the_papers():
    """A room asks "and in the paper?": a number that is merely recalled must not be the answer."""
    at = next(place for place, step in enumerate(LECTURE.steps, start=1) if step.numbers == "scores")
    said = texts(open_app(present="the-paper", at=str(at)))
    rows = {line.split("|")[1].strip(): line for line in said.split("\n") if line.startswith("|")}
    assert "| `sid` | 0.461 C | – | 0.824 A | 0.646 A |" in said and "BERT-base" in said
    assert "0.421" not in said and "0.602" not in said and rows["teacher"].count("–") == 1


def test_the_report_of_what_is_compared_is_one_button():
    """Two files of one run each cannot be laid side by side at home."""
    for page, wanted in (({}, "both"), ({"with": "demo-cola-sid-6of12-s0,demo-cola-hard-6of12-s0"}, "3")):
        app = open_app(run="demo-cola-all-6of12-s0", **page)
        labels = [button.label for button in app.get("download_button")]
        assert labels[0] == f"Report of {wanted} runs" and "Report" in labels


def test_the_link_to_start_leaves_what_start_chooses_to_start():
    """Without it the shared first screen would open on other layers than those that were on it."""
    app = open_app(run="demo-cola-all-6of12-s0")
    link = next(code.value for code in app.code if "run=" in code.value)
    assert "layer=" not in link and "preset=" not in link and "step=" in link


def test_a_link_of_a_step_opens_the_same_view_again():
    """What is sent to a friend after the lecture must be what was on the wall, changed controls included."""
    app = open_app(present="the-paper", at="5")
    app.button(key="kdviz.back").click().run()
    moved = params(app)
    assert moved["at"] == "5" and "step" in moved
    again = open_app(**moved)
    assert params(again) == moved
    said = [[line for line in texts(one).split("\n") if "after epoch" in line] for one in (app, again)]
    assert said[0] == said[1] != []
    rows = [
        [
            line
            for line in texts(open_app(present="the-paper", at="4", **view)).split("\n")
            if "**sum**" in line
        ]
        for view in ({}, {"page": "attention", "run": moved["run"], "layer": "3", "head": "1", "step": "750"})
    ]
    assert rows[0] != rows[1], "the numbers of the text are those of the view in the link"


def test_keys_move_and_end_at_the_ends():
    """A lecturer presses → once too often at the end of every lecture."""
    app = open_app(present="the-paper", at="1")
    assert app.button(key="kdviz.bar.back").disabled
    app.button(key="kdviz.bar.next").click().run()
    assert params(app)["at"] == "2" and LECTURE.steps[1].text.strip() in texts(app)
    assert open_app(present="the-paper", at="999").button(key="kdviz.bar.next").disabled


def test_notes_are_hidden_until_they_are_asked_for():
    """Notes on the wall are read by the room."""
    app = open_app(present="the-paper", at="2")
    assert LECTURE.steps[1].notes not in texts(app) and LECTURE.steps[1].answer not in texts(app)
    app.button(key="kdviz.bar.notes").click().run()
    assert LECTURE.steps[1].notes in texts(app)


def test_leaving_keeps_the_view():
    """Esc that throws the view away makes a lecturer avoid Esc."""
    app = open_app(present="the-paper", at="4")
    app.button(key="kdviz.bar.leave").click().run()
    assert not app.exception
    found = params(app)
    assert "present" not in found and "at" not in found and found["run"].startswith("demo-")


def test_an_ordinary_view_can_be_presented():
    """Not every demonstration has a lecture file."""
    app = open_app(present="this", page="layers", run="demo-cola-all-6of12-s0")
    assert not app.exception and params(app) == {
        "present": "this", "page": "layers", "run": "demo-cola-all-6of12-s0",
    }  # fmt: skip


def test_the_tour_at_home_keeps_its_place_in_the_link():
    """A student who reloads must not begin again."""
    app = learn(at="3")
    assert not app.exception and LECTURE.steps[2].text.strip() in texts(app)
    next(button for button in app.button if button.label == "Next").click().run()
    assert params(app)["at"] == "4" and LECTURE.steps[3].text.strip() in texts(app)
    again = learn(**params(app))
    assert params(again) == params(app)


def test_a_page_opened_from_learn_is_an_ordinary_page():
    """Without its doors, its banner and "Present this", and under the lecture's address, until a reload."""
    app = learn(at="3")
    for page, label in (("start", "Explore"), ("attention", None)):
        app.query_params.clear()  # as the navigation's links have none
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception and "lecture" not in params(app) and "at" not in params(app)
        assert label is None or label in [button.label for button in app.button]
    app.query_params.clear()
    app.switch_page("pages/learn.py").run()
    assert params(app)["at"] == "3", "the lecture goes on where it was left"


def test_a_window_that_follows_is_moved_by_the_presenter_alone():
    """What one of them draws goes to all who come later: a click on a dot would be what the room sees."""

    def window():
        import streamlit as st

        from kdviz.ui.frame import state

        state.set_frame("follow", {})
        state.follow_presenter(True)
        state.change(row=3)
        state.go_to("layers")
        st.text(f"{state.current().row} {state.take_page_asked_for()}")
        state.follow_presenter(False)
        state.change(row=3)
        st.text(f"{state.current().row}")

    assert [text.value for text in AppTest.from_function(window).run().text] == ["None None", "3"]


def test_a_door_of_a_part_leads_out_in_a_frame_too():
    """The live view is a part that is drawn alone: the frame never heard of the page that its buttons ask
    for.
    """

    def window():
        import streamlit as st

        from kdviz.ui.frame import state

        state.set_frame("present", {})

        @st.fragment
        def part():
            st.button("See its maps", on_click=state.go_to, args=("attention",))
            state.leave_if_asked()

        st.text(f"frame: {state.take_page_asked_for()}")
        part()

    app = AppTest.from_function(window).run()
    assert app.button[0].click().run().text[0].value == "frame: attention"


def test_a_task_is_ticked_off_by_doing_it():
    """A box that never ticks is one more thing to ignore."""
    app = learn(at="2")
    assert "check_box_outline_blank" in texts(app)
    app = learn(**(params(app) | {"step": "0"}))
    assert "check_box: **Done:**" in texts(app)


def test_losses_are_those_of_the_run():
    """Numbers beside a formula that are not the run's teach a wrong formula."""
    app = learn(at="2")
    run = Run(DEMO_RUNS / params(app)["run"])
    line = run.train_lines[-1]
    assert f"| **loss** | **{line['loss']:.3f}** |" in texts(app)
    assert f"| soft labels | {line['losses']['soft']:.3f} |" in texts(app)


def assert_adds_up(said: str) -> list[str]:
    """The parts of the loss that are drawn, after checking that times their weights they are the loss."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in said.split("\n") if "|" in row]
    begin = rows.index(["term", "value"]) + 2
    end = next(place for place, row in enumerate(rows) if row[0] == "**loss**")
    parts = [(row[0].rpartition(" × "), float(row[1])) for row in rows[begin:end]]
    loss = float(rows[end][1].strip("*"))
    assert sum(float(weight or 1) * part for (weight, _, _), part in parts) == pytest.approx(loss, abs=0.005)
    return [title for (_, _, title), _ in parts]


@pytest.mark.parametrize("strategy", ["hard", "soft", "all", "pid", "sid"])
def test_the_parts_of_a_loss_add_up_to_it(strategy: str):
    """A sum that is none teaches a wrong formula: λ stood before labels that were alone."""
    app = learn(at="2", page="attention", run=f"demo-cola-{strategy}-6of12-s0")
    assert not app.exception and assert_adds_up(texts(app))


def test_every_part_of_a_loss_has_its_row_weight_and_unit(tmp_path):
    """A term that stands in the sum and not in the table, or an angle in nats, makes the table wrong."""
    folder = make_run(tmp_path / "runs", "own")
    weights = dict(soft_weight=2.0, hard_weight=0.25, kl_weight=3.0, value_relation_weight=0.5)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | weights))
    losses = {"soft": 0.4, "hard": 0.8, "attention_kl": {"0": 1.0, "1": 2.0}}
    losses |= {"cls_distance": {"0": 0.5}, "value_relation": {"1": 4.0}}
    loss = 2 * 0.4 + 0.25 * 0.8 + 3 * (1.0 + 2.0) + 0.5 + 0.5 * 4.0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().split("\n") if line]
    for line in lines:
        if line["kind"] == "train":
            line |= {"loss": loss, "losses": losses}
            line["stage"]["classification"] = "soft+hard"
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    app = learn(at="2", page="attention", run="own")
    assert len(assert_adds_up(texts(app))) == 6 and "| 0.5 × Value relation, layer 2 | 4.000 |" in texts(app)
    caption = next(each.value for each in app.caption if each.value.startswith("Mean over the steps"))
    assert "CLS distance in 1 − cosine" in caption and "Attention KL and Value relation in nats" in caption


def test_a_run_that_a_step_speaks_of_and_that_is_not_here_is_said(tmp_path, monkeypatch):
    """ "On the right: layer by layer on question pairs" stood beside all layers on CoLA, without a word."""
    step = 'title = "One"\ntext = "On the right."\nview = "layers?run=@pid"\ntry = "Look."\n'
    lecture = f'title = "Mine"\ntask = "qqp"\n[[steps]]\n{step}done_when = "layers?run=@pid"\n'
    (tmp_path / "mine.toml").write_text(lecture)
    monkeypatch.setenv("KDVIZ_LECTURES", str(tmp_path))
    following.shared().lead(LECTURER, "layers", {"present": "mine", "at": "1"})
    for app in (learn(lecture="mine"), open_app(present="mine"), open_app(follow="1")):
        for _ in range(2):
            assert not app.exception
            assert "no run here for `@pid` (layer by layer, QQP): another one is shown" in texts(app)
            assert "follow" in params(app) or "cannot be done here" in texts(app)
            app.run()


def test_numbers_and_first_screen_are_of_one_run(tmp_path):
    """Where no run is named, Start shows the demo: an own run's numbers stood beside it."""
    make_run(tmp_path / "runs", "own")
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\n[[steps]]\ntitle = "One"\ntext = "x"\nview = "start"\nnumbers = "losses"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDVIZ_LECTURES", str(tmp_path))
        app = learn(lecture="mine")
    assert not app.exception and "(stored demo)" in texts(app) and "demo" in params(app)["run"]


@pytest.mark.parametrize("other", [{"text": "The cat sat on the mat."}, {"row": "5"}])
def test_the_worked_row_is_of_the_sentence_that_is_shown(other: dict[str, str]):
    """Numbers of the first preset stood beside another sentence, as if they were its own."""
    at = next(place for place, step in enumerate(LECTURE.steps, start=1) if step.numbers == "row")
    shown = {"page": "attention", "run": "demo-cola-all-6of12-s0"}
    for probe in Run(DEMO_RUNS / shown["run"]).probes[:2]:
        said = texts(learn(at=str(at), **shown, preset=probe.id))
        assert f"in the preset *{plain(probe.title)}*" in said and "**sum**" in said
    said = texts(learn(at=str(at), **shown, **other))
    assert "**sum**" not in said and "presets alone" in said


def test_repeated_words_of_the_worked_row_are_told_apart():
    """Two lines of "the" with other numbers stood in one table, and nobody could say which was which."""
    at = next(place for place, step in enumerate(LECTURE.steps, start=1) if step.numbers == "row")
    run = Run(DEMO_RUNS / "demo-cola-all-6of12-s0")
    told = set()
    for probe in run.probes:
        said = texts(learn(at=str(at), page="attention", run=run.id, preset=probe.id))
        words = [line.split(" | ")[0] for line in said.splitlines() if line.startswith("| ")]
        assert len(words) == len(set(words)), words
        told |= {word for word in words if " of " in word}
    assert told


@pytest.mark.parametrize(
    "bad",
    [
        {"at": "0"},
        {"at": "x"},
        {"at": "9" * 30},
        {"page": "../x"},
        {"lecture": "NO"},
        {"lecture": "this"},
        {"mine": "../"},
    ],
)
def test_bad_values_in_the_link_fall_back(bad):
    """A mistyped link must open something, and say what it could not use."""
    app = learn(**bad)
    assert not app.exception and LECTURE.steps[0].text.strip() in texts(app)
    assert "mine" in bad or "was ignored" in texts(app)


def test_an_unknown_lecture_says_which_there_are():
    """A mistyped link would open an empty page in front of the room."""
    for app in (open_app(present="physics"), learn(lecture="physics")):
        assert not app.exception and "the\\-paper" in texts(app)


def test_a_malformed_lecture_leaves_the_app_up(tmp_path, monkeypatch):
    """The evening before, a mistake in a step: the line says where, and the shipped lecture still works."""
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\n[[steps]]\ntitle = "x"\ntext = "y"\nview = "nowhere"\n'
    )
    monkeypatch.setenv("KDVIZ_LECTURES", str(tmp_path))
    app = learn()
    said = texts(app).replace("\\", "")
    assert not app.exception and "mine.toml, step 1, field view" in said
    assert LECTURE.steps[0].text.strip() in texts(app)
    shown = open_app(present="mine")
    assert not shown.exception and "field view" in texts(shown).replace("\\", "")


def test_a_hostile_lecture_stays_text(tmp_path, monkeypatch):
    """A picture in a lecture from the internet would tell a stranger who watches."""
    (tmp_path / "evil.toml").write_text(HOSTILE)
    monkeypatch.setenv("KDVIZ_LECTURES", str(tmp_path))
    app = open_app(present="evil")
    app.button(key="kdviz.bar.notes").click().run()
    app.button(key="kdviz.bar.answer").click().run()
    assert not app.exception and "evil.example" in texts(app)
    assert "![" not in texts(app).replace("\\!\\[", "")


# ---- the room


def test_a_follower_sees_what_the_presenter_shows():
    """The whole point: same page, same view, same step."""
    room = following.shared()
    app = open_app(follow="1")
    assert "has not begun" in texts(app)
    room.lead(
        LECTURER,
        "layers",
        {"present": "the-paper", "at": "7", "run": "demo-cola-pid-6of12-s0", "show": "stages"},
    )
    app.run()
    assert LECTURE.steps[6].text.strip() in texts(app)
    assert "Stages of this run, layer by layer (`pid`)" in texts(app)
    assert params(app) == {"follow": "1"}, "a reload follows again"
    room.lead(
        LECTURER,
        "layers",
        {"present": "the-paper", "at": "7", "run": "demo-cola-all-6of12-s0", "show": "stages"},
    )
    app.run()
    assert "Stages of this run, all layers at once (`all`)" in texts(app)


def test_a_follower_may_let_go_and_come_back():
    """Who looks something up must not be thrown off it, nor lose the lecture."""
    room = following.shared()
    room.lead(
        LECTURER,
        "layers",
        {"present": "the-paper", "at": "7", "run": "demo-cola-all-6of12-s0", "show": "stages"},
    )
    app = open_app(follow="1")
    next(button for button in app.button if button.label == "Let go").click().run()
    room.lead(
        LECTURER,
        "layers",
        {"present": "the-paper", "at": "7", "run": "demo-cola-pid-6of12-s0", "show": "stages"},
    )
    app.run()
    assert "Stages of this run, all layers at once (`all`)" in texts(app)
    next(button for button in app.button if button.label == "Follow the presenter").click().run()
    assert "Stages of this run, layer by layer (`pid`)" in texts(app)


def test_followers_have_no_notes_and_no_answer():
    """The room would read the answer before it was asked."""
    following.shared().lead(LECTURER, "attention", {"present": "the-paper", "at": "2"})
    app = open_app(follow="1")
    assert LECTURE.steps[1].notes not in texts(app) and LECTURE.steps[1].answer not in texts(app)


def test_a_question_is_answered_and_then_revealed():
    """Choice, counts and answer have to arrive in this order."""
    room = following.shared()
    room.lead(LECTURER, "attention", {"present": "the-paper", "at": "2"})
    asked = question_key(LECTURE, LECTURE.steps[1])
    room.put(LECTURER, asked, len(LECTURE.steps[1].choices))
    app = open_app(follow="1")
    app.radio[0].set_value(1).run()
    assert not app.exception and room.counts(asked) == (0, 1)
    room.reveal(LECTURER, asked)
    app.run()
    assert LECTURE.steps[1].answer in texts(app) and "(your choice): **1** (100%)" in texts(app)


def write_questions(path: Path, *questions: tuple[str, list[str], str]) -> Lecture:
    """Write a lecture of these questions, choices and answers, as an editor saves it anew."""
    steps = (
        f'[[steps]]\ntitle="{asked}"\ntext="About {asked}"\nview="start"\nquestion="{asked}"\n'
        f'choices={json.dumps(choices)}\nanswer="{answer}"\n'
        for asked, choices, answer in questions
    )
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text('title="Talk"\n' + "".join(steps))
    os.utime(path, ns=(1, max(path.stat().st_mtime_ns, before + 1_000_000)))
    return read_lecture(path)


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KDVIZ_LECTURES", str(tmp_path / "lectures"))
    (tmp_path / "lectures").mkdir()
    return tmp_path / "lectures" / "talk.toml"


FIRST = ("First?", ["a", "b", "c"], "The first answer")


def test_a_question_that_is_edited_while_it_is_open_is_another_one(talk: Path):
    """One choice fewer, and every phone that had chosen it showed an error instead of the lecture."""
    room, found = following.shared(), write_questions(talk, FIRST)
    room.lead(LECTURER, "start", {"present": "talk", "at": "1"})
    room.put(LECTURER, question_key(found, found.steps[0]), 3)
    app = open_app(follow="1")
    app.radio[0].set_value(2).run()
    found = write_questions(talk, ("First?", ["a", "b"], "The first answer"))
    app.run()
    assert not app.exception and not app.radio and "First?" in texts(app)
    room.put(LECTURER, question_key(found, found.steps[0]), 2)
    app.run()
    assert not app.exception and app.radio[0].value is None
    app.radio[0].set_value(1).run()
    assert room.counts(question_key(found, found.steps[0])) == (0, 1)


def test_answers_stay_with_their_question_when_a_step_is_put_before_it(talk: Path):
    """The counts and the answer of one question stood, revealed, under another."""
    room, found = following.shared(), write_questions(talk, FIRST)
    room.lead(LECTURER, "start", {"present": "talk", "at": "1"})
    key = question_key(found, found.steps[0])
    room.put(LECTURER, key, 3)
    app = open_app(follow="1")
    app.radio[0].set_value(2).run()
    room.reveal(LECTURER, key)
    wall = open_app(present="talk", at="1")
    wall.button(key="kdviz.bar.answer").click().run()
    assert FIRST[2] in texts(wall)
    write_questions(talk, ("Which colour?", ["red", "green"], "Red"), FIRST)
    for window in (app, wall):
        window.run()
        said = texts(window)
        assert "Which colour?" in said and "About Which colour?" in said and "Red" not in said
        assert FIRST[2] not in said and "(100%)" not in said
    room.lead(LECTURER, "start", {"present": "talk", "at": "2"})
    app.run()
    assert "(your choice): **1** (100%)" in texts(app) and FIRST[2] in texts(app)


def test_a_question_asked_again_later_is_counted_anew(talk: Path):
    """Asked before and after an explanation, both counts would be one."""
    found = write_questions(talk, FIRST, ("Other?", ["yes", "no"], "Yes"), FIRST)
    assert len({question_key(found, step) for step in found.steps}) == 3


def test_followers_keep_the_last_view_when_the_presenter_stops():
    """The phones of the whole room fell back to "The presenter has not begun", their view gone."""
    room = following.shared()
    room.lead(LECTURER, "layers", {"present": "the-paper", "at": "7", "run": "demo-cola-pid-6of12-s0"})
    app = open_app(follow="1")
    room.end(LECTURER)
    for window in (app.run(), open_app(follow="1")):
        assert not window.exception and LECTURE.steps[6].text.strip() in texts(window)
        assert "has stopped" in texts(window) and "has not begun" not in texts(window)
    next(button for button in app.button if button.label == "Let go").click().run()
    assert next(button for button in app.button if button.label == "Follow the presenter").disabled
    room.lead(LECTURER, "layers", {"present": "the-paper", "at": "7", "run": "demo-cola-pid-6of12-s0"})
    app.run()
    next(button for button in app.button if button.label == "Follow the presenter").click().run()
    assert "You see what the presenter shows" in texts(app)


def test_leading_is_offered_to_the_holder_of_the_code_alone():
    """Two hundred phones with a button that takes the room over."""
    app = open_app(present="the-paper")
    assert "Lead the room" not in [button.label for button in app.button]
    app.text_input[0].set_value("blue")
    next(button for button in app.button if button.label == "Unlock").click().run()
    app.run()
    next(button for button in app.button if button.label == "Lead the room").click().run()
    assert not app.exception and following.shared().now[0].params["at"] == "1"
    app.button(key="kdviz.bar.next").click().run()
    assert following.shared().now[0].params["at"] == "2" and following.shared().now[0].page == "attention"


def test_a_row_of_a_run_without_maps_is_not_recorded(tmp_path):
    """Beside a run whose maps were removed the step said IndexError, and that the server's log has more."""
    folder = make_run(tmp_path, "one")
    for path in (folder / "snapshots").glob("step_*"):
        path.unlink()
    with pytest.raises(KeyError):
        numbers("row", Run(folder), View(), [])
