"""Nearest vectors on the CPU: the peer of bench/search.

    python search.py FOLDER --engine flat|ivf|hnsw --dim 512 --threads 2

FOLDER holds stored.f32 and queries.f32, rows of float32. flat is faiss.IndexFlatIP, ivf an inverted file of 8-bit codes (IndexIVFScalarQuantizer, 2000
lists as in Plinth), hnsw hnswlib's (M 16, ef_construction 100); the latter two are kept in FOLDER. After {"ready": true, "build": seconds} the line "one N" is answered by
the median {"seconds"} of five queries from the N-th five on, one at a time; "curve" by a list of {"setting", "seconds", "recall"} over all queries, one at a time, recall@10 against the exact
inner products in float32.
"""

import argparse
import json
import os
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("folder")
p.add_argument("--engine", choices=["flat", "ivf", "hnsw"], default="flat")
p.add_argument("--dim", type=int, default=512)
p.add_argument("--threads", type=int, default=2)
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes elsewhere

import numpy as np

stored = np.memmap(os.path.join(args.folder, "stored.f32"), dtype=np.float32, mode="r").reshape(-1, args.dim)
queries = np.fromfile(os.path.join(args.folder, "queries.f32"), dtype=np.float32).reshape(-1, args.dim)
path = os.path.join(args.folder, args.engine + ".index")
build = 0.0
began = time.perf_counter()
if args.engine == "hnsw":
    import hnswlib

    index = hnswlib.Index(space="ip", dim=args.dim)
    index.set_num_threads(args.threads)
    if os.path.exists(path):
        index.load_index(path)
    else:
        index.init_index(max_elements=len(stored), M=16, ef_construction=100, random_seed=1)
        index.add_items(stored, num_threads=args.threads)
        build = time.perf_counter() - began
        index.save_index(path)

    def search(q):
        return index.knn_query(q, k=10, num_threads=1)[0]  # it has threads for several queries only

    settings = [("ef=%d" % ef, lambda ef=ef: index.set_ef(ef)) for ef in (16, 32, 64, 128, 256)]
else:
    import faiss

    faiss.omp_set_num_threads(args.threads)
    if args.engine == "flat":
        index = faiss.IndexFlatIP(args.dim)
        index.add(np.ascontiguousarray(stored))
        settings = [("all", lambda: None)]
    else:
        if os.path.exists(path):
            index = faiss.read_index(path)
        else:
            quantizer = faiss.IndexFlatIP(args.dim)
            index = faiss.IndexIVFScalarQuantizer(quantizer, args.dim, 2000, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
            index.train(np.ascontiguousarray(stored[np.random.default_rng(1).permutation(len(stored))[:128000]]))
            index.add(np.ascontiguousarray(stored))
            build = time.perf_counter() - began
            faiss.write_index(index, path)
        settings = [("nprobe=%d" % n, lambda n=n: setattr(index, "nprobe", n)) for n in (1, 2, 4, 8, 16, 32, 64, 128)]

    def search(q):
        return index.search(q, 10)[1]


def exact():
    best = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for at in range(0, len(stored), 65536):
        scores = queries @ stored[at:at + 65536].T
        best = np.concatenate([best, scores], 1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(at, at + scores.shape[1]), scores.shape)], 1)
        top = np.argpartition(-best, 10, 1)[:, :10]
        best, rows = np.take_along_axis(best, top, 1), np.take_along_axis(rows, top, 1)
    return rows


def one_by_one(part):
    seconds, found = [], []
    for i in part:
        began = time.perf_counter()
        found.append(search(queries[i:i + 1])[0])
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)), found


def answer(v):
    print(json.dumps(v), file=answers, flush=True)


one_by_one(range(2))
answer({"ready": True, "build": build})
for line in sys.stdin:
    words = line.split()
    if words[0] == "one":
        at = 5 * int(words[1])
        answer({"seconds": one_by_one([(at + i) % len(queries) for i in range(5)])[0]})
    else:
        want, out = exact(), []
        for name, choose in settings:
            choose()
            seconds, found = one_by_one(range(len(queries)))
            recall = np.mean([len(set(w) & set(f)) / 10 for w, f in zip(want, found)])
            out.append({"setting": name, "seconds": seconds, "recall": float(recall)})
        answer(out)
