"""A web server on this machine that serves given files, with the faults that a test asks for."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit


@dataclass
class Site:
    """What a server has, and what it was asked for.

    Attributes:
        files: Content by path, e.g. `/a.tar`.
        url: Where the server is.
        ranges: Whether it can send a part of a file.
        cuts: How many bytes of the body it sends before it breaks off, one number for each request in turn.
        states: What it answers instead, one state for each request in turn.
        lie: Bytes by which the ranges that it sends are off.
        asked: Every request: path, and the range that it asks for.
        proxied: URLs that it was asked for as a proxy.
    """

    files: dict[str, bytes]
    url: str = ""
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    lie: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    proxied: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Site]

    def do_GET(self) -> None:
        """Send a file, or a part of it."""
        site, wanted = self.site, self.headers.get("Range")
        if self.path.startswith("http://"):
            site.proxied.append(self.path)
        path = unquote(urlsplit(self.path).path)
        site.asked.append((path, wanted))
        state = site.states.pop(0) if site.states else 200 if path in site.files else 404
        if state != 200:
            self.send_error(state)
            return
        content, start = site.files[path], 0
        span = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if span and site.ranges:
            start = int(span[1]) - site.lie
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
            self.send_header("Content-Encoding", "x-gzip")  # as servers do that know the suffix .tgz
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + site.cuts.pop(0) if site.cuts else None])

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    """Serve files by path until the block ends."""
    site = Site(files)
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
