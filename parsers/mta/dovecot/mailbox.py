"""Sessions in mailboxes: how they ended, and what was stored.

No message is counted here: one that LMTP stored is told by the mail server that gave it, one that the submission
service relayed by the one that got it.
"""

from __future__ import annotations

from parsers.shape import shape

# Tried first, for every login has its end.
SHAPES = (
    shape(
        "{_:imap|lmtp|pop3|managesieve|sieve|submission}({_})<{_}>: [Info: ]"
        "{_:Connection closed|Disconnected|Logged out|msgid=|sieve: }{_}",
        "imap(kim)<4711><bMdzvNBgPK5/AAAB>: Disconnected: Logged out in=12 out=477 deleted=0 expunged=0",
    ),
)
