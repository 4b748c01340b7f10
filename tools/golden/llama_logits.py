"""Print what llama.cpp computes for a GGUF file, as a line of JSON for each line `FILE ID,ID,...` of standard input.

    logits   float32 [ids][vocabulary], one after the other

The cache is F32 and one thread works. LLAMA_CPP_LIB_PATH names the folder with llama.cpp's libraries.
"""

import ctypes
import json
import sys

import llama_cpp as ll

quiet = ll.llama_log_callback(lambda level, text, data: None)


def logits(path, ids):
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    if not model:
        sys.exit(f"{path}: llama.cpp does not load it")
    params = ll.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(256, len(ids))
    params.type_k = params.type_v = 0  # F32
    params.n_threads = params.n_threads_batch = 1
    params.flash_attn_type = 0  # none
    context = ll.llama_init_from_model(model, params)
    batch = ll.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    if ll.llama_decode(context, batch) != 0:
        sys.exit(f"{path}: llama_decode failed")
    count = len(ids) * ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))
    values = ctypes.cast(ll.llama_get_logits(context), ctypes.POINTER(ctypes.c_float))[:count]
    ll.llama_batch_free(batch)
    ll.llama_free(context)
    ll.llama_model_free(model)
    return values


ll.llama_log_set(quiet, None)
ll.llama_backend_init()
for line in sys.stdin:
    file, _, ids = line.rstrip("\n").rpartition(" ")
    print(json.dumps({"logits": logits(file, [int(i) for i in ids.split(",")])}))
