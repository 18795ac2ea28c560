"""The child process of `hub`: reads one task with the datasets library.

One JSON object comes in on standard input (datasets, task, snapshot, splits, columns), one goes out on
standard output: {"splits": {split: {"texts": [column, ...], "labels": [...]}}} or {"error": "one line"}.
"""

import json
import os
import sys
from collections import Counter

from kdviz.compat import before_each_request

MOST_TRIES = 2
SECONDS_PER_ANSWER = 5.0


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
        answer = {"error": str(error)}
    except (
        Exception
    ) as error:  # the libraries' errors are of no common kind, and the parent needs one line of any
        answer = {
            "error": f"{type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
        }
    with output:
        json.dump(answer, output)


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
    loaded = _loaded(datasets, task, snapshot, splits)
    tables = {split: loaded[split].with_format("arrow")[:] for split in splits}
    return {
        split: {"texts": [table[name].to_pylist() for name in columns], "labels": table["label"].to_pylist()}
        for split, table in tables.items()
    }


def _loaded(names: list[str], task: str, snapshot: str | None, splits: list[str]):
    from datasets import load_dataset

    failed = None
    for name in names:
        try:
            return load_dataset(name, task)
        except Exception as error:  # whatever is wrong with a prepared cache, the downloaded files may do
            failed = failed or error
    if snapshot is None:
        raise failed
    files = {split: os.path.join(snapshot, task, f"{split}-*.parquet") for split in splits}
    return load_dataset("parquet", data_files=files)


if __name__ == "__main__":
    main()
