"""sse-starlette: a queue for each client, fed by POST /publish."""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

clients: set[asyncio.Queue[str]] = set()


async def events(_request: Request) -> EventSourceResponse:
    queue: asyncio.Queue[str] = asyncio.Queue()
    clients.add(queue)

    async def stream() -> AsyncIterator[dict[str, str]]:
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            clients.discard(queue)

    return EventSourceResponse(stream())


async def publish(request: Request) -> Response:
    data = (await request.body()).decode()
    for queue in clients:
        queue.put_nowait(data)
    return Response("ok")


app = Starlette(
    routes=[Route("/events", events), Route("/publish", publish, methods=["POST"])],
)
