"""Load run directories with transformers and print what each computes, as a line of JSON.

    python interop.py RUN_DIR ... --text TEXT | --text-file FILE | --ids 1,2,3  [--greedy N]

    ids      what AutoTokenizer makes of the text (or the ids given), without special tokens added
    decoded  the ids as text again; null with --ids
    logits   of the last position, float32, one per vocabulary entry
    loss     mean next-token cross entropy over the ids in nats; null for a single id
    greedy   N tokens that follow, by argmax; absent without --greedy
    params   number of parameters, tied ones once

It fails when a weight is missing, unused or of another shape: transformers alone would go on with
random numbers.
"""

import argparse
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def load(folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True, output_loading_info=True
    )
    faults = {k: sorted(map(str, v)) for k, v in info.items() if v and k != "error_msgs"}
    if faults or info.get("error_msgs"):
        sys.exit(f"{folder}: weights do not fit: {faults} {info.get('error_msgs')}")
    return model.eval()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run_dir", nargs="+")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--text")
    source.add_argument("--text-file", help="UTF-8, taken byte for byte")
    source.add_argument("--ids", help="comma-separated; no tokenizer is loaded")
    p.add_argument("--greedy", type=int, default=0, help="continue by this many tokens")
    args = p.parse_args()

    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for folder in args.run_dir:
        json.dump(answer(folder, args), sys.stdout)
        print()


def answer(folder, args):
    model = load(folder)
    decoded = None
    if args.ids is not None:
        ids = [int(i) for i in args.ids.split(",")]
    else:
        text = args.text
        if args.text_file:
            with open(args.text_file, encoding="utf-8", newline="") as f:
                text = f.read()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    most = model.config.max_position_embeddings
    if not 0 < len(ids) <= most:
        sys.exit(f"{len(ids)} ids, want 1 to {most}")

    with torch.no_grad():
        x = torch.tensor([ids])
        out = model(input_ids=x, labels=x if len(ids) > 1 else None, use_cache=False)
        result = {
            "ids": ids,
            "decoded": decoded,
            "logits": out.logits[0, -1].tolist(),
            "loss": out.loss.item() if len(ids) > 1 else None,
            "params": sum(p.numel() for p in model.parameters()),
        }
        if args.greedy:
            for _ in range(args.greedy):
                x = torch.cat([x, model(input_ids=x, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
            result["greedy"] = x[0, len(ids) :].tolist()
    return result


if __name__ == "__main__":
    main()
