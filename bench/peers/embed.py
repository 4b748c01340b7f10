"""Sentence embeddings on the CPU: the peer of bench/embed.

    python embed.py FOLDER TEXTS --engine torch|onnx|onnx-int8 --threads 2

FOLDER is one of sentence-transformers with a BERT, TEXTS a JSON array of strings. torch is SentenceTransformer.encode, batches of 32 sorted by length, its default; the other two are
ONNX Runtime on the graph that PyTorch exports, in the same batches, tokens by Hugging Face tokenizers; onnx-int8 is quantised dynamically. After {"ready": true} each line runs all texts and
is answered by {"seconds"}; the line "vectors" by {"vectors"}.
"""

import argparse
import json
import os
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("folder")
p.add_argument("texts")
p.add_argument("--engine", choices=["torch", "onnx", "onnx-int8"], default="torch")
p.add_argument("--threads", type=int, default=2)
args = p.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print goes elsewhere

sys.path.pop(0)  # the folder of this file, which has a tokenizers.py
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(args.threads)
texts = json.load(open(args.texts))
model = SentenceTransformer(args.folder, device="cpu")


def torch_run():
    return model.encode(texts, batch_size=32, show_progress_bar=False)


def onnx_run():
    import onnxruntime as ort
    from tokenizers import Tokenizer

    class Features(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = model[0].auto_model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    path = os.path.join(args.folder, "model.onnx")
    ids = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    model[0].auto_model.set_attn_implementation("eager")
    torch.onnx.export(Features().eval(), (ids, ids, torch.zeros_like(ids)), path, input_names=names, output_names=["y"],
                      dynamic_axes={n: {0: "b", 1: "t"} for n in names + ["y"]}, opset_version=14, dynamo=False)
    if args.engine == "onnx-int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(path, path + "8", weight_type=QuantType.QInt8)
        path += "8"
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = args.threads, 1
    session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    tok = Tokenizer.from_file(os.path.join(args.folder, "tokenizer.json"))
    tok.enable_truncation(model.max_seq_length)
    tok.enable_padding()

    def run():
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = np.zeros((len(texts), model[0].auto_model.config.hidden_size), np.float32)
        for i in range(0, len(order), 32):
            at = order[i : i + 32]
            es = tok.encode_batch([texts[j] for j in at])
            ids = np.array([e.ids for e in es], np.int64)
            mask = np.array([e.attention_mask for e in es], np.int64)
            y = session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]
            v = (y * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            out[at] = v / np.linalg.norm(v, axis=1, keepdims=True)
        return out

    return run


run = torch_run if args.engine == "torch" else onnx_run()
run()
print(json.dumps({"ready": True}), file=answers, flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    vectors = run()
    seconds = time.perf_counter() - began
    print(json.dumps({"vectors": vectors.tolist()} if line.strip() == "vectors" else {"seconds": seconds}), file=answers, flush=True)
