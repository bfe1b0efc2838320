"""Trust: networks of torch.hub are code of others, which runs only once somebody said so."""

from __future__ import annotations

import os

VARIABLE = "CBIRLAB_TRUST_HUB"
_TRUSTED: set[str] = set()


class Untrusted(ValueError):
    """Code of others that nobody said may run; its message says how to."""


def trust_hub(repository: str) -> None:
    """Let code of a repository of torch.hub run in this process.

    Parameters
    ----------
    repository : "owner/name", "owner/name:branch" for that branch alone, or a folder.

    Notes
    -----
    It may do whatever you may do: read it first. For new processes and the command line, list it in the environment
    variable ``CBIRLAB_TRUST_HUB``, separated by commas.
    """
    if not repository.strip():
        raise ValueError(f"trust_hub: repository must be 'owner/name' or a folder, got {repository!r}.")
    _TRUSTED.add(repository.strip())


def check_trusted(repository: str, owner: str) -> None:
    """Refuse what is not trusted.

    Raises
    ------
    Untrusted : it is not.
    """
    listed = {part.strip() for part in os.environ.get(VARIABLE, "").split(",")}
    if not {repository, repository.partition(":")[0]} & (_TRUSTED | listed):
        raise Untrusted(
            f"{owner}: it runs Python code of {repository} on this machine, which may do whatever you may do. Read it; "
            f"if you trust it call cbirlab.backbones.trust_hub({repository!r}), or set {VARIABLE}={repository}."
        )
