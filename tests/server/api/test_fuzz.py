"""Requests made up from the OpenAPI document: no answer is a fault or unlike what it says."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .conftest import dispose, make_api

EXAMPLES = 3


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    api = make_api(tmp_path_factory.mktemp("fuzz"))
    api.make("/projects", key="CTX", name="Cortex")
    yield api
    dispose(api)


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_made_up_request_makes_a_fault(fuzzed):
    import schemathesis  # takes a second, which only this test is to pay

    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", fuzzed.app, headers=auth(fuzzed))
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        # ending our own token would turn every answer after it into a 401
        if not operation.path.startswith(("/api/tokens/", "/api/logout")):
            ask(operation, auth(fuzzed))
            asked += 1
    assert asked > 50


def auth(api):
    return {"Authorization": f"Bearer {api.token}", "Accept-Encoding": "identity"}


def ask(operation, headers):
    """Send made-up requests to one operation; each answer must be one that it declares."""

    from schemathesis import checks

    found = [getattr(checks, name) for name in CHECKS]

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case):
        case.validate_response(case.call(headers=headers), checks=found)

    send()
