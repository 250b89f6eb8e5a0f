"""The contract: valid, complete, and the one that is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from openapi_spec_validator import validate

from scheduler import create_app
from scheduler.api.docs import openapi_yaml
from scheduler.config import Settings
from tests.api.walking import routes
from tests.house.source import ROOT

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def written() -> str:
    """What the code says now, as YAML; to write and to read it takes seconds each."""
    return openapi_yaml(create_app(Settings(database_url="sqlite://")))


@pytest.fixture(scope="module")
def contract(written: str) -> dict[str, Any]:
    """The same as values."""
    loaded: dict[str, Any] = yaml.safe_load(written)
    return loaded


def operations(contract: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each operation that takes a key, by `METHOD path`."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in contract["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"} and operation.get("security") != []
    }


def test_the_committed_contract_is_the_codes(written: str) -> None:
    committed = (ROOT / "openapi.yaml").read_text()
    assert committed == written, "openapi.yaml is stale: run `make openapi`"


def test_it_is_valid_openapi(contract: dict[str, Any]) -> None:
    validate(contract)
    assert contract["openapi"] == "3.1.0"
    assert next(iter(contract)) == "openapi"


@one_database
def test_it_has_every_route_and_no_other(app: Flask, contract: dict[str, Any]) -> None:
    def plain(rule: str) -> str:
        for kind in ("uuid:", "string:", "int:", "path:"):
            rule = rule.replace(f"<{kind}", "<")
        return rule.replace("<", "{").replace(">", "}")

    assert operations(contract).keys() == {f"{route.method} {plain(route.rule)}" for route in routes(app)}


@one_database
def test_it_has_what_providers_post_and_says_how_it_is_guarded(app: Flask, contract: dict[str, Any]) -> None:
    open_to_all = {
        path: item["post"] for path, item in contract["paths"].items() if item.get("post", {}).get("security") == []
    }
    unkeyed = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1") and hasattr(app.view_functions[rule.endpoint], "unkeyed")
    }
    assert open_to_all.keys() == unkeyed
    for name, operation in open_to_all.items():
        assert "X-Twilio-Signature" in operation["description"], name
        assert "dry_run" in operation["description"], name


@one_database
def test_every_operation_says_who_may_and_what_can_go_wrong(app: Flask, contract: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(contract).values()]
    assert len(ids) == len(set(ids))
    scopes = {route.manner.name: route.manner.scope for route in routes(app)}
    for name, operation in operations(contract).items():
        assert operation["summary"], name
        assert operation["security"] == [{"api_key": [scopes[operation["operationId"]]]}], name
        assert {"401", "403", "422", "default"} <= operation["responses"].keys(), name
        assert [status for status in operation["responses"] if status.startswith("2")], name
        if "{" in name and "_id}" in name:
            assert "404" in operation["responses"], name


def test_a_change_says_how_to_try_it_and_how_to_repeat_it(contract: dict[str, Any]) -> None:
    for name, operation in operations(contract).items():
        shared = {one["$ref"].rpartition("/")[2] for one in operation["parameters"] if "$ref" in one}
        assert ("DryRun" in shared) == (not name.startswith("GET")), name
        assert ("IdempotencyKey" in shared) == name.startswith("POST"), name
        if name.startswith(("PATCH", "DELETE")):
            assert "IfMatch" in shared, name
            assert {"412", "428"} <= operation["responses"].keys(), name


def test_nothing_in_it_is_unused(contract: dict[str, Any]) -> None:
    text = yaml.safe_dump({"paths": contract["paths"], "components": contract["components"]})
    unused = [
        f"{kind}/{name}"
        for kind, parts in contract["components"].items()
        for name in parts
        if kind != "securitySchemes" and f"#/components/{kind}/{name}'" not in text.replace("\n", "'\n")
    ]
    assert set(unused) <= {"headers/Location", "headers/ETag", "parameters/IfMatch", "parameters/IfMatchOptional"}


@one_database
def test_it_is_served_with_a_page_that_needs_no_network(client: FlaskClient, written: str) -> None:
    served = client.get("/openapi.yaml")
    assert (served.content_type, served.text) == ("application/yaml", written)
    page = client.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    assert "https://" not in page.text
    assert "http://" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy
    for name in ("start.js", "swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert f'"/docs/{name}"' in page.text
        with client.get(f"/docs/{name}") as file:
            assert file.status_code == 200
