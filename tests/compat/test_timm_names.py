"""Names of timm beside its public interface: which one a new release has moved."""

from importlib import import_module

from tests.compat.releases import require_name


def test_timm_still_groups_names_by_a_matcher() -> None:
    group = require_name("timm", import_module("timm.models._manipulate"), "group_with_matcher")
    found = group([("stem.weight", 1), ("blocks.0.weight", 2)], {"stem": "^stem", "blocks": r"^blocks\.(\d+)"})
    assert dict(found) == {0: ["stem.weight"], 1: ["blocks.0.weight"]}
