"""Command line: ``cbirlab lab | app | list | run | compare | extract | index | versus | why | evaluate | published |
data | store``.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted; what went wrong is one sentence on stderr.
"""

from cbirlab.cli.commands import main

__all__ = ["main"]
