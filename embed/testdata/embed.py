"""Vectors of sentence-transformers. {"dir", "make": {...} or null, "texts"} -> {"vectors"}; with make, a tiny BERT with random weights is put into dir first, its
tokenizer being the one that is there."""
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel

job = json.load(sys.stdin)
make = job["make"]
if make:
    torch.manual_seed(0)
    base = job["dir"] + "/base"
    m = BertModel(BertConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, vocab_size=make["vocab"], max_position_embeddings=40, initializer_range=0.3))
    m.save_pretrained(base)
    modules = [Transformer(base, max_seq_length=make["limit"]), Pooling(48, pooling_mode=make["pool"])]
    SentenceTransformer(modules=modules + [Normalize()] * make["normalize"], prompts={"query": "find: "}).save(job["dir"])
model = SentenceTransformer(job["dir"], device="cpu")
kind = {"prompt_name": job["kind"]} if job["kind"] else {}
json.dump({"vectors": model.encode(job["texts"], show_progress_bar=False, **kind).tolist()}, out)
