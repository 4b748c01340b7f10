"""Losses of open_clip on given features.

    python openclip_loss.py < JOB

The job holds `images` and `texts`, rows of vectors of any length, `scale` (the logarithm) and, for the sigmoid loss, `bias`. With `accum` the batch is computed in so
many parts over cached features as open_clip_train does with --accum-freq. It prints the loss and its gradients by images, texts, scale and bias as JSON.
"""

import json
import sys

import torch
from open_clip.loss import ClipLoss, SigLipLoss

job = json.load(sys.stdin)
images = torch.tensor(job["images"], dtype=torch.float32, requires_grad=True)
texts = torch.tensor(job["texts"], dtype=torch.float32, requires_grad=True)
scale = torch.tensor(float(job["scale"]), requires_grad=True)
bias = torch.tensor(float(job["bias"]), requires_grad=True) if job.get("bias") is not None else None
loss_of = SigLipLoss() if bias is not None else ClipLoss()


def features(rows):
    return torch.nn.functional.normalize(rows, dim=-1)


extra = {"logit_bias": bias} if bias is not None else {}
parts = job.get("accum", 1)
n = len(images) // parts
if parts == 1:
    value = loss_of(features(images), features(texts), scale.exp(), **extra)
    value.backward()
else:  # open_clip_train.train.train_one_epoch
    with torch.no_grad():
        cached = [features(images), features(texts)]
    for j in range(parts):
        now = slice(j * n, (j + 1) * n)
        i = torch.cat([cached[0][: j * n], features(images[now]), cached[0][(j + 1) * n :]])
        t = torch.cat([cached[1][: j * n], features(texts[now]), cached[1][(j + 1) * n :]])
        value = loss_of(i, t, scale.exp(), **extra)
        value.backward()
json.dump(
    dict(
        loss=float(value.detach()),
        images=images.grad.flatten().tolist(),
        texts=texts.grad.flatten().tolist(),
        scale=float(scale.grad),
        bias=float(bias.grad) if bias is not None else 0,
    ),
    sys.stdout,
)
