"""`python -m mailstat`."""

from __future__ import annotations

import sys

from mailstat.cli import main

sys.exit(main())
