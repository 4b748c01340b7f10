"""Block formats as ggml's reference functions make and read them.

    quants.py LIBRARY golden FILE          writes the golden file of internal/quant
    quants.py LIBRARY encode FORMAT        float32 numbers on standard input to blocks on standard output
    quants.py LIBRARY decode FORMAT        the other way
    quants.py LIBRARY activations FORMAT   as encode, by the function that prepares activations for products: LIBRARY is libggml-cpu.so, FORMAT q8_0 or q8_k

LIBRARY holds the functions of ggml-quants.c, built without contraction of multiply and add:

    gcc -O2 -DNDEBUG -ffp-contract=off -shared -fPIC -Iinclude -Isrc src/ggml-quants.c stubs.c -lm -o libquants.so

(stubs.c: empty ggml_abort, ggml_row_size, ggml_type_name, ggml_type_size), or is libggml-base.so of a build for plain x86-64.
"""

import base64
import ctypes
import hashlib
import json
import sys

import numpy as np

FORMATS = {  # elements and bytes of a block
    "q8_0": (32, 34), "q4_0": (32, 18), "q4_k": (256, 144), "q5_k": (256, 176), "q6_k": (256, 210),
    "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q2_k": (256, 84), "q3_k": (256, 110), "q8_k": (256, 292),
}


def call(lib, name, source, target, count):
    f = getattr(lib, name)
    f.restype = None
    f.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    f(source.ctypes.data, target.ctypes.data, count)


def suffix(form):
    return form.replace("_k", "_K")


def encode(lib, form, x, ending="_ref"):
    elements, size = FORMATS[form]
    y = np.zeros(len(x) // elements * size, np.uint8)
    call(lib, f"quantize_row_{suffix(form)}{ending}", x, y, len(x))
    return y


def decode(lib, form, y):
    elements, size = FORMATS[form]
    x = np.zeros(len(y) // size * elements, np.float32)
    call(lib, f"dequantize_row_{suffix(form)}", y, x, len(x))
    return x


def rows():
    """Blocks of 256: usual weights, and what takes the branches of the encoders."""
    r = np.random.default_rng(1)
    x = [r.normal(0, s, 256) for s in (1, 0.02, 1e-3, 300)]
    x += [r.uniform(-1, 1, 256), r.uniform(0.5, 2, 256), r.uniform(-3, -1, 256), r.standard_cauchy(256)]
    x += [np.zeros(256), np.full(256, 0.7), r.normal(0, 1e-20, 256)]
    sparse = np.zeros(256)
    sparse[[3, 70, 255]] = [1, -2, 0.1]
    halves = np.round(r.uniform(-127, 127, 256)) + 0.5
    return np.concatenate(x + [sparse, halves]).astype(np.float32)


def main():
    lib = ctypes.CDLL(sys.argv[1])
    if sys.argv[2] in ("encode", "activations"):
        x = np.frombuffer(sys.stdin.buffer.read(), np.float32).copy()
        sys.stdout.buffer.write(encode(lib, sys.argv[3], x, "_ref" if sys.argv[2] == "encode" else "").tobytes())
        return
    if sys.argv[2] == "decode":
        y = np.frombuffer(sys.stdin.buffer.read(), np.uint8).copy()
        sys.stdout.buffer.write(decode(lib, sys.argv[3], y).tobytes())
        return
    x = rows()
    out = {"input": base64.b64encode(x.tobytes()).decode(), "formats": {}}
    for form in FORMATS:
        y = encode(lib, form, x)
        z = decode(lib, form, y)
        out["formats"][form] = {
            "encoded": base64.b64encode(y.tobytes()).decode(),
            "decoded": base64.b64encode(z[:512].tobytes()).decode(),
            "sha256": hashlib.sha256(z.tobytes()).hexdigest(),
        }
    with open(sys.argv[3], "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


main()
