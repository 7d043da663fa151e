"""Answers that go on for ever are asked for as what has an end, and the token that the tests come
in with is left alone."""

import os

import schemathesis

OWN_TOKEN = os.environ.get("WAKEDOCK_TEST_TOKEN_ID", "")


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if path == "/api/v1/events":
        case.headers["Accept"] = "application/json"
    if path.endswith("/logs"):
        case.headers["Accept"] = "text/plain"
        if case.query.get("follow") in (True, "true"):
            case.query["follow"] = "false"
    if path == "/api/v1/tokens/{id}" and case.path_parameters.get("id") == OWN_TOKEN:
        case.path_parameters["id"] = "another"
