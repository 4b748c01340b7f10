"""Tokenise with llama.cpp: standard input is JSON, {"file": a GGUF file, "texts": [...]}; prints a JSON list of ids for each text.

Special tokens are neither added nor recognised. LLAMA_CPP_LIB_PATH names the folder with llama.cpp's libraries.
"""

import json
import sys

import llama_cpp as ll

quiet = ll.llama_log_callback(lambda level, text, data: None)
ll.llama_log_set(quiet, None)
ll.llama_backend_init()
job = json.load(sys.stdin)
params = ll.llama_model_default_params()
params.vocab_only = True
model = ll.llama_model_load_from_file(job["file"].encode(), params)
if not model:
    sys.exit(f"{job['file']}: llama.cpp does not load it")
vocab = ll.llama_model_get_vocab(model)
answers = []
for text in job["texts"]:
    data = text.encode()
    room = len(data) + 16
    ids = (ll.llama_token * room)()
    n = ll.llama_tokenize(vocab, data, len(data), ids, room, False, False)
    if n < 0:
        sys.exit(f"{text!r}: {-n} tokens")
    answers.append(ids[:n])
print(json.dumps(answers))
