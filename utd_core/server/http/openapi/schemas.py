"""The JSON schemas of what is sent and answered, from the types of the commands and their results."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from ....model.codec import adapter
from ..operations import Operation

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PAGE = re.compile(r"\bPage_(\w+?)_(?![\w])")


class _Plain(GenerateJsonSchema):
    """Without titles that repeat the name; what the server answers is always whole."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:
        return {key: value for key, value in super().dataclass_schema(schema).items() if key != "title"}

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        return {key: value for key, value in super().model_schema(schema).items() if key != "title"}

    def enum_schema(self, schema: Any) -> JsonSchemaValue:
        return {key: value for key, value in super().enum_schema(schema).items() if key != "title"}


class Schemas:
    """`components`: every named schema; `commands` and `results`: by the name of the command."""

    def __init__(self, operations: list[Operation]) -> None:
        inputs: list[tuple[str, Any, TypeAdapter[Any]]] = []
        for operation in operations:
            inputs.append((operation.spec.name, "validation", TypeAdapter(operation.command)))
            if operation.spec.result is not None:
                inputs.append((operation.spec.name, "serialization", adapter(operation.spec.result)))
        found, shared = TypeAdapter.json_schemas(inputs, schema_generator=_Plain, ref_template=_REF)
        self.components: dict[str, Schema] = _named(shared["$defs"])
        self.results: dict[str, Schema] = {
            name: _named(schema) for (name, mode), schema in found.items() if mode == "serialization"
        }
        self.commands: dict[str, Schema] = {
            operation.spec.name: self.components.pop(operation.command.__name__) for operation in operations
        }

    def field(self, operation: Operation, name: str) -> Schema:
        """The schema of one field as text in a path or query, where it is there or left out, and never null."""
        schema = dict(self.commands[operation.spec.name]["properties"][name])
        if schema.get("default", ...) is None:
            del schema["default"]
        kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            return {**kinds[0], **schema}
        return {"anyOf": kinds, **schema} if kinds else schema

    def body(self, operation: Operation) -> Schema | None:
        """The schema of a request's body: the fields that are not in the path. None where there are none."""
        others = operation.binding.others
        if not others or not operation.binding.has_body:
            return None
        whole = self.commands[operation.spec.name]
        required = [name for name in whole.get("required", ()) if name in others]
        schema = {key: value for key, value in whole.items() if key not in ("description", "required")}
        schema["properties"] = {name: whole["properties"][name] for name in others}
        return {**schema, "required": required} if required else schema

    def resolved(self, schema: Schema) -> Schema:
        """The schema, or the component that it refers to."""
        reference = schema.get("$ref")
        return schema if reference is None else self.components[reference.rpartition("/")[2]]


def _named(schema: Any) -> Any:
    """Pages are called after what they hold: `Page_Ban_` is `BanPage`."""
    return json.loads(_PAGE.sub(r"\1Page", json.dumps(schema)))
