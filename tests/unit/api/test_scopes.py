"""What a token's claims allow."""

from __future__ import annotations

import pytest

from media_pipeline.api.problems import Problem
from media_pipeline.api.scopes import ALL, EVERYDAY, read_scopes, require, scope_of

NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, EVERYDAY),
        ({"scope": "read"}, {"read"}),
        ({"scope": "openid read upload profile"}, {"read", "upload"}),
        ({"scope": "generate upload read admin"}, ALL),
        ({"scp": "read generate"}, {"read", "generate"}),
        ({"scp": ["read", "admin"]}, {"read", "admin"}),
        ({"scope": "read", "scp": ["admin"]}, {"read"}),
        ({"scope": ""}, NOTHING),
        ({"scope": "READ readonly read,upload"}, NOTHING),
        ({"scope": "read\tadmin\nupload"}, NOTHING),
        ({"scope": 7}, NOTHING),
        ({"scope": True}, NOTHING),
        ({"scope": {"read": True}}, NOTHING),
        ({"scp": [["read"], None, 1]}, NOTHING),
        ({"scp": []}, NOTHING),
    ],
)
def test_only_what_is_plainly_said_is_granted(claims: dict[str, object], scopes: frozenset[str]) -> None:
    """A scope counts when the claim names it as a whole word; a claim of another shape grants nothing."""
    assert read_scopes(claims, unsaid=EVERYDAY) == scopes


def test_a_token_without_a_claim_may_be_made_to_need_one() -> None:
    """`AUTH_REQUIRE_SCOPES` leaves a token that says nothing with nothing."""
    assert read_scopes({}, unsaid=NOTHING) == NOTHING


def test_what_is_missing_is_named_as_the_rfc_says() -> None:
    """RFC 6750, section 3.1: the answer names what would be enough."""
    require({"read"}, "read", "admin")
    require(NOTHING)
    with pytest.raises(Problem, match="generate or upload") as refused:
        require({"read", "admin"}, "generate", "upload")
    assert (refused.value.status, refused.value.problem_code) == (403, "insufficient_scope")
    said = refused.value.headers["WWW-Authenticate"]
    assert said == 'Bearer error="insufficient_scope", scope="generate upload"'


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("generate.image", "generate"),
        ("generate.video", "generate"),
        ("upload", "upload"),
        ("process", "upload"),
    ],
)
def test_a_job_is_steered_with_the_scope_that_began_it(kind: str, scope: str) -> None:
    """Who may not make pictures may not have one made again."""
    assert scope_of(kind) == scope
