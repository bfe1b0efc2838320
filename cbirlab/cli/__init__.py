"""Command line: ``cbirlab COMMAND``; ``cbirlab --help`` lists the commands.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted; what went wrong is one sentence on stderr.
"""

from cbirlab.cli.commands import main

__all__ = ["main"]
