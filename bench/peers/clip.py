"""Vectors of pictures on the CPU: the peer of bench/clip.

    python clip.py FOLDER --engine torch|onnx --threads 2 --batch 16 --calls 1 PICTURE...

FOLDER is one of open_clip. A call decodes and prepares its pictures with open_clip's own transform (PIL, torchvision) on as many Python threads as there are
threads (PIL works outside of the interpreter's lock), and makes vectors of unit length of all at once: torch by encode_image, onnx by ONNX Runtime on the tower
as PyTorch exports it. The bytes are in memory. After {"ready": true} each line runs all calls and is answered by {"seconds"}; the line "vectors" by {"vectors"}.
"""

import argparse
import io
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("folder")
p.add_argument("pictures", nargs="+")
p.add_argument("--engine", choices=["torch", "onnx"], default="torch")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--batch", type=int, default=16)
p.add_argument("--calls", type=int, default=1)
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes elsewhere

sys.path.pop(0)  # the folder of this file, which has a tokenizers.py
import open_clip
import torch
from PIL import Image

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
torch.backends.mha.set_fastpath_enabled(args.engine == "torch")  # its operator is not one of ONNX
model, _, prepare = open_clip.create_model_and_transforms("local-dir:" + args.folder)
model.eval()
data = [open(name, "rb").read() for name in args.pictures]
pool = ThreadPoolExecutor(args.threads)

if args.engine == "onnx":
    import onnxruntime as ort

    path = os.path.join(args.folder, "visual.onnx")
    side = model.visual.image_size
    side = side[0] if isinstance(side, (tuple, list)) else side
    torch.onnx.export(model.visual, torch.randn(2, 3, side, side), path, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "b"}, "y": {0: "b"}},
                      opset_version=17, dynamo=False)
    o = ort.SessionOptions()
    o.intra_op_num_threads = args.threads
    session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def one(b):
    return prepare(Image.open(io.BytesIO(b)))


def call(i):
    mine = [data[(i * args.batch + j) % len(data)] for j in range(args.batch)]
    x = torch.stack(list(pool.map(one, mine)) if args.batch > 1 else [one(mine[0])])
    y = torch.from_numpy(session.run(None, {"x": x.numpy()})[0]) if args.engine == "onnx" else model.encode_image(x)
    return torch.nn.functional.normalize(y, dim=-1)


def run():
    return torch.cat([call(i) for i in range(args.calls)])


for _ in range(2):
    call(0)
print(json.dumps({"ready": True}), file=answers, flush=True)
for line in sys.stdin:
    if line.strip() == "vectors":
        print(json.dumps({"vectors": run().tolist()}), file=answers, flush=True)
        continue
    start = time.perf_counter()
    run()
    print(json.dumps({"seconds": time.perf_counter() - start}), file=answers, flush=True)
