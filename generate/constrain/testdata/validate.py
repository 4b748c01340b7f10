"""Validates JSON texts: stdin {"jobs": [{"schema": ..., "texts": [...]}]}, stdout {"Errors": [...]}. oneOf is read as anyOf."""
import json
import sys

import jsonschema

errors = []
for job in json.load(sys.stdin)["jobs"]:
    schema = json.loads(json.dumps(job["schema"]).replace('"oneOf"', '"anyOf"'))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for text in job["texts"]:
        errors += [f"{text}: {e.message}" for e in validator.iter_errors(json.loads(text))]
json.dump({"Errors": errors}, sys.stdout)
