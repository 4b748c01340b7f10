"""NF4 and FP4 as bitsandbytes makes them: the golden file of internal/quant.

    bnb.py FILE

The functions are those of its backend in PyTorch. (Its library for CPUs rounds the scales' 8-bit codes by a table of 65536 steps of the interval, not to the nearest number; GPUs and the
functions in PyTorch do not.)
"""

import base64
import hashlib
import json
import sys

import numpy as np
import torch

KERNELS = {}
register = torch.library.register_kernel


def recording(op, device, *rest, **more):
    def keep(function):
        KERNELS[op, device] = function
        return register(op, device, *rest, **more)(function)

    return keep


torch.library.register_kernel = recording
import bitsandbytes.functional as F  # noqa: E402

F32 = np.float32


def numbers(blocks):
    """Blocks of 64 numbers of many sizes from a generator of integers; internal/quant's test has the same."""
    x, state = np.zeros(64 * blocks, F32), 1
    for i in range(len(x)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        u = F32((state >> 8) - (1 << 23)) * F32(2.0**-23)
        x[i] = F32(F32(u * u) * u) * F32(2.0 ** -(i // 64 % 7))
    return x


def main():
    torch.set_num_threads(1)
    out = {"Map": enc(F.create_dynamic_map().numpy())}
    for kind in ("nf4", "fp4"):
        table = F.get_4bit_type(kind, "cpu").numpy()
        x = numbers(256 + 20)
        ordered = np.sort(table)
        ties = (ordered[:-1] + ordered[1:]) / F32(2)
        x[64:128] = 0  # a block of zeros, one of ties, one of which the inverse of the scale would not be finite
        x[128:192] = np.resize(np.concatenate([[1], ties, np.nextafter(ties, F32(2)), np.nextafter(ties, F32(-2))]).astype(F32), 64)
        x[192:256] *= F32(1e-38)
        codes, scales = KERNELS["bitsandbytes::quantize_4bit", "default"](torch.tensor(x), 64, kind, torch.uint8)
        offset = scales.mean()
        nested, nested_scales = KERNELS["bitsandbytes::quantize_blockwise", "default"](scales - offset, F.create_dynamic_map(), 256)
        again = torch.ops.bitsandbytes.dequantize_blockwise(nested, nested_scales, F.create_dynamic_map(), 256, torch.float32) + offset
        out[kind] = {
            "Table": enc(table), "Codes": enc(codes.numpy()), "Scales": enc(scales.numpy()),
            "Offset": float(offset), "Nested": enc(nested.numpy()), "NestedScales": enc(nested_scales.numpy()), "Again": enc(again.numpy()),
            "Decoded": hashlib.sha256(torch.ops.bitsandbytes.dequantize_4bit(codes, again, 64, kind, x.shape, torch.float32).numpy().tobytes()).hexdigest(),
        }
    with open(sys.argv[1], "w") as f:
        json.dump(out, f, indent=0)
        f.write("\n")


def enc(x):
    return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()


if __name__ == "__main__":
    main()
