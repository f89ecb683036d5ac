"""The page of the web configuration, from the classes that check it."""

from __future__ import annotations

from exporter.config import describe_section
from exporter.door.password import MOST_OF_ALL, MOST_OF_ONE
from exporter.door.reception import MOST
from exporter.door.section import WebConfig
from exporter.door.visitor import Patience

_INTRODUCTION = f"""\
# Web configuration

`--web.config.file` is the file that Prometheus' own exporters take (exporter-toolkit): TLS, client certificates,
users, headers, a rate. Without it, everyone who reaches the port gets everything over HTTP. It is checked as strictly
as the [configuration](configuration.md), by `--config.check` too.

```yaml
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.com]
basic_auth_users:
  prometheus: $2y$10$fctOuQpF8rCGNNwByHoefuExRHWNt/6e5ijR2bewkyD5mNlkWRP2G
```

The file and those that it names are read again when one of them changes; no connection ends for that, and TLS may
come and go. What is wrong then is logged, and what was in force stays so, where the toolkit would refuse every
client. So it is where the file is empty, as it may be while it is written; with `{{}}` in it everybody may come in.
Half a file may lack the users: write another one, and rename that.

A password is checked beside everything else, so that guesses hold no scrape up: one at a time for each address
({MOST_OF_ONE} may wait, and {MOST_OF_ALL} of all addresses; more get 429), and one that was right once costs nothing
again until the process ends. A user that there is not takes the time of one that there is.

`--web.listen-address` may be repeated, and may be `unix:/PATH`: a socket for its owner and group.
`--web.max-connections` ({MOST} without it) bounds the connections; where all places are taken, the connection goes
that has waited longest without a request. A client has {Patience.handshake:g} seconds to shake hands,
{Patience.request:g} to send the head of a request, and {Patience.answer:g} to take the answer.

A client that ends its half of the connection after its request (`nc -N`) has the answer to it, over HTTP alone:
Python's TLS closes both halves. One that is gone looks the same, so such a connection, too, goes where all places are
taken.
"""


def text() -> str:
    """The page."""
    return _INTRODUCTION + "".join(describe_section(WebConfig, "Top level"))
