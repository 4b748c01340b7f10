"""Losses of sentence-transformers.

    python contrast.py < JOB

The job holds rows of vectors: `a`, `b` and, optional, `negatives` or `scores`. It prints the loss (MultipleNegativesRankingLoss, or CosineSimilarityLoss of scores) and
its gradient by a, then b, then negatives, as JSON.
"""

import json
import sys

import torch
from sentence_transformers import losses


class Vectors(torch.nn.Module):
    """A model whose features are vectors already."""

    def forward(self, features):
        return features


job = json.load(sys.stdin)
sides = [torch.tensor(job[k], dtype=torch.float32, requires_grad=True) for k in ("a", "b", "negatives") if job.get(k)]
loss = losses.CosineSimilarityLoss(Vectors()) if job.get("scores") else losses.MultipleNegativesRankingLoss(Vectors())
labels = torch.tensor(job["scores"], dtype=torch.float32) if job.get("scores") else None
value = loss([{"sentence_embedding": s} for s in sides], labels)
value.backward()
json.dump(dict(loss=float(value.detach()), grad=[x for s in sides for x in s.grad.flatten().tolist()]), sys.stdout)
