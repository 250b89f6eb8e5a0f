"""/v1/api-keys: making, listing and ending keys. The secret is in the answer that makes it and nowhere else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.fields import Id, Instant, List, Text
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Mark
from scheduler.core.call import Call
from scheduler.core.errors import NotFound, ScopeMissing
from scheduler.services import access
from scheduler.services.records import Revision

blp = Blueprint("api_keys", __name__, url_prefix="/v1", description="API keys and their scopes")


class ApiKeySchema(Schema):
    """A key, without its secret."""

    id = Id(dump_only=True)
    name = Text(100, required=True)
    scopes = List(Text(60), required=True, min=1, max=40, metadata={"description": "Scopes, or bundles of them"})
    expires_at = Instant(allow_none=True, load_default=None)
    created_at = Instant(dump_only=True)
    revoked_at = Instant(dump_only=True, allow_none=True)
    revision = Mark()


class NewApiKeySchema(ApiKeySchema):
    """A key that was just made."""

    secret = Text(
        200, dump_only=True, allow_none=True, metadata={"description": "The bearer token, shown once; null in a replay"}
    )


@blp.post("/api-keys")
@endpoint(
    scope="keys:write",
    takes=ApiKeySchema,
    gives=NewApiKeySchema,
    status=201,
    refuses=(ScopeMissing,),
    secrets=("secret",),
    agree=(Agree(access.check_expiry, ("expires_at",)),),
)
def create_api_key(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Make a key. It cannot have a scope that the key in use lacks."""
    row, token = access.create_key(session, call, **body)
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "secret": token,
        "revision": row.revision,
    }


@blp.get("/api-keys")
@endpoint(scope="keys:write", query=PageQuery, gives=ApiKeySchema, many=True)
def list_api_keys(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """List the keys, ended ones too."""
    return access.list_keys(session, call, **query)


@blp.get("/api-keys/<uuid:key_id>")
@endpoint(scope="keys:write", gives=ApiKeySchema, refuses=(NotFound,))
def get_api_key(session: Session, call: Call, *, key_id: UUID) -> Any:
    """Show one key."""
    return access.get_key(session, call, key_id)


@blp.post("/api-keys/<uuid:key_id>/revoke")
@endpoint(scope="keys:write", gives=ApiKeySchema, if_match="optional", refuses=(NotFound,))
def revoke_api_key(session: Session, call: Call, *, key_id: UUID, revision: Revision | None) -> Any:
    """End a key at once. Ending it again changes nothing."""
    return access.revoke_key(session, call, key_id, revision=revision)
