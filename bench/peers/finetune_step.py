"""The fine-tuning step of a BERT with a head for classes in transformers, float32 on the CPU, without dropout: the peer of bench/finetune.

    python finetune_step.py FOLDER --ids FILE --batch 8 --seq 128 --threads 2 --mode eager|compile

FOLDER is a model that transformers loads, FILE the raw little-endian int32 [batches, batch, seq] ids, in turns; the label of a text is its first id
modulo the classes. A step is forward, mean cross entropy, backward, clipping at 1.0, and fused AdamW (betas .9 .999, eps 1e-8, decay 0.01 on
matrices). After the line {"ready": true} each line "go" runs one and is answered by {"seconds", "loss"}; the last line, at the end of the input, is
{"above_bytes"}: peak memory above that before the model was there, without weights, gradients and moments.
"""

import argparse
import json
import os
import resource
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("folder")
p.add_argument("--ids", required=True)
p.add_argument("--batch", type=int, default=8)
p.add_argument("--seq", type=int, default=128)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--mode", choices=["eager", "compile"], default="eager")
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

sys.path.pop(0)  # the folder of this file, which has a tokenizers.py
import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

torch.set_num_threads(args.threads)
rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = rss()
model = AutoModelForSequenceClassification.from_pretrained(args.folder).train()
start = {n: w.clone() for n, w in model.state_dict().items()}
data = torch.from_numpy(np.fromfile(args.ids, "<i4").astype(np.int64)).view(-1, args.batch, args.seq)
run = torch.compile(model) if args.mode == "compile" else model


def optimizer():
    ps = list(model.parameters())
    groups = [{"params": [w for w in ps if w.dim() >= 2], "weight_decay": 0.01}, {"params": [w for w in ps if w.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=2e-5, betas=(0.9, 0.999), eps=1e-8, fused=True)


def step(opt, i):
    began = time.perf_counter()
    ids = data[i % len(data)]
    loss = run(input_ids=ids, labels=ids[:, 0] % model.config.num_labels).loss
    opt.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    loss = loss.item()
    return time.perf_counter() - began, loss


opt = optimizer()
for i in range(2):
    step(opt, i)
model.load_state_dict(start)
size = sum(4 * w.numel() for w in model.parameters())
del start
opt = optimizer()
print(json.dumps({"ready": True}), flush=True)
for i, line in enumerate(sys.stdin):
    seconds, loss = step(opt, i)
    print(json.dumps({"seconds": seconds, "loss": loss}), flush=True)
print(json.dumps({"above_bytes": rss() - before - 5 * size}), flush=True)  # weights, their copy for the start, gradients, moments
