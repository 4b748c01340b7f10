"""Float32 matrix products of other libraries on the CPU: the peers of bench/product.

    python matmul.py --threads 1,2 --reps 10 1024x1024x1024 64x384x1536

Each shape is MxNxK: C [M, N] = A [M, K] @ B [K, N]. Printed per shape, way and thread count: the best and the median
GFLOP/s (2*M*N*K per second). The ways are

    torch     torch.mm into a buffer allocated before (MKL)
    mkl       the linear layer of a frozen, compiled model: weight [N, K] packed by MKL beforehand
    onednn    the same with the weight in oneDNN's layout
    openblas  cblas_sgemm of libopenblas, where the system has it

--interactive: the first line is {"ready": true, "ways": [...], "packing": [those that pack beforehand], ...}; then a line on stdin is answered by a line of JSON:
"load MxNxK PATH" reads A and then B, raw float32, and packs; "result WAY PATH" writes C; "time WAY THREADS CALLS" gives
{"seconds"} of one call, the mean of CALLS in a row. It ends with stdin.
"""

import os

# OpenBLAS takes a processor that it does not know for one without AVX (0.3.21 does so with Emerald Rapids): name the kernels.
os.environ.pop("OPENBLAS_L2_SIZE", None)
os.environ["OPENBLAS_THREAD_TIMEOUT"] = "20"  # its threads wait 2^20 ticks in a loop, not 2^26, in which others would be timed
flags = open("/proc/cpuinfo").read().split() if os.path.exists("/proc/cpuinfo") else []
for flag, core in ("avx512f", "SkylakeX"), ("avx2", "Haswell"):
    if flag in flags:
        os.environ["OPENBLAS_CORETYPE"] = core
        break

import argparse
import ctypes
import json
import statistics
import sys
import time

import numpy
import torch


def blas():
    """libopenblas, or None."""
    try:
        lib = ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return None
    lib.openblas_get_config.restype = ctypes.c_char_p
    lib.openblas_get_corename.restype = ctypes.c_char_p
    return lib


openblas = blas()


class Operands:
    """A product's operands and, by way, the call that computes it."""

    def __init__(self, m, n, k, a, b):
        self.sizes = m, n, k
        weight = b.t().contiguous()
        self.c = torch.zeros(m, n)  # of torch and openblas
        mkl = torch.ops.mkl._mkl_reorder_linear_weight(weight, m)
        onednn = torch.ops.mkldnn._reorder_linear_weight(weight, m)
        self.keep = a, b
        self.calls = {
            "torch": lambda: torch.mm(a, b, out=self.c),
            "mkl": lambda: torch.ops.mkl._mkl_linear(a, mkl, weight, None, m),
            "onednn": lambda: torch.ops.mkldnn._linear_pointwise(a, onednn, None, "none", [], ""),
        }
        if openblas:
            integers = [ctypes.c_int(i) for i in (101, 111, 111, m, n, k)]  # row-major, nothing transposed
            tensors = [(ctypes.c_void_p(t.data_ptr()), ctypes.c_int(t.stride(0))) for t in (a, b, self.c)]
            one, zero = ctypes.c_float(1), ctypes.c_float(0)
            arguments = (*integers, one, *tensors[0], *tensors[1], zero, *tensors[2])
            self.calls["openblas"] = lambda: openblas.cblas_sgemm(*arguments)

    def time(self, way, threads, calls):
        """Seconds of one call."""
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if way == "openblas":
            openblas.openblas_set_num_threads(threads)
        call = self.calls[way]
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - began) / calls

    def result(self, way):
        out = self.calls[way]()
        return self.c if way in ("torch", "openblas") else out


def about():
    lines = {"torch": torch.__version__}
    if openblas:
        lines["openblas"] = f"{openblas.openblas_get_config().decode()}; kernels of {openblas.openblas_get_corename().decode()}"
    return lines


def interactive():
    operands = None
    plain, packing = ["torch"] + ["openblas"] * bool(openblas), ["mkl", "onednn"]
    print(json.dumps({"ready": True, "ways": plain + packing, "packing": packing, "about": about()}), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        answer = {}
        if word == "load":
            m, n, k = map(int, rest[0].split("x"))
            both = torch.from_numpy(numpy.fromfile(rest[1], dtype=numpy.float32))
            operands = Operands(m, n, k, both[: m * k].reshape(m, k).clone(), both[m * k :].reshape(k, n).clone())
        elif word == "result":
            operands.result(rest[0]).numpy().tofile(rest[1])
        elif word == "time":
            answer["seconds"] = operands.time(rest[0], int(rest[1]), int(rest[2]))
        else:
            sys.exit(f"got {line!r}, want load, result or time")
        print(json.dumps(answer), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("shapes", nargs="*", metavar="MxNxK")
    p.add_argument("--threads", default="1", help="comma-separated thread counts; not used with --interactive")
    p.add_argument("--reps", type=int, default=10)
    p.add_argument("--interactive", action="store_true")
    args = p.parse_args()
    torch.set_grad_enabled(False)
    if args.interactive:
        interactive()
        return
    print(about())
    for shape in args.shapes or ["1024x1024x1024"]:
        m, n, k = map(int, shape.split("x"))
        operands = Operands(m, n, k, torch.randn(m, k), torch.randn(k, n))
        for threads in map(int, args.threads.split(",")):
            for way in operands.calls:
                operands.time(way, threads, 1)
                rates = [2e-9 * m * n * k / operands.time(way, threads, 1) for _ in range(args.reps)]
                print(f"{shape} {way} threads {threads}: best {max(rates):.1f}, median {statistics.median(rates):.1f} GFLOP/s")


if __name__ == "__main__":
    main()
