"""What the server says about itself: OpenAPI, AsyncAPI, and a page that shows the first."""

from cortex_server.api import asyncapi, openapi
from cortex_server.api.answers import Raw, encode
from cortex_server.api.endpoint import Read, Routes
from cortex_server.api.pages import FILES, STATIC

routes = Routes("documents")


@routes.get("/openapi.json", summary="Describe this API (OpenAPI 3.1).", answer=None, agent=True)
def openapi_json(call: Read) -> Raw:
    from cortex_server import api

    return Raw(encode(openapi.document(api.ALL, call.services.version)))


@routes.get(
    "/asyncapi.json", summary="Describe the event streams (AsyncAPI 3.0).", answer=None, agent=True
)
def asyncapi_json(call: Read) -> Raw:
    return Raw(encode(asyncapi.document(call.services.version)))


@routes.get(
    "/docs", summary="Show this API as a page.", answer=None, agent=True, media_type="text/html"
)
def docs(call: Read) -> Raw:
    return Raw((STATIC / "docs.html").read_bytes(), FILES["docs.html"])
