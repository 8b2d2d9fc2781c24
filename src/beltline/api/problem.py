"""Errors of the API: RFC 9457 problems, which say who must act and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

import msgspec

from beltline.sources.refusal import Misfit, RequestRefused

MustAct = Literal["caller", "operator"]


class ProblemView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error (`application/problem+json`).

    `must_act` names who can mend it: the caller by sending something else, or the operator of
    this hub. `where` is the place in what was sent. `findings` stand for a definition that does
    not check, `errors` for a request that does not fit the schema of its source.
    """

    type: str
    title: str
    status: int
    detail: str
    must_act: MustAct
    where: str = ""
    findings: list[dict[str, Any]] = []
    errors: list[Misfit] = []


class Problem(Exception):
    """An answer that is an error. `kind` is its name for programs, in the `type` of the body."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        where: str = "",
        headers: dict[str, str] | None = None,
        findings: list[dict[str, Any]] | None = None,
        errors: list[Misfit] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = headers or {}
        self.view = ProblemView(
            type=f"urn:beltline:problem:{kind}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            must_act="caller" if status < 500 else "operator",
            where=where,
            findings=findings or [],
            errors=errors or [],
        )


def unavailable(kind: str, detail: str, retry_after_s: int = 5) -> Problem:
    """503: what was asked was right, and cannot be done now."""
    return Problem(503, kind, detail, headers={"retry-after": str(retry_after_s)})


def problem_of(refused: RequestRefused) -> Problem:
    """A refused request as the answer to its sender."""
    return Problem(
        refused.status,
        refused.kind,
        refused.detail,
        where=refused.where,
        errors=list(refused.errors),
    )
