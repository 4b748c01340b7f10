"""The training step of a CLIP in open_clip, float32 on the CPU: the peer of bench/clip --train.

    python clip_step.py FOLDER BATCH --batch 64 --threads 2 --mode eager|compile

FOLDER is one of open_clip, BATCH a file: pixels [B, 3, S, S] as float32, ids [B, context] as int32. A step is forward, open_clip's ClipLoss, backward, clipping at 1.0,
AdamW (fused; betas .9 .98, eps 1e-6, decay 0.2 on matrices) and the bound of the scale. After {"ready": true} each line runs one step on the same batch and is
answered by {"seconds", "loss"}.
"""

import argparse
import json
import math
import os
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("folder")
p.add_argument("data")
p.add_argument("--batch", type=int, default=64)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--mode", choices=["eager", "compile"], default="eager")
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes elsewhere

sys.path.pop(0)  # the folder of this file, which has a tokenizers.py
import numpy as np
import open_clip
import torch

torch.set_num_threads(args.threads)
model = open_clip.create_model("local-dir:" + args.folder)
model.train()
side = model.visual.image_size
side = side[0] if isinstance(side, (tuple, list)) else side
raw = open(args.data, "rb").read()
n = args.batch * 3 * side * side
pixels = torch.from_numpy(np.frombuffer(raw, np.float32, n).reshape(args.batch, 3, side, side).copy())
ids = torch.from_numpy(np.frombuffer(raw, np.int32, -1, 4 * n).reshape(args.batch, -1).astype(np.int64))
params = list(model.parameters())
optimizer = torch.optim.AdamW([{"params": [w for w in params if w.ndim >= 2], "weight_decay": 0.2}, {"params": [w for w in params if w.ndim < 2], "weight_decay": 0.0}],
                              lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
loss_of = open_clip.ClipLoss()


def forward(pixels, ids):
    images, texts, scale = model(pixels, ids)
    return loss_of(images, texts, scale)


def step(f):
    optimizer.zero_grad(set_to_none=True)
    loss = f(pixels, ids)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    return loss.item()


f = forward
if args.mode == "compile":
    f = torch.compile(forward)
    f(pixels, ids).backward()  # compiles without a change of the weights
print(json.dumps({"ready": True}), file=answers, flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    loss = step(f)
    print(json.dumps({"seconds": time.perf_counter() - start, "loss": loss}), file=answers, flush=True)
