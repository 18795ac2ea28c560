"""The child process of `hub`: reads one task with the datasets library.

One JSON object comes in on standard input (dataset, task, snapshot, splits, columns), one goes out on standard output:
{"splits": {split: {"texts": [column, ...], "labels": [...]}}} or {"error": "one line"}.
"""

import json
import os
import sys


def main() -> None:
    """Answer the question on standard input; whatever libraries print goes to standard error."""
    question = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        answer = {"splits": read(**question)}
    except Exception as error:  # the libraries' errors are of no common kind, and the parent needs one line of any
        answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"}
    with output:
        json.dump(answer, output)


def read(dataset: str, task: str, snapshot: str | None, splits: list[str], columns: list[str]) -> dict[str, dict]:
    """Text columns and labels of each split. `snapshot` is a downloaded repository, for where no prepared cache is."""
    from datasets import load_dataset

    try:
        loaded = load_dataset(dataset, task)
    except Exception:  # whatever is wrong with the prepared cache, the downloaded files may do
        if snapshot is None:
            raise
        files = {split: os.path.join(snapshot, task, f"{split}-*.parquet") for split in splits}
        loaded = load_dataset("parquet", data_files=files)
    return {
        split: {"texts": [loaded[split][name][:] for name in columns], "labels": loaded[split]["label"][:]}
        for split in splits
    }


if __name__ == "__main__":
    main()
