"""The generated client, spoken to by operation: `kit.do("create_hold", body)`. What it lacks, an integrator lacks."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


class Refused(Exception):
    """The server answered with a problem."""

    def __init__(self, problem: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.code: str = problem.code


@dataclass
class Kit:
    """`package` is the generated package, `client` its authenticated client."""

    package: str
    client: Any
    _operations: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folder = import_module(f"{self.package}.api")
        for tag in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            for each in pkgutil.iter_modules(import_module(tag.name).__path__):
                self._operations[each.name] = f"{tag.name}.{each.name}"

    def do(self, operation: str, *path: Any, **arguments: Any) -> Any:
        """Call an operation by its operationId (in snake case). Raises Refused with the typed problem."""
        answer = import_module(self._operations[operation]).sync(*path, client=self.client, **arguments)
        if type(answer).__name__ == "Problem":
            raise Refused(answer)
        return answer

    def body(self, model: str, /, **fields: Any) -> Any:
        """A typed body, from plain values as one would write them in JSON."""
        return getattr(import_module(f"{self.package}.models"), model).from_dict(fields)
