"""How fast the exporter reads a log, and its peers the same log. No part of what is installed."""
