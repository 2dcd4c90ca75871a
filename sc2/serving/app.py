"""The HTTP side of `sc2 serve`: what is accepted, what is refused with which reason, health and metrics.

POST /v1/answers?task=…&top=…   body: one container      200 answers by task; 400 … 504 {"error": reason}
GET  /health                                             200 the halves that are loaded
GET  /metrics                                            200 counts and times, for Prometheus
"""

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sc2.entropy import range_decoder  # noqa: F401  (takes half a second, which the first request would wait for)
from sc2.errors import WireError
from sc2.serving.batches import Batches, TooMany
from sc2.serving.halves import Request, ServerHalves, UnknownHalf

_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
        most_bytes: Largest container.
        most_waiting: Requests that may wait for the networks.
        batch: Images in one run of a network.
        batch_s: How long a batch waits for more (seconds).
        timeout_s: How long a request may take to arrive, and then an answer to be computed (seconds, each).
        token: What clients must send as `Authorization: Bearer …`; None for no token.
    """

    most_bytes: int = 2**20
    most_waiting: int = 64
    batch: int = 16
    batch_s: float = 0.002
    timeout_s: float = 10.0
    token: str | None = None


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        reason: What is wrong, for the user.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Metrics:
    """What Prometheus collects."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("sc2_requests", "Requests for answers, by HTTP status", ["status"], registry=own)
        self.container_bytes = Counter(
            "sc2_container_bytes", "Bytes of the containers that were answered", registry=own
        )
        self.seconds = Histogram("sc2_answer_seconds", "From the whole container to its answer", registry=own)
        self.batch = Histogram("sc2_batch_images", "Requests in one run of the networks", buckets=_SIZES, registry=own)
        self.waiting = Gauge("sc2_waiting", "Requests that wait for the networks", registry=own)
        ProcessCollector(registry=own)


class Service:
    """The endpoints.

    Args:
        halves: The server halves.
        limits: What is taken.
    """

    def __init__(self, halves: ServerHalves, limits: Limits) -> None:
        self._halves, self._limits, self._metrics = halves, limits, Metrics()
        self._batches: Batches[Request, dict[str, Any]] = Batches(
            halves.answers,
            most=limits.batch,
            wait_s=limits.batch_s,
            most_waiting=limits.most_waiting,
            on_batch=self._metrics.batch.observe,
        )
        self._metrics.waiting.set_function(lambda: self._batches.waiting)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Answer requests as long as the application runs."""
        await self._batches.start()
        yield
        await self._batches.stop()

    async def answers(self, request: HttpRequest) -> Response:
        """Answer a container, or say why not."""
        try:
            container = await _body(request, self._limits)
            start = time.perf_counter()
            answer = await _answered(self._batches, _asked(request, container), self._limits)
            self._metrics.seconds.observe(time.perf_counter() - start)
            self._metrics.container_bytes.inc(len(container))
            response: Response = JSONResponse(answer)
        except Refused as refused:
            retry = {"Retry-After": "1"} if refused.status == 503 else {}
            # The rest of a body that is refused is not read: the connection ends with the answer.
            headers = {**retry, "Connection": "close"}
            response = JSONResponse({"error": refused.reason}, status_code=refused.status, headers=headers)
        self._metrics.requests.labels(str(response.status_code)).inc()
        return response

    async def health(self, request: HttpRequest) -> Response:
        """Say which halves are loaded."""
        return JSONResponse({"status": "ok", "halves": self._halves.listed()})

    async def metrics(self, request: HttpRequest) -> Response:
        """Return counts and times as Prometheus reads them."""
        exposed = generate_latest(self._metrics.registry)
        return Response(exposed, media_type="text/plain; version=0.0.4; charset=utf-8")


def build_app(halves: ServerHalves, limits: Limits) -> Starlette:
    """Return the application.

    Args:
        halves: The server halves.
        limits: What is taken.
    """
    service = Service(halves, limits)
    routes = [
        Route("/v1/answers", service.answers, methods=["POST"]),
        Route("/health", _guarded(service.health, limits)),
        Route("/metrics", _guarded(service.metrics, limits)),
    ]
    return Starlette(routes=routes, lifespan=service.lifespan)


Endpoint = Callable[[HttpRequest], Awaitable[Response]]


def _guarded(endpoint: Endpoint, limits: Limits) -> Endpoint:
    async def guarded(request: HttpRequest) -> Response:
        try:
            _check_token(request, limits)
        except Refused as refused:
            return JSONResponse({"error": refused.reason}, status_code=refused.status)
        return await endpoint(request)

    return guarded


def _check_token(request: HttpRequest, limits: Limits) -> None:
    given = request.headers.get("authorization", "")
    # In constant time, so that the time does not say how much of a guess is right.
    if limits.token is not None and not hmac.compare_digest(given.encode(), f"Bearer {limits.token}".encode()):
        raise Refused(401, "this server needs its token: Authorization: Bearer …")


def _asked(request: HttpRequest, container: bytes) -> Request:
    top = request.query_params.get("top", "5")
    if not top.isascii() or not top.isdigit() or len(top) > 4:
        raise Refused(400, f"top must be a whole number, not {top[:20]!r}")
    return Request(container, request.query_params.get("task"), int(top))


async def _body(request: HttpRequest, limits: Limits) -> bytes:
    """Return the body, of which no more is held than allowed.

    Raises:
        Refused: There is no token, it is too large, empty, cut, or takes too long.
    """
    _check_token(request, limits)
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limits.most_bytes:
        raise Refused(413, f"{announced} bytes; this server takes containers of at most {limits.most_bytes}")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_s):
            async for part in request.stream():
                body += part
                if len(body) > limits.most_bytes:
                    raise Refused(413, f"this server takes containers of at most {limits.most_bytes} bytes")
    except TimeoutError as error:
        raise Refused(408, f"the container did not arrive within {limits.timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise Refused(400, f"the connection ended after {len(body)} bytes of the container") from error
    if not body:
        raise Refused(400, "the body is empty; it must be one container, as sc2 encode writes it")
    return bytes(body)


async def _answered(batches: Batches[Request, dict[str, Any]], request: Request, limits: Limits) -> dict[str, Any]:
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await batches.ask(request)
    except TooMany as error:
        raise Refused(503, f"{limits.most_waiting} requests are waiting already; try again") from error
    except UnknownHalf as error:
        raise Refused(404, str(error)) from error
    except WireError as error:
        raise Refused(400, str(error)) from error
    except TimeoutError as error:
        raise Refused(504, f"no answer within {limits.timeout_s:g} s") from error
    except Exception as error:  # a fault of the server: the client learns its kind, and the server goes on
        raise Refused(500, f"the server half failed: {type(error).__name__}") from error
