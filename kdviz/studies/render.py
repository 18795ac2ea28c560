"""A study's table as text for people and programs: Markdown, CSV, JSON."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from kdviz.files import finite, write_bytes
from kdviz.metrics import METRIC_TITLES
from kdviz.studies import paper
from kdviz.studies.rows import Comparison, Row, Table
from kdviz.studies.spec import COLUMNS
from kdviz.studies.statistics import Spread
from kdviz.studies.table import best_of, telling_names
from kdviz.tasks import TASKS
from kdviz.text import FORMULA, counted, times_between, times_text

WIDE = ("parameters", "seconds")


def markdown(table: Table) -> str:
    """One table a task: every row with mean and interval, the paper's numbers beside where there are any."""
    lines = [f"# {table.title}", ""]
    if table.about:
        lines += [table.about, ""]
    lines += [f"{table.num_runs} of {table.num_cells} runs. Brackets: 95 % t-interval over the seeds.", ""]
    for task in dict.fromkeys(row.task for row in table.rows):
        lines += [f"## {TASKS[task].title}", "", *_task_lines(table, task), ""]
    if any(row.paper(metric) for row in table.rows for metric in TASKS[row.task].metrics):
        marks = "; ".join(f"{mark}: {meaning}" for mark, meaning in paper.MARKS.items())
        lines += [f"The paper's set-up: {paper.SETUP}. Marks of its numbers: {marks}.", ""]
    left_out = {run: reason for row in table.rows for run, reason in row.left_out.items()}
    lines += [f"Left out of every mean: {run}: {reason}." for run, reason in left_out.items()]
    return "\n".join(lines).rstrip() + "\n"


def _task_lines(table: Table, task: str) -> list[str]:
    rows = [row for row in table.rows if row.task == task]
    metrics = TASKS[task].metrics
    papers = [metric for metric in metrics if any(row.paper(metric) for row in rows)]
    columns = [name for name in table.columns if name not in METRIC_TITLES]
    telling = telling_names(rows)
    heads = ["", *(name.replace("_", " ") for name in telling), "n"]
    for metric in metrics:
        heads += [METRIC_TITLES[metric], *(["paper", "difference"] if metric in papers else [])]
    lines = [f"Data: {table.data[task]}"] if task in table.data else []
    lines += ["", "| " + " | ".join([*heads, *(COLUMNS[name] for name in columns)]) + " |"]
    lines += ["|" + "---|" * (len(heads) + len(columns))]
    if table.has_teacher_row(task):
        cells = ["**teacher**", *([""] * len(telling)), ""]
        for metric in metrics:
            value = table.teachers.get(task, {}).get(metric)
            number = paper.printed(paper.TEACHER, task, metric)
            cells.append("" if value is None else f"{value:.3f}")
            if metric in papers:
                cells += [
                    _paper_text(number),
                    "" if not number or value is None else f"{value - number.value:+.3f}",
                ]
        lines.append("| " + " | ".join([*cells, *([""] * len(columns))]) + " |")
    best = {metric: best_of(rows, metric) for metric in metrics}
    for row in rows:
        cells = [row.label.replace("|", "/"), *(str(row.settings[name]) for name in telling)]
        cells.append(f"{row.n}" if row.n else "")
        for metric in metrics:
            text = spread_text(row.metrics.get(metric))
            cells.append(f"**{text}**" if best[metric] is row else text)
            if metric in papers:
                beside = row.paper(metric)
                cells.append(_paper_text(paper.printed(row.paper_row, task, metric)))
                gap = beside and beside["difference"]
                cells.append("" if gap is None else f"{gap:+.3f}")
        cells += [spread_text(row.values.get(name), name) for name in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, *_comparison_lines(table, task, telling)]


def _comparison_lines(table: Table, task: str, telling: Sequence[str]) -> list[str]:
    found = [each for each in table.comparisons if table.rows[each.first].task == task]
    if not found:
        return []
    lines = ["", "Against soft labels alone (paired bootstrap over the examples, same seeds, 95 %):", ""]
    for each in found:
        first, gap = table.rows[each.first], each.difference
        tested = f", p = {gap.p_seeds:.3f} over the seeds" if gap.p_seeds is not None else ""
        lines.append(
            f"- {', '.join([first.label, *_told(first, telling)])}: {METRIC_TITLES[each.metric]} "
            f"{gap.difference:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}], n = {gap.num_examples:,}, "
            f"{counted(len(gap.seeds), 'seed')}{tested}{inside_text(each)}"
        )
    return lines


def inside_text(comparison: Comparison) -> str:
    """`; inside, …` of two rows, with the interval over their examples; "" where it is not known."""
    if comparison.inside is None:
        return ""
    n = f"{comparison.inside.num_examples:,} examples"
    if not comparison.inside.is_told_apart:
        return f"; inside, not told apart over {n}"
    times, low, high = comparison.soft_times
    return (
        f"; inside, soft labels are {times_text(times)} times as far from the teacher "
        f"[{times_between(low, high, ', ')}], median of {n}"
    )


def _told(row: Row, telling: Sequence[str]) -> list[str]:
    return [f"{name.replace('_', ' ')} {row.settings[name]}" for name in telling]


def spread_text(value: Spread | None, name: str = "") -> str:
    """0.223 [0.201, 0.245]; nothing where there is no run."""
    if value is None or value.mean is None:
        return ""
    write = (lambda number: f"{number:,.0f}") if name in WIDE else (lambda number: f"{number:.3f}")
    if value.low is None or name in WIDE:
        return write(value.mean)
    return f"{write(value.mean)} [{write(value.low)}, {write(value.high)}]"


def _paper_text(number: paper.Printed | None) -> str:
    return "" if number is None else f"{number.value:.4f} ({number.mark})"


def as_csv(table: Table) -> str:
    """One line a row: settings, n, mean, low and high of every number, the paper's."""
    metrics = list(dict.fromkeys(metric for row in table.rows for metric in TASKS[row.task].metrics))
    values = list(dict.fromkeys(name for row in table.rows for name in row.values))
    heads = [*table.names, "label", "n"]
    heads += [f"{name}{part}" for name in (*metrics, *values) for part in ("", "_low", "_high")]
    heads += [f"{metric}_paper{part}" for metric in metrics for part in ("", "_mark", "_difference")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in table.rows:
        line = [_csv_value(row.settings[name]) for name in table.names] + [_csv_value(row.label), row.n]
        for spread in [row.metrics.get(name) for name in metrics] + [row.values.get(name) for name in values]:
            line += [None] * 3 if spread is None else [spread.mean, spread.low, spread.high]
        for metric in metrics:
            beside = row.paper(metric) if metric in TASKS[row.task].metrics else None
            line += [beside["value"], beside["mark"], beside["difference"]] if beside else [None] * 3
        writer.writerow(line)
    return out.getvalue()


def _csv_value(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ", ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def as_json(table: Table) -> str:
    return json.dumps(finite(table.to_dict()), ensure_ascii=False)


def write_results(table: Table, folder: Path) -> None:
    """table.md, table.csv and table.json in the study's folder."""
    for name, content in (
        ("table.md", markdown(table)),
        ("table.csv", as_csv(table)),
        ("table.json", as_json(table) + "\n"),
    ):
        write_bytes(Path(folder) / name, content.encode())
