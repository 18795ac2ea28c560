"""The two ways a run can end badly, told apart by who can mend it, and what an error says in one line."""


class RequestError(ValueError):
    """What was asked for cannot be done: exit status 2, a message by the field in the app.

    The message is one line: what was expected, what came, what to do. `field` names the setting at fault
    (a `RunConfig` field name), where there is one.
    """

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.field = field


class RunFailed(RuntimeError):
    """A run that was rightly asked for broke on the way: exit status 1, one line why, details in its log."""


class Stopped(Exception):
    """The user asked the run to stop: exit status 130; the epochs so far stay usable."""


def one_line(error: object, most: int = 160) -> str:
    """What an error says, in one line of at most `most` characters; its kind where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def kind_and_line(error: BaseException) -> str:
    """The kind of an error that nobody foresaw, and what it says, in one line of at most 300 characters."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:300] if said else type(error).__name__
