"""Golden files for the ResNet of OpenAI's CLIP at tiny size, float32 on the CPU, as open_clip computes it.

    python resnet.py OUTPUT_FOLDER [CASE ...]

writes OUTPUT_FOLDER/CASE.safetensors for each case of the table below (README.md lists the tensors). The weights and running statistics are not in the
files: both sides make them by the formula of decoders.py's `fill` from the names and shapes.
"""

import golden  # first: it sets the thread count
import torch
from decoders import fill
from open_clip.modified_resnet import ModifiedResNet

PICTURES = 3
CASES = {  # name: the width, and whether the statistics are those of the batch
    "resnet": (2, False),
    "resnet-training": (4, True),
}


def write(out, case):
    width, training = CASES[case]
    model = ModifiedResNet(layers=[1, 2, 1, 1], output_dim=6, heads=width, image_size=64, width=width)
    state = {n: t if n.endswith("num_batches_tracked") else fill(n, tuple(t.shape)) for n, t in model.state_dict().items()}
    model.load_state_dict(state)
    model.train(training)
    g = torch.Generator().manual_seed(sum(case.encode()))
    pixels, dy = torch.randn(PICTURES, 3, 64, 64, generator=g), torch.randn(PICTURES, 6, generator=g)
    y = model(pixels)
    (y * dy).sum().backward()
    tensors = {"pixels": pixels, "y": y, "dy": dy} | {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    if training:
        tensors |= {f"after.{n}": t for n, t in model.state_dict().items() if "running" in n}
    golden.write(f"{out}/{case}.safetensors", tensors, golden.versions())


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
