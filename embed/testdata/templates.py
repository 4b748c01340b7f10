"""The templates for ImageNet that open_clip publishes: null -> {"imagenet80": [...], "best7": [...]}."""
import json

from open_clip import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

print(json.dumps({"imagenet80": [f("{}") for f in OPENAI_IMAGENET_TEMPLATES], "best7": [f("{}") for f in SIMPLE_IMAGENET_TEMPLATES]}))
