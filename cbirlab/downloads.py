"""Downloads: whether this process may fetch what is not on the machine; an app that is served to others may not."""

from __future__ import annotations

import os

VARIABLE = "CBIRLAB_DOWNLOADS"
_OFF = ("off", "no", "false", "0")


def allowed() -> bool:
    """Whether something may be fetched, and files be opened that visitors of an app name."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def check(what: str, error: type[Exception]) -> None:
    """Raise `error` where nothing may be fetched.

    Parameters
    ----------
    what : would be fetched, as the subject of a sentence.
    """
    if not allowed():
        raise error(
            f"{what} must be fetched, and here nothing is ({VARIABLE}=off); whoever runs this gets it first, or starts "
            "the app with --allow-downloads."
        )
