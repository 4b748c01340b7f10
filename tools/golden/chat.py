"""Writes chat/testdata/golden.json: what transformers makes of conversations with published chat templates.

    python chat.py FOLDER

FOLDER has the templates by the names below, as llama.cpp's models/templates.
"""

import json
import pathlib
import sys

from transformers.utils import chat_template_utils as utils

TEMPLATES = {
    "llama3.1": "meta-llama-Llama-3.1-8B-Instruct",
    "llama3.2": "meta-llama-Llama-3.2-3B-Instruct",
    "gemma2": "google-gemma-2-2b-it",
    "phi3.5": "microsoft-Phi-3.5-mini-instruct",
    "qwen2.5": "Qwen-Qwen2.5-7B-Instruct",
    "qwen3": "Qwen-Qwen3-0.6B",
    "mistral-nemo": "mistralai-Mistral-Nemo-Instruct-2407",
    "deepseek-r1": "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "smollm3": "HuggingFaceTB-SmolLM3-3B",
}

data = pathlib.Path(__file__).resolve().parents[2] / "chat" / "testdata"
conversations = json.loads((data / "conversations.json").read_text())
golden = []
for name, file in TEMPLATES.items():
    template = (pathlib.Path(sys.argv[1]) / (file + ".jinja")).read_text()
    for c in conversations:
        entry = {"template": name, "conversation": c["name"]}
        try:
            out, _ = utils.render_jinja_template(
                [c["messages"]],
                tools=c.get("tools"),
                chat_template=template,
                add_generation_prompt=c.get("add_generation_prompt", False),
                continue_final_message=c.get("continue_final", False),
                bos_token="<s>",
                eos_token="</s>",
                **{"date_string": "26 Jul 2024", **c.get("extra", {})},
            )
            entry["text"] = out[0]
        except Exception as e:
            entry["error"] = f"{type(e).__name__}: {e}".splitlines()[0]
        golden.append(entry)
(data / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
