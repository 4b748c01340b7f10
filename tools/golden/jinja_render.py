"""Renders templates with transformers' own Jinja environment.

Standard input has one JSON object per line, {"template": ..., "values": {...}}; standard output one per line, {"out": text} or
{"error": class and message, "raised": the template called raise_exception}.
"""

import json
import sys
import warnings

import jinja2
from transformers.utils import chat_template_utils as utils

warnings.simplefilter("ignore")


def render(case):
    if "messages" in case:
        case = dict(case)
        out, _ = utils.render_jinja_template([case.pop("messages")], chat_template=case.pop("template"), **case)
        return out[0]
    return utils._compile_jinja_template(case["template"]).render(**case["values"])


for line in sys.stdin:
    try:
        result = {"out": render(json.loads(line))}
        json.dumps(result).encode()
        result["out"].encode()
    except Exception as e:
        result = {"error": f"{type(e).__name__}: {e}"[:300], "raised": type(e) is jinja2.exceptions.TemplateError}
        result["error"] = result["error"].encode("utf-8", "replace").decode()
    print(json.dumps(result), flush=True)
