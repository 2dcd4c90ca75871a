"""The device's end of HTTP: containers to `sc2 serve` over one connection that is kept, with the standard library."""

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sc2.errors import ConfigError, SC2Error

DEFAULT_TOP = 5
_LARGEST_ANSWER = 2**28
_PAUSE_S = 0.2
# The server could not take the request, or is not there: the same request may succeed later.
_AGAIN = (502, 503, 504)


class ServerError(SC2Error):
    """A server cannot be reached, or refuses what it was sent."""


@dataclass(frozen=True)
class Settings:
    """How the server is reached.

    Attributes:
        timeout_s: How long to wait for the connection, and for each answer (seconds).
        retries: Tries after one that failed because the server was not there or too busy.
        token: What it asks for; None for nothing.
        ca: Certificates to trust (PEM); None for the system's.
    """

    timeout_s: float = 10.0
    retries: int = 3
    token: str | None = None
    ca: Path | None = None


class Client:
    """Sends containers to one server.

    Args:
        url: Its address, `http://…` or `https://…`.
        settings: How it is reached.

    Raises:
        ConfigError: The address or the certificates cannot be used.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"--server {url}: must begin with http:// or https:// and name a host")
        self.url, self.settings, self._path = url, settings, parts.path.rstrip("/")
        try:
            port = parts.port
            self._tls = ssl.create_default_context(cafile=settings.ca) if parts.scheme == "https" else None
        except (ValueError, OSError) as error:
            raise ConfigError(f"--server {url}: {error}") from error
        self._host, self._port = parts.hostname, port
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, container: bytes, *, task: str | None = None, top: int = DEFAULT_TOP) -> dict[str, Any]:
        """Return the server's answer to a container.

        Args:
            container: The bytes to send.
            task: Only this task.
            top: How many classes or boxes are described.

        Raises:
            ServerError: The server cannot be reached, or refuses; the message has its reason.
        """
        asked = {**({} if top == DEFAULT_TOP else {"top": top}), **({} if task is None else {"task": task})}
        path = f"{self._path}/v1/answers" + (f"?{urlencode(asked)}" if asked else "")
        problem = ""
        for attempt in range(self.settings.retries + 1):
            if attempt:
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
            try:
                status, body = self._post(path, container)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                problem = f"{self.url} cannot be reached: {error or type(error).__name__}"
                if isinstance(error, ssl.SSLCertVerificationError):
                    break
                continue
            if status == 200:
                return _parsed(body, self.url)
            problem = f"{self.url} refuses ({status}): {_reason(body)}"
            if status not in _AGAIN:
                break
        raise ServerError(problem)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, container: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            where = self._host, self._port
            timeout = self.settings.timeout_s
            self._connection = (
                http.client.HTTPConnection(*where, timeout=timeout)
                if self._tls is None
                else http.client.HTTPSConnection(*where, timeout=timeout, context=self._tls)
            )
        # As few headers as HTTP allows: on a slow link they take longer than the container.
        self._connection.putrequest("POST", path, skip_accept_encoding=True)
        self._connection.putheader("Content-Length", str(len(container)))
        if self.settings.token is not None:
            self._connection.putheader("Authorization", f"Bearer {self.settings.token}")
        self._connection.endheaders(container)
        response = self._connection.getresponse()
        body = response.read(_LARGEST_ANSWER)
        if response.will_close:
            self.close()
        return response.status, body


def _parsed(body: bytes, url: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
        if isinstance(answer["answers"], dict) and isinstance(answer["described"], dict):
            return dict(answer)
    except (ValueError, LookupError, TypeError):
        pass
    raise ServerError(f"{url} is no sc2 serve: its answer is not one")


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return body[:200].decode("utf-8", "replace") or "no reason given"
