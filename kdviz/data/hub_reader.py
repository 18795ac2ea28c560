"""The child process of `hub`: reads one task with the datasets library.

One JSON object comes in on standard input (datasets, task, snapshot, splits, columns), one goes out on
standard output: {"splits": {split: {"texts": [column, ...], "labels": [...]}}} or {"error": "one line"}.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

from kdviz.compat import before_each_request
from kdviz.errors import one_line

MOST_TRIES = 2
SECONDS_PER_ANSWER = 5.0
LATER = "try again later"


class GaveUp(BaseException):
    """A request was about to be sent once too often. Not an Exception, so that no library takes it for a
    reason to try again.
    """


def main() -> None:
    """Answer the question on standard input; whatever libraries print goes to standard error."""
    question = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        no_endless_retries()
        answer = {"splits": read(**question)}
    except GaveUp as error:
        answer = {"error": f"{error}; {LATER}"}
    except (
        Exception
    ) as error:  # the libraries' errors are of no common kind, and the parent needs one line of any
        answer = {
            "error": what_answered(error)
            or f"{type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
        }
    with output:
        json.dump(answer, output)


def what_answered(error: BaseException) -> str | None:
    """What came in place of the hub's answer, and what helps; None where `error` is of another kind."""
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 429:
        return f"the hub takes no more requests from here for now (it answered 429); {LATER}"
    if status is not None and status >= 500:
        return f"the hub is in trouble (it answered {status}); {LATER}"
    if "Timeout" in kind:
        return f"the hub did not answer in time; {LATER}"
    if kind in ("RemoteProtocolError", "ReadError", "ConnectError"):
        return f"the connection broke ({one_line(error)}); {LATER}"
    if kind == "JSONDecodeError":
        return (
            "what answered is no hub (a login page of this network?); open the hub in a browser, and look at "
            "HF_ENDPOINT where that is set"
        )
    return what_answered(error.__cause__) if error.__cause__ else None


def no_endless_retries(most_tries: int = MOST_TRIES) -> None:
    """Bound how long the hub's library waits for an answer, and how often it asks the same thing.

    Left alone it tries a request six times and waits up to a minute for each, so a link that goes dead costs
    many minutes.
    """
    tries: Counter[tuple[str, str]] = Counter()

    def before(request) -> None:
        request.extensions["timeout"] = dict.fromkeys(
            ("connect", "read", "write", "pool"), SECONDS_PER_ANSWER
        )
        asked = (request.method, str(request.url))
        tries[asked] += 1
        if tries[asked] > most_tries:
            raise GaveUp(f"{request.url.host} stopped answering, or refused {most_tries} times")

    before_each_request(before)


def read(
    datasets: list[str], task: str, snapshot: str | None, splits: list[str], columns: list[str]
) -> dict[str, dict]:
    """Text columns and labels of each split, by the first of the names `datasets` that can be loaded.
    `snapshot` is a downloaded repository, for where no prepared cache is.
    """
    tables = _tables(datasets, task, snapshot, splits)
    return {
        split: {"texts": [table[name].to_pylist() for name in columns], "labels": table["label"].to_pylist()}
        for split, table in tables.items()
    }


def _tables(names: list[str], task: str, snapshot: str | None, splits: list[str]) -> dict:
    """An arrow table a split."""
    from datasets import load_dataset

    failed = None
    for name in names:
        try:
            loaded = load_dataset(name, task)
            return {split: loaded[split].with_format("arrow")[:] for split in splits}
        except Exception as error:  # whatever is wrong with a prepared cache, the downloaded files may do
            failed = failed or error
    if snapshot is None:
        raise failed
    files = {split: sorted(Path(snapshot, task).glob(f"{split}-*.parquet")) for split in splits}
    if not all(files.values()):
        raise failed
    # Without the library, which writes to its cache whatever it reads: a shared one may be read-only.
    import pyarrow
    from pyarrow import parquet

    return {split: pyarrow.concat_tables(map(parquet.read_table, files[split])) for split in splits}


if __name__ == "__main__":
    main()
