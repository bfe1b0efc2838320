"""``python -m cbirlab`` is ``cbirlab``."""

import sys

from cbirlab.cli import main

sys.exit(main())
