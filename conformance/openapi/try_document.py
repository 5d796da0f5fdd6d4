"""Schemathesis against a running server: what openapi.json says is sent, and much that it doesn't say, and each answer must be
one of those that it names. The same requests in every run, as far as the time goes."""

import os

from schemathesis.cli import schemathesis

schemathesis(
    [
        "run", os.environ["BASE_URL"] + "/openapi.json",
        "--header", "Authorization: Bearer demo",
        "--phases", "coverage,fuzzing",
        "--max-time", "30",  # seconds, for all of it
        "--max-examples", "3",
        "--generation-deterministic",
        # What a client can rely on. Whether data that fits is taken depends on more than a schema can say.
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--continue-on-failure",
        "--suppress-health-check", "all",  # they are about time, and a busy machine is no failure
        "--request-timeout", "60",
        "--warnings", "off",
        "--no-color",
    ]
)
