"""uvicorn's HTTP protocol, with an end to connections that begin a request and never finish its head."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """Return a protocol that closes a connection whose request head takes longer than some seconds.

    Between two requests, uvicorn's own limit for idle connections holds; for a body, the application's.
    """

    class Patient(H11Protocol):
        _giving_up: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def _watch(self) -> None:
            # IDLE: the client has not sent a whole head. The clock is not set back by a byte now and then.
            if self.conn.their_state is not h11.IDLE:
                self._rest()
            elif self._giving_up is None:
                self._giving_up = self.loop.call_later(seconds, self.transport.close)

        def _rest(self) -> None:
            if self._giving_up is not None:
                self._giving_up.cancel()
                self._giving_up = None

    return Patient
