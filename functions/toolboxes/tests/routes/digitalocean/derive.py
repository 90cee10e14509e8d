"""Makes description.json from DigitalOcean's published API description.

    git clone https://github.com/digitalocean/openapi && python derive.py openapi >description.json    (needs PyYAML)

Keeps the operations that a toolbox is provisioned with: their parameters, schemas and examples, references resolved, prose left
out. OpenAPI 3.0's `nullable` becomes JSON Schema's null.
"""

import json
import pathlib
import subprocess
import sys

import yaml

OPERATIONS = {
    "/v2/droplets": ["get", "post", "delete"],
    "/v2/droplets/{droplet_id}": ["delete"],
}
STATUS = ["200", "202", "204", "401", "404", "429", "500", "default"]
PROSE = {"description", "example", "title", "deprecated", "discriminator", "externalDocs"}

root = pathlib.Path(sys.argv[1])
files = {}


def load(path):
    if path not in files:
        files[path] = yaml.safe_load(path.read_text())
    return files[path]


def resolve(node, at):
    """The node without references, and the file that it stands in."""
    while isinstance(node, dict) and "$ref" in node:
        file, _, pointer = node["$ref"].partition("#")
        if file:
            at = (at.parent / file).resolve()
        node = load(at)
        for step in filter(None, pointer.split("/")):
            node = node[step]
    return node, at


def whole(node, at):
    node, at = resolve(node, at)
    if isinstance(node, dict):
        return {key: whole(value, at) for key, value in node.items()}
    if isinstance(node, list):
        return [whole(item, at) for item in node]
    return node


def schema(node, at, named=False):
    """A schema without prose. `named`: the keys are names of properties, not words of JSON Schema."""
    node, at = resolve(node, at)
    if isinstance(node, list):
        return [schema(item, at) for item in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {name: schema(value, at) for name, value in node.items()}
    kept = {key: value for key, value in node.items() if key not in PROSE and not key.startswith("x-")}
    nullable = kept.pop("nullable", False)
    out = {key: schema(value, at, named=key == "properties") for key, value in kept.items()}
    if nullable:
        out = {"anyOf": [out, {"type": "null"}]}
    return out


def response(node, at):
    node, at = resolve(node, at)
    media, at = resolve(node.get("content", {}).get("application/json"), at)
    if media is None:
        return {}
    examples = media.get("examples") or {"only": {"value": media.get("example")}}
    # The first is the one for a single droplet.
    example = whole(next(iter(examples.values())), at)["value"]
    return {"schema": schema(media["schema"], at), "example": json.loads(json.dumps(example, default=str))}


def operation(node, at):
    node, at = resolve(node, at)
    out = {"parameters": [], "responses": {}}
    for parameter in node.get("parameters", []):
        parameter, there = resolve(parameter, at)
        out["parameters"].append({
            "in": parameter["in"],
            "name": parameter["name"],
            "required": parameter.get("required", False),
            "schema": schema(parameter["schema"], there),
        })
    if "requestBody" in node:
        out["body"] = schema(node["requestBody"]["content"]["application/json"]["schema"], at)
    for status in STATUS:
        if status in node["responses"]:
            out["responses"][status] = response(node["responses"][status], at)
    return out


main = root / "specification/DigitalOcean-public.v2.yaml"
commit = subprocess.check_output(["git", "-C", root, "rev-parse", "HEAD"], text=True).strip()
paths = load(main)["paths"]
lines = [
    json.dumps(path) + ": {\n" + ",\n".join(
        f"{json.dumps(method)}: {json.dumps(operation(paths[path][method], main.resolve()), separators=(',', ':'))}"
        for method in methods
    ) + "}"
    for path, methods in OPERATIONS.items()
]
source = "https://github.com/digitalocean/openapi, specification/DigitalOcean-public.v2.yaml, Apache-2.0"
print(f'{{"source": {json.dumps(source)},')
print(f'"commit": {json.dumps(commit)},')
print('"paths": {')
print(",\n".join(lines))
print("}}")
