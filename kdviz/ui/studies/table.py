"""A study's table on the page: what it says, the numbers by task, the runs behind a row, to take away."""

import math

import pandas as pd
import streamlit as st

from kdviz.figures import Score, scores_with_intervals
from kdviz.figures.studies import Band, band_curves
from kdviz.metrics import METRIC_TITLES
from kdviz.runs.reader import Run
from kdviz.studies import paper
from kdviz.studies.render import as_csv, as_json, markdown
from kdviz.studies.rows import Comparison, Row, Table
from kdviz.studies.says import X_WORDS, says, why_not_the_papers
from kdviz.studies.spec import COLUMNS
from kdviz.studies.statistics import Spread
from kdviz.studies.table import best_of, telling_names
from kdviz.tasks import TASKS
from kdviz.text import cell, times_between, times_text
from kdviz.ui.frame import state
from kdviz.ui.frame.look import chart, is_dark, plain
from kdviz.ui.frame.remember import remembered
from kdviz.ui.frame.screen import is_narrow
from kdviz.ui.frame.store import store
from kdviz.ui.frame.words import WORDS, metric_words
from kdviz.ui.studies.choose import Entry

_NO = Spread(mean=None)


def sentences(table: Table) -> None:
    """What the table says, in two sentences at most; how much of it there is where that is not all."""
    for sentence in says(table):
        st.markdown(f"**{plain(sentence)}**")
    if table.num_runs < table.num_cells:
        left_out = sum(len(row.left_out) for row in table.rows)
        unfinished = table.num_cells - table.num_runs - left_out
        st.caption(
            f"{table.num_runs} of {table.num_cells} runs are in the table"
            + (f"; {left_out} left out: choose their row to see why" if left_out else "")
            + (f"; {unfinished} not finished" if unfinished else "")
            + "."
        )


_TASK = "studies.task.{}"


def task_in_sight(table: Table, asked: str) -> str:
    """The task whose numbers are shown: the one `asked` for by a link, else the last chosen of this study."""
    tasks, key = _tasks(table), _TASK.format(table.study)
    if asked in tasks or st.session_state.get(key) not in tasks:
        st.session_state[key] = asked if asked in tasks else tasks[0]
    return st.session_state[key]


def choose_task(table: Table, task: str) -> None:
    """The control for the task in sight, where there are several."""
    tasks = _tasks(table)
    if len(tasks) > 1:
        st.segmented_control(
            "Task",
            tasks,
            default=task,
            format_func=lambda task: TASKS[task].title,
            key=_TASK.format(table.study),
            persist_state="session",
            required=True,
            label_visibility="collapsed",
        )


def _tasks(table: Table) -> list[str]:
    return list(dict.fromkeys(row.task for row in table.rows))


def numbers(entry: Entry, table: Table, task: str) -> None:
    """The rows of a task; a click on one opens the door to its runs."""
    rows = [row for row in table.rows if row.task == task]
    metrics = TASKS[task].metrics
    best = {metric: best_of(rows, metric) for metric in metrics}
    lines = [_teacher_line(table, task, metrics)] if table.has_teacher_row(task) else []
    telling = telling_names(rows)
    lines += [_line(table, row, metrics, best, telling) for row in rows]
    frame = _frame(lines, table, metrics, telling)
    chosen = st.dataframe(
        frame,
        hide_index=True,
        height="content",
        column_config=_columns(frame, table),
        key=f"studies.rows.{table.study}.{task}",
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
    ).selection.rows
    note = table.data.get(task)
    st.caption(
        (f"{plain(note)}. " if note else "")
        + "Means over the seeds at the last epoch; brackets: 95 % interval by the t distribution, none for "
        "one seed. ★: its interval lies above all others'. Choose a row to open its runs."
    )
    place = chosen[0] - (len(lines) - len(rows)) if chosen else -1
    if 0 <= place < len(rows):
        _doors(entry, rows[place])


def _frame(lines: list[dict], table: Table, metrics: tuple[str, ...], telling: list[str]) -> pd.DataFrame:
    """Columns in the order of reading, whichever row has them; a text that is missing is empty."""
    numbers = [*metrics, *table.columns]
    parts = [f"{name}{part}" for name in numbers for part in ("", " interval", " paper", " gap")]
    there = {name for line in lines for name in line}
    frame = pd.DataFrame(lines)[[name for name in ("student", *telling, "seeds", *parts) if name in there]]
    texts = [name for name in frame.columns if name.endswith((" interval", " paper"))]
    frame = frame.fillna(dict.fromkeys(texts, ""))
    empty = [name for name in texts if name.endswith(" interval") and not frame[name].any()]
    return frame.drop(columns=empty)  # of one seed there is no interval


def _line(table: Table, row: Row, metrics: tuple[str, ...], best: dict, telling: list[str]) -> dict:
    line: dict = {"student": cell(row.label)}
    line |= {name: _plain_value(row.settings[name]) for name in telling} | {"seeds": row.n or None}
    for metric in metrics:
        value = row.metrics.get(metric, _NO)
        line[metric] = value.mean
        line[f"{metric} interval"] = _interval(value) + (" ★" if best[metric] is row else "")
        if beside := row.paper(metric):
            line[f"{metric} paper"] = f"{beside['value']:.4f} {beside['mark']}"
            line[f"{metric} gap"] = beside["difference"]
    for name in table.columns:
        if name in COLUMNS:
            value = row.values.get(name, _NO)
            line[name] = value.mean
            if value.low is not None and name != "parameters":
                line[f"{name} interval"] = _interval(value)
    return line


def _plain_value(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _teacher_line(table: Table, task: str, metrics: tuple[str, ...]) -> dict:
    line: dict = {"student": "the teacher"}
    is_beside = any(row.paper(metric) for row in table.rows if row.task == task for metric in metrics)
    for metric in metrics:
        line[metric] = table.teachers.get(task, {}).get(metric)
        if is_beside and (number := paper.printed(paper.TEACHER, task, metric)):
            line[f"{metric} paper"] = f"{number.value:.4f} {number.mark}"
            line[f"{metric} gap"] = line[metric] - number.value if line[metric] is not None else None
    return line


def _interval(value: Spread) -> str:
    return "" if value.low is None else f"[{value.low:.3f}, {value.high:.3f}]"


def _columns(frame: pd.DataFrame, table: Table) -> dict:
    """Titles and formats of the columns there are."""
    titles = {**METRIC_TITLES, **COLUMNS}
    marks = "; ".join(f"{mark}: {meaning}" for mark, meaning in paper.MARKS.items())
    found = {
        "student": st.column_config.TextColumn("Student", pinned=True, width=_names_width(frame["student"])),
        "seeds": st.column_config.NumberColumn("Seeds", width=60),
    }
    for name in frame.columns:
        base, _, part = name.partition(" ")
        if part == "interval":
            found[name] = st.column_config.TextColumn("95 % interval", help=f"Of {titles[base].lower()}.")
        elif part == "paper":
            found[name] = st.column_config.TextColumn(
                "Paper", help=f"{titles[base]} in the paper's table, with the mark of the number. {marks}."
            )
        elif part == "gap":
            found[name] = st.column_config.NumberColumn(
                "Difference", format="%+.3f", help="Ours minus the paper's."
            )
        elif name in table.names:
            title = X_WORDS.get(name, name.replace("_", " ")).capitalize()
            is_count = pd.api.types.is_integer_dtype(frame[name])
            found[name] = (
                st.column_config.NumberColumn(title, format="localized")
                if is_count
                else st.column_config.Column(title)
            )
        elif name in titles:
            help = WORDS.get({"attention_kl": "kl"}.get(name, name)) or metric_words(name)
            form = "%,.0f" if name in ("parameters", "seconds") else "%.3f"
            found[name] = st.column_config.NumberColumn(titles[name], format=form, help=help)
    return found


def _names_width(names: pd.Series) -> int:
    """Pixels for the longest of these names; on a phone so few that numbers stand beside them."""
    return 170 if is_narrow() else min(max(180, 6 * int(names.str.len().max()) + 28), 420)


def _doors(entry: Entry, row: Row) -> None:
    """Buttons to the runs of a row: their maps and their answers. Who carries a study out whose results are
    kept with kdviz has other runs of the same names.
    """
    is_kept = entry.stored is not None
    there = {run.id: run for run in store().runs() if run.id in row.runs and run.is_demo == is_kept}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{plain(row.label[:1].upper() + row.label[1:])}:", width="content")
        for run_id, seed in zip(row.runs, row.seeds, strict=True):
            if run_id in there:
                st.button(
                    f"seed {seed}",
                    key=f"studies.door.{run_id}",
                    icon=":material/grid_on:",
                    on_click=_open,
                    args=(there[run_id],),
                    help="Its maps, curves and answers",
                )
    if row.n and not there:
        st.caption(
            "These runs are not on this server: their numbers alone are kept."
            if is_kept
            else "The folders of these runs are gone."
        )
    for run_id, reason in row.left_out.items():
        st.caption(f"Left out: {plain(run_id)}, {plain(reason)}.")


def _open(run: Run) -> None:
    state.change(run=run.id, step=None)
    state.go_to("attention")


def curves(table: Table, task: str) -> None:
    """What the study varies against score and attention KL; else every row with its interval."""
    rows = [row for row in table.rows if row.task == task and row.n]
    if not rows:
        return
    metric = TASKS[task].primary_metric
    if table.x is None:
        scores = [
            Score(
                label=row.label,
                strategy=row.strategy,
                value=row.metrics[metric].mean,
                low=row.metrics[metric].low,
                high=row.metrics[metric].high,
                num_examples=row.num_examples,
            )
            for row in rows
        ]
        if task in table.teachers and table.teachers[task].get(metric) is not None:
            value = table.teachers[task][metric]
            scores = [Score(label="the teacher", strategy="teacher", value=value), *scores]
        figure = remembered(
            scores_with_intervals,
            scores,
            score_name=METRIC_TITLES[metric],
            num_examples=max(row.num_examples for row in rows),
            interval="95 % interval over seeds",
            longest_label=18 if is_narrow() else 60,
            dark=is_dark(),
        )
        chart(figure, f"studies.scores.{table.study}.{task}", "Scores of all rows with their intervals")
        return
    for place, (name, title) in zip(
        st.columns(2), ((metric, METRIC_TITLES[metric]), ("attention_kl", "Attention KL (nats)")), strict=True
    ):
        bands = _bands(table, rows, name)
        if name == metric and task not in table.teachers:  # each point has a teacher of its own
            bands += _teacher_bands(table, rows, metric)
        teacher = table.teachers.get(task, {}).get(metric) if name == metric else None
        with place:
            figure = remembered(
                band_curves,
                bands,
                x_name=X_WORDS.get(table.x, table.x.replace("_", " ")),
                y_name=title,
                logarithmic=table.x in ("train_size", "parameters"),
                teacher=teacher,
                dark=is_dark(),
            )
            chart(figure, f"studies.curve.{table.study}.{name}", f"{title} over what the study varies")


def _teacher_bands(table: Table, rows: list[Row], metric: str) -> list[Band]:
    bands = []
    for label, scores in table.teacher_lines(rows, metric):
        places = sorted(filter(_is_placed, scores))
        none = [None] * len(places)
        means = [scores[place] for place in places]
        bands.append(Band(label=label, strategy="teacher", x=places, means=means, low=none, high=none))
    return bands


def _bands(table: Table, rows: list[Row], name: str) -> list[Band]:
    """One band for each line of the table, of the rows that have a place and that number."""
    bands = []
    for label, line in table.lines(rows):
        found = [(table.x_of(row), row.metrics.get(name) or row.values.get(name)) for row in line]
        points = [(x, value) for x, value in found if value is not None and _is_placed(x)]
        if points:
            bands.append(
                Band(
                    label=label,
                    strategy=line[0].strategy,
                    x=[x for x, _ in points],
                    means=[value.mean for _, value in points],
                    low=[value.low for _, value in points],
                    high=[value.high for _, value in points],
                )
            )
    return bands


def _is_placed(x: float | None) -> bool:
    """Whether there is a place for it on an axis: none for what was not measured, nor for "all"."""
    return x is not None and math.isfinite(x)


def comparisons(table: Table, task: str) -> None:
    """Internal against soft labels alone, on the same examples and seeds."""
    found = [each for each in table.comparisons if table.rows[each.first].task == task]
    if not found:
        return
    lines, telling = [], telling_names([row for row in table.rows if row.task == task])
    for each in found:
        gap, row = each.difference, table.rows[each.first]
        verdict = ("better" if gap.difference > 0 else "worse") if gap.is_told_apart else "cannot be told"
        told = [f"{name.replace('_', ' ')} {row.settings[name]}" for name in telling]
        lines.append(
            {
                "student": cell(", ".join([row.label, *told])),
                "against": cell(table.rows[each.second].label),
                METRIC_TITLES[each.metric]: gap.difference,
                "95 % interval": f"[{gap.low:+.3f}, {gap.high:+.3f}]",
                "verdict": verdict,
                "seeds": len(gap.seeds),
                "examples": gap.num_examples,
                "p over seeds": gap.p_seeds,
                "times as far inside": _times(each),
            }
        )
    with st.expander("Against soft labels alone", icon=":material/balance:"):
        st.caption(
            "Difference of the scores on the same examples, mean over the seeds; interval: paired bootstrap "
            "over the examples, seeds held fixed; of twenty comparisons of equals one is told apart by "
            "chance. p: paired t-test over the seeds. Times as far inside: "
            "median attention KL of the soft-label students divided by this student's, over the examples on "
            "which both give the teacher's answer, with its 95 % interval; nothing where it is not known."
        )
        st.dataframe(
            pd.DataFrame(lines),
            hide_index=True,
            column_config={
                METRIC_TITLES[found[0].metric]: st.column_config.NumberColumn(format="%+.3f"),
                "p over seeds": st.column_config.NumberColumn(format="%.3f"),
            },
        )


def _times(comparison: Comparison) -> str:
    if comparison.inside is None:
        return ""
    if not comparison.inside.is_told_apart:
        return "cannot be told"
    times, low, high = comparison.soft_times
    interval = times_between(low, high, ", ")
    return f"{times_text(times)} [{interval}]"


def provenance(entry: Entry, table: Table) -> None:
    """Why our numbers are not the paper's, and where the kept ones came from."""
    if lines := why_not_the_papers(table):
        with st.expander("Why ours differ from the paper's", icon=":material/help:"):
            st.markdown("\n".join(f"- {plain(line)}" for line in lines))
            marks = "; ".join(f"{mark}: {meaning}" for mark, meaning in paper.MARKS.items())
            st.caption(f"Marks of the paper's numbers: {marks}. Numbers without a sure source are not shown.")
    if entry.stored is not None:
        came = entry.stored.provenance
        with st.expander("Where these numbers came from", icon=":material/fingerprint:"):
            st.markdown(
                f"Trained from {plain(str(came['from'])[:10])} to {plain(str(came['to'])[:10])}, "
                f"{came['hours']:.1f} hours of computing, seeds {', '.join(map(str, came['seeds']))}."
            )
            parts = ("machine", "versions", "data", "teachers", "settings")
            st.json({name: came[name] for name in parts}, expanded=1)


def take_away(table: Table) -> None:
    with st.container(horizontal=True, gap="small"):
        for label, ending, mime, write in (
            ("CSV", "csv", "text/csv", as_csv),
            ("Markdown", "md", "text/markdown", markdown),
            ("JSON", "json", "application/json", as_json),
        ):
            st.download_button(
                label,
                data=write(table),
                file_name=f"{table.study}.{ending}",
                mime=mime,
                key=f"studies.take.{ending}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
