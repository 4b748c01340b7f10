"""Pictures to what CLIP's tower takes: the peer of bench/media, Pillow and torchvision on one thread.

    python media.py SIDE FILE...

After {"ready": true, "hashes"}, the SHA-256 of each file's float32 values, each line, the index of a file, is answered by {"decode", "prepare"} in seconds: the
bytes to an RGB picture, and that to values by Resize, CenterCrop, ToTensor and Normalize.
"""
import hashlib
import io
import json
import sys
import time

sys.path.pop(0)  # the folder of this file, which has a tokenizers.py
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

torch.set_num_threads(1)
side, files = int(sys.argv[1]), [open(f, "rb").read() for f in sys.argv[2:]]
chain = Compose([Resize(side, InterpolationMode.BICUBIC), CenterCrop(side), ToTensor(),
                 Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))])


def run(b):
    start = time.perf_counter()
    picture = Image.open(io.BytesIO(b)).convert("RGB")
    middle = time.perf_counter()
    values = chain(picture)
    return values, middle - start, time.perf_counter() - middle


hashes = [hashlib.sha256(run(b)[0].numpy().tobytes()).hexdigest() for b in files]
print(json.dumps({"ready": True, "hashes": hashes}), flush=True)
for line in sys.stdin:
    _, decode, prepare = run(files[int(line)])
    print(json.dumps({"decode": decode, "prepare": prepare}), flush=True)
