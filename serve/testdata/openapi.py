"""Standard input: an OpenAPI document; standard output: what is wrong with it, a list."""
import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

json.dump([str(e) for e in OpenAPIV31SpecValidator(json.load(sys.stdin)).iter_errors()], sys.stdout)
