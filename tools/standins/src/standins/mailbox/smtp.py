"""SMTP as a mail provider accepts it: one protocol object a connection, no task, many mails each.

RFC 5321 with PIPELINING, SIZE, 8BITMIME and SMTPUTF8. No TLS and no login: it listens on this machine only.
Not aiosmtpd, which takes 0.9 ms of CPU more for each mail, on the cores that are being measured, and loses a
mail whose client has gone.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import cast

from standins.mailbox.settings import Fault, Settings, take_fault

LONGEST_LINE = 4096
MOST_ERRORS = 20
END = b"\r\n.\r\n"
PATH = re.compile(rb"(?:FROM|TO):\s*<([^<>\s]*)>\s*(.*)", re.IGNORECASE | re.DOTALL)
SIZE = re.compile(rb"\bSIZE=(\d{1,15})\b", re.IGNORECASE)

Keep = Callable[[str, list[str], bytes], int]


class SmtpProtocol(asyncio.Protocol):
    """`keep` stores a message before it is acknowledged, gives its number, raises OSError if it cannot."""

    def __init__(
        self, settings: Settings, keep: Keep, faults: list[Fault], peers: set[asyncio.Transport]
    ) -> None:
        self._settings, self._keep, self._faults, self._peers = settings, keep, faults, peers
        self._buffer = bytearray()
        self._replies: list[bytes] = []
        self._errors = 0
        self._greeted = self._busy = False
        self._scanned = 0
        self._sender: str | None = None
        self._commands: dict[bytes, Callable[[bytes], None]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": lambda _: self._reply(b"250 2.0.0 OK"),
            b"VRFY": lambda _: self._reply(b"252 2.5.0 send it and see"),
            b"QUIT": lambda _: self._leave(b"221 2.0.0 bye"),
        }
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._loop = cast("asyncio.Transport", transport), asyncio.get_running_loop()
        self._last_data = self._loop.time()
        self._timer = self._loop.call_later(self._settings.idle, self._watch)
        if len(self._peers) >= self._settings.connections:
            self._leave(b"421 4.3.2 too many connections")
        else:
            self._peers.add(self._transport)
            self._reply(b"220 mailbox ESMTP")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._peers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._last_data = self._loop.time()
        self._buffer += data
        while not self._busy and not self._transport.is_closing():
            if not (self._message() if self._in_message else self._line()):
                break
        self._flush()

    def _line(self) -> bool:
        """Takes one command out of the buffer; False when there is no whole one."""
        end = self._buffer.find(b"\r\n", 0, LONGEST_LINE)
        if end < 0:
            if len(self._buffer) > LONGEST_LINE:
                self._leave(b"500 5.5.2 line too long")
            return False
        verb, _, argument = bytes(self._buffer[:end]).partition(b" ")
        del self._buffer[: end + 2]
        command = self._commands.get(verb.upper())
        if command:
            command(argument)
        else:
            self._refuse(b"500 5.5.2 unknown command")
        return True

    def _message(self) -> bool:
        """Takes one message out of the buffer, which begins with DATA's line end; drops what is too long."""
        end = self._buffer.find(END, self._scanned)
        if end < 0:
            if len(self._buffer) > self._settings.largest:
                self._too_long = True
                del self._buffer[: -len(END)]
            self._scanned = max(0, len(self._buffer) - len(END))
            return False
        raw = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(END)]
        if self._too_long or len(raw) > self._settings.largest:
            self._reply(b"552 5.3.4 message too long")
        else:
            self._accept(raw.replace(b"\n..", b"\n.")[2:])
        self._reset()
        return True

    def _accept(self, raw: bytes) -> None:
        assert self._sender is not None
        keep = partial(self._store, self._sender, self._recipients, raw)
        fault = take_fault(self._faults, self._recipients)
        kind = fault.kind if fault else None
        if kind == "defer":
            self._reply(b"451 4.3.0 deferred on request, try again")
        elif kind == "reject":
            self._reply(b"550 5.7.1 rejected on request")
        elif kind == "disconnect":
            self._transport.abort()
        elif fault and kind == "slow":
            self._busy = True
            self._loop.call_later(fault.seconds, self._store_slowly, keep)
        else:
            keep(acknowledge=fault is None)

    def _store_slowly(self, keep: Callable[..., None]) -> None:
        """As a server that scans each mail: the mail is kept even if its client has gone by then, and nothing
        else of this connection is answered before."""
        self._busy = False
        keep(acknowledge=True)
        self.data_received(b"")

    def _store(self, sender: str, recipients: list[str], raw: bytes, *, acknowledge: bool) -> None:
        try:
            number = self._keep(sender, recipients, raw)
        except OSError as problem:
            self._reply(b"452 4.3.1 cannot store: " + str(problem).encode("ascii", "replace"))
            return
        if acknowledge:
            self._reply(b"250 2.0.0 OK %d" % number)
        else:
            self._transport.abort()

    def _ehlo(self, _: bytes) -> None:
        self._helo(_)
        size = b"250-SIZE %d" % self._settings.largest
        greeting = (b"250-mailbox", b"250-PIPELINING", size, b"250-8BITMIME", b"250-ENHANCEDSTATUSCODES")
        self._replies[-1] = b"\r\n".join((*greeting, b"250 SMTPUTF8"))

    def _helo(self, _: bytes) -> None:
        self._greeted = True
        self._reset()
        self._reply(b"250 mailbox")

    def _mail(self, argument: bytes) -> None:
        path = PATH.fullmatch(argument)
        size = SIZE.search(path[2]) if path else None
        if not self._greeted or self._sender is not None:
            self._refuse(b"503 5.5.1 EHLO first, and one MAIL at a time")
        elif path is None or argument[:5].upper() != b"FROM:":
            self._refuse(b"501 5.5.4 MAIL FROM:<address>")
        elif size and int(size[1]) > self._settings.largest:
            self._reply(b"552 5.3.4 message too long")
        else:
            self._sender = path[1].decode("utf-8", "replace")
            self._reply(b"250 2.1.0 OK")

    def _rcpt(self, argument: bytes) -> None:
        path = PATH.fullmatch(argument)
        if self._sender is None:
            self._refuse(b"503 5.5.1 MAIL first")
        elif path is None or argument[:3].upper() != b"TO:" or b"@" not in path[1]:
            self._refuse(b"501 5.1.3 RCPT TO:<address>")
        elif len(self._recipients) >= self._settings.recipients:
            self._reply(b"452 4.5.3 too many recipients")
        else:
            self._recipients.append(path[1].decode("utf-8", "replace"))
            self._reply(b"250 2.1.5 OK")

    def _data(self, _: bytes) -> None:
        if not self._recipients:
            self._refuse(b"503 5.5.1 RCPT first")
            return
        self._in_message = True
        self._buffer[:0] = b"\r\n"
        self._reply(b"354 end with a dot on a line of its own")

    def _rset(self, _: bytes) -> None:
        self._reset()
        self._reply(b"250 2.0.0 OK")

    def _reset(self) -> None:
        self._sender = None
        self._recipients: list[str] = []
        self._in_message = self._too_long = False
        self._scanned = 0

    def _refuse(self, reply: bytes) -> None:
        self._errors += 1
        if self._errors >= MOST_ERRORS:
            self._leave(b"421 4.7.0 too many errors")
        else:
            self._reply(reply)

    def _leave(self, reply: bytes) -> None:
        self._reply(reply)
        self._flush()
        self._transport.close()

    def _reply(self, reply: bytes) -> None:
        self._replies.append(reply)

    def _flush(self) -> None:
        """All replies to a pipelined batch in one write."""
        if self._replies and not self._transport.is_closing():
            self._transport.write(b"\r\n".join((*self._replies, b"")))
        self._replies.clear()

    def _watch(self) -> None:
        """One timer a connection, which checks when data came last: cheaper than one a packet."""
        left = self._last_data + self._settings.idle - self._loop.time()
        if self._busy:
            self._timer = self._loop.call_later(self._settings.idle, self._watch)
        elif left <= 0:
            self._leave(b"421 4.4.2 idle for too long")
        else:
            self._timer = self._loop.call_later(left, self._watch)
