"""API keys over HTTP."""

from __future__ import annotations


def test_a_new_key_shows_its_secret_once_and_works(alice):
    made = alice.post("/v1/api-keys", json={"name": "board", "scopes": ["setup:read", "keys:write"]})
    assert made.status_code == 201, made.json
    assert made.json["secret"].startswith("regimen_")
    assert made.headers["Location"] == f"/v1/api-keys/{made.json['id']}"
    shown = alice.get(made.headers["Location"])
    assert shown.status_code == 200
    assert "secret" not in shown.json
    assert alice.get("/v1/api-keys", headers={"Authorization": f"Bearer {made.json['secret']}"}).status_code == 200
