"""The SMTP and LMTP client beside its status lines: connections, TLS sessions, one host's answer (src/smtp, src/tls).

When one of several mail exchangers fails, the client says why under the queue id, and tries the next; only what
happens at the last one stands on a status line. A connection that fails is logged without the queue id.
"""

from __future__ import annotations

from parsers.events import ConnectionFailure, Origin, Problem, Tls
from parsers.mta.postfix.delivery import RELAYS, phase_of
from parsers.mta.postfix.maintenance import trouble
from parsers.reply import read_reply
from parsers.shape import shape

# What connect(2) and the client's own timers say (strerror(3), src/smtp/smtp_connect.c); the first that fits decides.
ERRORS = (
    ("timed out", "timeout"),
    ("timeout", "timeout"),
    ("refused", "refused"),
    ("reset", "lost"),
    ("dropped", "lost"),
    ("lost connection", "lost"),
    ("Broken pipe", "lost"),
)


def no_connection(time: float, origin: Origin, relay: str, reply: str) -> ConnectionFailure:
    """A mail exchanger that cannot be reached. Raises ValueError for an impossible port."""
    error = next((error for words, error in ERRORS if words in reply), "unreachable")
    return _failure(time, origin, None, relay, error, "connect", reply)


def broken_session(
    time: float, origin: Origin, queue_id: str, relay: str, doing: str, *, error: str, words: str
) -> ConnectionFailure:
    """A session that ended before its time, at a host that is not the last one to try."""
    text = words.format(relay=relay, doing=doing)
    return _failure(time, origin, queue_id, relay, error, phase_of(text), text)


def refusal(time: float, origin: Origin, queue_id: str, relay: str, reply: str) -> ConnectionFailure:
    """A host that answers the connection itself with 4yz or 5yz."""
    event = _failure(time, origin, queue_id, relay, "refused", "banner", reply)
    event.reply_code, event.dsn = read_reply(reply)
    return event


def no_tls(time: float, origin: Origin, relay: str, reply: str) -> ConnectionFailure:
    """A TLS handshake that failed; the next line or the status line tells what became of the message."""
    return _failure(time, origin, None, relay, "tls", "starttls", reply)


def no_host(time: float, origin: Origin, queue_id: str, words: str, text: str) -> ConnectionFailure:
    """A next hop that the DNS does not know, where there is another (a fallback relay) to try."""
    return ConnectionFailure(time, origin, "dns", queue_id, phase="dns", reply=words + text)


def answer(time: float, origin: Origin, queue_id: str, relay: str, text: str) -> Problem:
    """One host's answer, when others are still to be tried: of interest to whoever follows that message."""
    return Problem(time, origin, "warning", f"host {relay} said: {text}", queue_id)


def setback(time: float, origin: Origin, queue_id: str, words: str, text: str) -> Problem:
    """Why the client gave up on one host, when others are still to be tried."""
    return Problem(time, origin, "warning", words + text, queue_id)


def bad_certificate(time: float, origin: Origin, words: str, relay: str, text: str) -> Problem | None:
    """Of a server; a client's is of interest to nobody else. Logged where the level of security asks for a
    certificate that can be trusted, or `smtp_tls_loglevel` is 2."""
    # A client has no name where tlsproxy speaks of it for postscreen.
    if origin.program == "smtpd" or words.startswith("client ") or relay.startswith("["):
        return None
    return Problem(time, origin, "warning", f"{words} failed for {relay}: {text}")


def tls(time: float, origin: Origin, tls_trust: str | None, relay: str, tls_protocol: str, tls_cipher: str) -> Tls:
    """Raises ValueError for an impossible port."""
    host, ip, port, _, _ = RELAYS[relay]
    trust = tls_trust.lower() if tls_trust else None
    return Tls(time, origin, None, None, host, ip, port, tls_protocol, tls_cipher, trust)


def _failure(
    time: float, origin: Origin, queue_id: str | None, relay: str, error: str, phase: str | None, reply: str
) -> ConnectionFailure:
    host, ip, port, provider, _ = RELAYS[relay]
    return ConnectionFailure(
        time, origin, error, queue_id, host, ip, port, None, None, provider, phase, None, None, reply
    )


SHAPES = (
    shape(
        "connect to {relay}: {reply}[ (port {_})]",
        "connect to mx1.example.org[2001:db8::25]:25: Connection timed out",
        no_connection,
    ),
    shape(
        "{queue_id}: lost connection with {relay} while {doing}",
        "4dHvRq1ZTPz9sWk: lost connection with mx1.example.org[192.0.2.25] while sending RCPT TO",
        broken_session,
        error="lost",
        words="lost connection with {relay} while {doing}",
    ),
    shape(
        "{queue_id}: conversation with {relay} timed out while {doing}",
        "4dHvRq1ZTPz9sWk: conversation with mx1.example.org[192.0.2.25] timed out while sending MAIL FROM",
        broken_session,
        error="timeout",
        words="conversation with {relay} timed out while {doing}",
    ),
    shape(
        "{queue_id}: host {relay} refused to talk to me: {reply}",
        "4dHvRq1ZTPz9sWk: host mx1.example.org[192.0.2.25] refused to talk to me: 421 4.7.0 Too many sessions",
        refusal,
    ),
    shape(
        "{queue_id}: [Protocol error: ]host {relay} said: {text}",
        "4dHvRq1ZTPz9sWk: host mx1.example.org[192.0.2.25] said: 452 4.2.2 Full (in reply to RCPT TO command)",
        answer,
    ),
    shape(
        "{queue_id}: {words:Cannot start TLS|TLS is required|TLSA lookup|TLS-Required|Server certificate |REQUIRETLS"
        "|Sender requires |client TLS configuration problem|SASL authentication failed|SASL [CACHED] "
        "|SMTPUTF8 is required|message size |local data error |mail for |unable to look up "
        "|unable to find primary relay|unexpected server message|unreadable mail queue entry"
        "|server configuration error}{text}",
        "4dHvRq1ZTPz9sWk: Cannot start TLS: handshake failure",
        setback,
    ),
    shape(
        "{queue_id}: {words:Host or domain name not found|Host not found|Name service error|Domain }{text}",
        "4dHvRq1ZTPz9sWk: Host or domain name not found. Name service error for name=relay.example.net type=A:"
        " Host not found",
        no_host,
    ),
    # --- TLS ---
    shape(
        "[{tls_trust:Anonymous|Untrusted|Trusted|Verified} ]TLS connection established to {relay}:"
        " {tls_protocol} with cipher {tls_cipher} ({_}",
        "Verified TLS connection established to mx1.example.org[192.0.2.25]:25: TLSv1.3 with cipher"
        " TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits)"
        " server-digest SHA256",
        tls,
        repeats=True,
    ),
    # The session began with another message: it is counted there.
    shape(
        "{_:Anonymous|Untrusted|Trusted|Verified} TLS connection reused to {_}",
        "Trusted TLS connection reused to mx1.example.org[192.0.2.25]:25: TLSv1.3 with cipher"
        " TLS_AES_256_GCM_SHA384 (256/256 bits)",
    ),
    shape(
        "SSL_connect error to {relay}: {reply}",
        "SSL_connect error to mx1.example.org[192.0.2.25]:25: lost connection",
        no_tls,
    ),
    shape(
        "{words:certificate verification|certificate peer name verification|certificate name verification"
        "|server certificate verification|client certificate verification|CA certificate verification}"
        " failed for {relay}: {text}",
        "certificate verification failed for mx1.example.org[192.0.2.25]:25: self-signed certificate",
        bad_certificate,
    ),
    shape("Host offered STARTTLS: {_}", "Host offered STARTTLS: [mx1.example.org]"),
    shape("TLSRPT: {_}", "TLSRPT: status=success, domain=example.org, receiving_mx=mx1.example.org"),
    shape(
        "{_:DNSSEC-signed TLSA record|fingerprint|TA cert as TLSA record|TA pkey as TLSA record}: {_}",
        "DNSSEC-signed TLSA record: _25._tcp.mx1.example.org. 300 IN TLSA: 3 1 1 0A1B2C",
    ),
    shape("using DANE RR: {_}", "using DANE RR: _25._tcp.mx1.example.org IN TLSA 3 1 1 0A1B2C"),
    # smtp_tls_loglevel 2 and above: every step of a handshake. (Those of client and server alike stand with smtpd.)
    shape("initializing the client-side TLS engine", "initializing the client-side TLS engine"),
    shape("setting up TLS connection to {_}", "setting up TLS connection to mx1.example.org[192.0.2.25]:25"),
    shape(
        "{relay}: {_:Matched |matched peername|SNI hostname|fingerprint|certificate |CommonName |subjectAltName"
        "|issuer|Peer |trust|untrusted |unusable |no TLSA }{_}",
        "mx1.example.org[2001:db8::25]:25: SNI hostname: mx1.example.org",
    ),
    shape("SSL_connect:{_}", "SSL_connect:SSLv3/TLS write client hello"),
    shape("SSL_set_fd error to {_}", "SSL_set_fd error to mx1.example.org[192.0.2.25]:25"),
    shape(
        "{_:looking for|reloaded|save|remove} session {_}",
        "looking for session smtp&example.org&mx1.example.org&192.0.2.25&&0A1B2C in smtp cache",
    ),
    # --- how the client adapts to a server ---
    shape(
        "{queue_id}: enabling PIX {_}",
        "4dHvRq1ZTPz9sWk: enabling PIX workarounds: disable_esmtp delay_dotcrlf for mx1.example.org[192.0.2.25]:25",
    ),
    shape("{queue_id}: breaking line > {_}", "4dHvRq1ZTPz9sWk: breaking line > 998 bytes with <CR><LF>SPACE"),
    shape(
        "{relay}: replacing server reply {_}",
        'mx1.example.org[192.0.2.25]: replacing server reply "250-PIPELINING" with "250-8BITMIME"',
    ),
    shape(
        "host {_} offers SMTPUTF8 support, but not 8BITMIME",
        "host mx1.example.org[192.0.2.25] offers SMTPUTF8 support, but not 8BITMIME",
    ),
    # --- how it finds a server ---
    shape(
        "skipping SRV lookup for {_}",
        "skipping SRV lookup for _submission._tcp.example.org: Host or domain name not found",
    ),
    shape("ignoring DNS RR: {_}", "ignoring DNS RR: mx1.example.org. 300 IN AAAA 2001:db8::25"),
    # Logged as information, but no mail is delivered that way.
    shape(
        "{words:SMTPS wrappermode (TCP port 465) requires setting |network address conversion failed: }{text}",
        'SMTPS wrappermode (TCP port 465) requires setting "smtp_tls_wrappermode = yes"',
        trouble,
    ),
)
