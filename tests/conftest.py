"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# A gate says the same of the same code each time; at home, each run looks for something new. No test is timed.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("home", deadline=None)
settings.load_profile("gate" if os.environ.get("CI") else "home")
