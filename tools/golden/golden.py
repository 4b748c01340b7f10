"""Shared by the golden writers: deterministic safetensors output, one thread, no network.

A golden file holds named tensors (F32 or I32) and string metadata. Its bytes depend on
the tensors and the metadata only: keys are sorted, so a rerun that changes nothing shows no diff.
"""

import argparse
import json
import os
import struct

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def write(path, tensors, meta):
    """Write tensors (torch or numpy; floats become F32, integers I32) and metadata to path."""
    header = {"__metadata__": {k: str(v) for k, v in sorted(meta.items())}}
    body = b""
    for name in sorted(tensors):
        t = tensors[name]
        a = t.detach().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)
        dtype, kind = ("F32", "<f4") if a.dtype.kind == "f" else ("I32", "<i4")
        raw = a.astype(kind).tobytes()  # tobytes is row-major whatever the strides
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + body)
    print(f"{os.path.basename(path)}: {len(tensors)} tensors, {8 + len(head) + len(body)} bytes")


def model_meta(config, state):
    """Metadata of a model whose weights follow from their names: its config.json and its tensors' shapes."""
    return versions() | {"config": config, "tensors": json.dumps({n: list(x.shape) for n, x in state.items()})}


def main(doc, cases, write):
    """Write the cases named on the command line, or all, into the folder named first."""
    import transformers

    transformers.logging.set_verbosity_error()
    p = argparse.ArgumentParser(description=doc.split("\n")[0])
    p.add_argument("out")
    p.add_argument("case", nargs="*", help="cases to write; all without")
    a = p.parse_args()
    for case in a.case or cases:
        write(a.out, case)


def versions():
    """Metadata that says what wrote the file."""
    import transformers

    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
