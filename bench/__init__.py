"""How fast the exporter reads a log, and its peers the same log. No part of what is installed."""

RATE = 20.0  # messages a second: two million lines are some hours of a busy relay
START = 1_767_571_200.0  # 2026-01-05 00:00 UTC; any other time would do, but always the same
