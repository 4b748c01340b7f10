"""Golden file for a CLIP with a ResNet at tiny size, float32 on the CPU, as open_clip computes it in training: the norms use the statistics of the batch.

    python clip_resnet.py OUTPUT_FOLDER

writes OUTPUT_FOLDER/clip-resnet.safetensors (README.md lists the tensors). The weights are not in the file: both sides make them by the formula of
decoders.py's `fill` from the names and shapes of open_clip's tensors.
"""

import json

import golden  # first: it sets the thread count
import torch
import torch.nn.functional as F
from decoders import fill
from open_clip.model import CLIP

VOCAB, CONTEXT = 41, 12
CONFIG = {
    "embed_dim": 6,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 2, 1], "width": 2, "patch_size": None, "head_width": 16},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": VOCAB, "width": 16, "heads": 2, "layers": 2},
}
LENGTHS = (7, 3, 12, 2)  # of the texts, with both marks
CASES = ["clip-resnet"]


def write(out, case):
    model = CLIP(**CONFIG)
    shapes = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    state = {n: fill(n, tuple(t.shape)) for n, t in shapes.items()}
    model.load_state_dict(state, strict=False)
    model.train()
    g = torch.Generator().manual_seed(sum(case.encode()))
    pixels = torch.randn(len(LENGTHS), 3, 64, 64, generator=g)
    ids = torch.zeros(len(LENGTHS), CONTEXT, dtype=torch.long)
    for row, n in zip(ids, LENGTHS):
        row[0], row[1 : n - 1], row[n - 1] = VOCAB - 2, torch.randint(0, VOCAB - 2, (n - 2,), generator=g), VOCAB - 1
    images, texts, scale = model(pixels, ids)
    logits = scale * images @ texts.T
    labels = torch.arange(len(LENGTHS))
    loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    loss.backward()
    tensors = {"pixels": pixels, "ids": torch.cat([row[:n] for row, n in zip(ids, LENGTHS)]), "lengths": torch.tensor(LENGTHS), "images": images, "texts": texts,
               "logits": logits, "loss": loss}
    tensors |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    golden.write(f"{out}/{case}.safetensors", tensors, golden.model_meta(json.dumps({"model_cfg": CONFIG}), state) | {"layout": "open_clip"})


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
