"""What a model would say."""

import json

SENTENCE = "The harbour kept its old light, and the ships came home by it"

# Where JSON is asked for without a schema: something for each built-in operation.
ANYTHING = {
    "type": "object",
    "properties": {
        "sentiment": {"type": "string", "enum": ["positive"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "explanation": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}},
        "questions": {"type": "array", "items": {"type": "string"}},
    },
}


def value_for(schema, name="", seed="0"):
    """A value that a JSON schema allows, for the subset that structured answers use. Types may
    be in upper case, as Gemini writes them."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    kind = kind.lower()
    if kind == "object":
        return {key: value_for(part, key, seed)
                for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        count = max(min(3, schema.get("maxItems", 3)), schema.get("minItems", 0))
        return [value_for(schema.get("items", {}), name, f"{seed}-{i + 1}") for i in range(count)]
    if kind in ("number", "integer"):
        low = schema.get("minimum", 0)
        value = low + (schema.get("maximum", low + 1) - low) * 0.75
        return int(value) if kind == "integer" else value
    if kind == "boolean":
        return True
    end = "?" if "question" in name else "."
    return f"{SENTENCE} ({seed}){end}"[:schema.get("maxLength", 10000)]


def words_for(schema, system, seed):
    """The answer to a prompt: JSON where a schema or the instruction asks for it."""
    if schema is not None:
        return json.dumps(value_for(schema, seed=seed))
    if "JSON" in system:
        return json.dumps(value_for(ANYTHING, seed=seed))
    return f"{SENTENCE} ({seed})."
