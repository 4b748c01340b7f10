"""Float32 matrix products in PyTorch on the CPU: the peer of `plinth bench`.

    python matmul.py --threads 1,2 --reps 10 1024x1024x1024 64x384x1536 [--json]

Each shape is MxNxK: C [M, N] = A [M, K] @ B [K, N], torch.mm into a buffer allocated before. Printed per shape
and thread count: the best and the median GFLOP/s (2*M*N*K per second), and which thread count is best.

--interactive: after {"ready": true, ...}, a line "go M N K THREADS" on stdin runs one product and is answered by
{"m", "n", "k", "threads", "seconds", "gflops"}; so two programs can take turns. The first product of a shape and
thread count is preceded by an untimed one. It ends with stdin.
"""

import argparse
import json
import statistics
import sys
import time

import torch

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("shapes", nargs="*", metavar="MxNxK")
p.add_argument("--threads", default="1", help="comma-separated thread counts; not used with --interactive")
p.add_argument("--reps", type=int, default=10)
p.add_argument("--interactive", action="store_true")
p.add_argument("--json", action="store_true")
args = p.parse_args()
buffers = {}


def once(m, n, k, threads):
    """Seconds of one product."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    new = (m, n, k, threads) not in buffers
    if new:
        g = torch.Generator().manual_seed(1)
        buffers[m, n, k, threads] = (torch.randn(m, k, generator=g), torch.randn(k, n, generator=g), torch.empty(m, n))
    a, b, c = buffers[m, n, k, threads]
    if new:
        torch.mm(a, b, out=c)
    began = time.perf_counter()
    torch.mm(a, b, out=c)
    return time.perf_counter() - began


def main():
    torch.set_grad_enabled(False)
    if args.interactive:
        print(json.dumps({"ready": True, "peer": "pytorch", "torch": torch.__version__}), flush=True)
        for line in sys.stdin:
            word, *numbers = line.split()
            if word != "go" or len(numbers) != 4:
                sys.exit(f'got {line!r}, want "go M N K THREADS"')
            m, n, k, threads = map(int, numbers)
            s = once(m, n, k, threads)
            print(json.dumps({"m": m, "n": n, "k": k, "threads": threads, "seconds": s, "gflops": 2e-9 * m * n * k / s}), flush=True)
        return

    rows = []
    for shape in args.shapes or ["1024x1024x1024"]:
        m, n, k = map(int, shape.split("x"))
        for threads in map(int, args.threads.split(",")):
            rates = [2e-9 * m * n * k / once(m, n, k, threads) for _ in range(args.reps)]
            rows.append({"m": m, "n": n, "k": k, "threads": threads, "best_gflops": max(rates), "median_gflops": statistics.median(rates)})
        best = max(rows[-len(args.threads.split(",")):], key=lambda r: r["best_gflops"])
        best["best_threads"] = True
    if args.json:
        print(json.dumps({"peer": "pytorch", "torch": torch.__version__, "products": rows}))
    else:
        for r in rows:
            mark = "  <- best" if r.get("best_threads") else ""
            print(f"{r['m']}x{r['n']}x{r['k']} threads {r['threads']}: best {r['best_gflops']:.1f}, median {r['median_gflops']:.1f} GFLOP/s{mark}")


if __name__ == "__main__":
    main()
