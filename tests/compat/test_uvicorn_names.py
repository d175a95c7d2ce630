"""Names of uvicorn beside its documentation: which one a new release has moved."""

import inspect

import pytest
import uvicorn

from tests.compat.releases import require_name


@pytest.mark.parametrize(
    ("name", "given"), [("handle_exit", ["self", "sig", "frame"]), ("shutdown", ["self", "sockets"])]
)
def test_a_method_that_is_overridden_is_there_and_takes_the_same(name: str, given: list[str]) -> None:
    assert list(inspect.signature(require_name("uvicorn", uvicorn.Server, name)).parameters) == given


def test_what_asks_a_server_to_end_is_there() -> None:
    server = uvicorn.Server(uvicorn.Config("no:app"))
    for name in ("should_exit", "force_exit"):
        assert require_name("uvicorn", server, name) is False
