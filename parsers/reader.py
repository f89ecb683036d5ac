"""Blocks of lines in, events out: the loop that everything else's speed depends on.

A line is looked at as prefix and message. Both repeat: the time of a line is mostly that of the line before, its
"host program[pid]" one of a few thousand, so both are looked up and only what is new is parsed. The program tells the
grammar, the first characters of the message tell the few shapes it can have.
"""

from __future__ import annotations

from collections import defaultdict

from parsers.events import Event, Origin
from parsers.mta import postfix
from parsers.shape import KEY, Compiled, Grammar
