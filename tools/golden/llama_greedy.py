"""Continue prompts greedily by llama.cpp under several settings, and say where the texts part from those of the first setting.

Standard input is {"file": GGUF, "length": tokens of a text, "prompts": [[id]], "ours": [[id]], "settings": [{...}]}; keys of a setting are
cache (f32, f16), flash, repack (booleans), threads, chunk (tokens of the prompt at once, 0 for all). Standard output is a line of JSON for each setting, and
one for ours: a list with, for each prompt,

    at      place of the first token that differs from the first setting's text, or -1
    lead    logit of the first setting's choice there less that of its second
    far     greatest difference of two logits of the two settings there, behind the same tokens; absent in the line of ours
    before  greatest difference up to there; absent in the line of ours

LLAMA_CPP_LIB_PATH names the folder with llama.cpp's libraries.
"""

import json
import sys

import llama_cpp as ll
import numpy as np

quiet = ll.llama_log_callback(lambda level, text, data: None)


class Runner:
    def __init__(self, path, length, cache="f32", flash=False, repack=False, threads=1, chunk=0):
        params = ll.llama_model_default_params()
        params.use_extra_bufts = repack
        self.model = ll.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit(f"{path}: llama.cpp does not load it")
        params = ll.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = max(256, length)
        params.type_k = params.type_v = {"f32": 0, "f16": 1}[cache]
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = int(flash)
        self.context = ll.llama_init_from_model(self.model, params)
        self.batch = ll.llama_batch_init(max(256, length), 0, 1)
        self.vocab, self.chunk = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model)), chunk

    def run(self, ids, start):
        """Compute ids that stand at start; return the logits behind the last."""
        self.batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i], self.batch.seq_id[i][0] = token, start + i, 1, 0
            self.batch.logits[i] = i == len(ids) - 1
        if ll.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_decode failed")
        return np.ctypeslib.as_array(ll.llama_get_logits_ith(self.context, len(ids) - 1), (self.vocab,)).copy()

    def text(self, prompt, length):
        """Continue prompt to length tokens; return the tokens and the logits [new tokens, vocabulary]."""
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)
        step = self.chunk or len(prompt)
        for at in range(0, len(prompt), step):
            logits = self.run(prompt[at : at + step], at)
        ids, rows = list(prompt), []
        while len(ids) < length:
            rows.append(logits)
            ids.append(int(logits.argmax()))
            logits = self.run(ids[-1:], len(ids) - 1)
        return ids, np.array(rows)

    def close(self):
        ll.llama_batch_free(self.batch)
        ll.llama_free(self.context)
        ll.llama_model_free(self.model)


def compare(prompt, base, ids, rows=None):
    want, logits = base
    n = next((i for i, (a, b) in enumerate(zip(want, ids)) if a != b), min(len(want), len(ids)))
    out = {"at": -1 if n == len(want) == len(ids) else n}
    row = min(n - len(prompt), len(logits) - 1)
    if out["at"] >= 0:
        second, first = np.sort(logits[row])[-2:]
        out["lead"] = float(first - second)
    if rows is not None:
        far = np.abs(rows[: row + 1] - logits[: row + 1]).max(axis=1)
        out["far"], out["before"] = float(far[row]), float(far.max())
    return out


ll.llama_log_set(quiet, None)
ll.llama_backend_init()
ask = json.load(sys.stdin)
base = None
for setting in ask["settings"]:
    runner = Runner(ask["file"], ask["length"], **setting)
    texts = [runner.text(p, ask["length"]) for p in ask["prompts"]]
    runner.close()
    base = base or texts
    print(json.dumps([compare(p, b, *t) for p, b, t in zip(ask["prompts"], base, texts)]), flush=True)
print(json.dumps([compare(p, b, ids) for p, b, ids in zip(ask["prompts"], base, ask["ours"])]))
