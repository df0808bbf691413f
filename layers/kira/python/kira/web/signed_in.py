"""Who is asking: the visit of the user whose access token came with the request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator

from kira.domain.errors import Forbidden, NotFound, Unauthenticated
from kira.domain.ids import is_id
from kira.services.kira import Kira
from kira.services.visits import Visit

bearer = HTTPBearer(auto_error=False, description="An access token from sign-in.")


async def kira_of(request: Request) -> Kira:
    """Return the Kira that serves this request."""
    kira: Kira = request.app.state.kira
    return kira


async def visit_of(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Visit:
    """Begin the visit of a request; its guard runs with the first statement."""
    if given is None:
        raise Unauthenticated
    kira: Kira = request.app.state.kira
    visit = kira.visit(given.credentials)
    request.scope["kira.visit"] = visit
    return visit


async def admin_of(visit: Annotated[Visit, Depends(visit_of)]) -> Visit:
    """Begin the visit of an admin; raises Forbidden for others."""
    await visit.check()
    if not visit.is_admin:
        raise Forbidden
    return visit


def _known(text: str) -> str:
    if not is_id(text):
        raise NotFound
    return text


KiraOf = Annotated[Kira, Depends(kira_of)]
Visitor = Annotated[Visit, Depends(visit_of)]
Admin = Annotated[Visit, Depends(admin_of)]

AnId = Annotated[str, Path(), AfterValidator(_known)]
"""An id in a path: whatever cannot be one is not found, like every id that is not the user's."""

ConversationId = AnId
MessageId = AnId
RunId = AnId
WidgetId = AnId
SessionId = AnId
