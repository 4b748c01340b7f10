"""Golden files for beam search: what transformers' generate finds on tiny models whose weights come from the formula of decoders.py.

    python beams.py OUTPUT_FOLDER

writes OUTPUT_FOLDER/CASE.safetensors, whose metadata holds config, tensors and `searches`: a JSON list of settings, inputs and results.
"""

import json
import os

import golden  # first: it sets the thread count
import torch
import transformers as hf

import decoders
import t5

VOCAB = 37
SETTINGS = [
    dict(num_beams=4, max_new_tokens=12),
    dict(num_beams=3, max_new_tokens=20, length_penalty=2.0, num_return_sequences=3),
    dict(num_beams=5, max_new_tokens=16, length_penalty=0.0, early_stopping="never", num_return_sequences=2),
    dict(num_beams=4, max_new_tokens=16, early_stopping=True, length_penalty=-1.0, num_return_sequences=4),
    dict(num_beams=4, max_new_tokens=24, no_repeat_ngram_size=2),
    dict(num_beams=2, max_new_tokens=10, early_stopping="never", length_penalty=1.5, no_repeat_ngram_size=1),
    dict(num_beams=1, max_new_tokens=12),
    dict(num_beams=4, max_new_tokens=14, min_new_tokens=9),
    dict(num_beams=1, max_new_tokens=8, min_new_tokens=5, no_repeat_ngram_size=2),
]
STOPS = ([1], [1, 7, 20])  # one id, and several
LENGTHS = (11, 3, 1, 17)
CASES = {"t5": None, "t5-v1_1": None, "llama": None, "gpt_neox": None}


def model_of(case):
    torch.manual_seed(0)
    if case in t5.CASES:
        return t5.build(*t5.CASES[case])
    cls, settings, _ = decoders.CASES[case]
    return decoders.build(cls(**settings))


def write(out, case):
    model, config, state = model_of(case)
    g = torch.Generator().manual_seed(sum(case.encode()))
    searches, stopped = [], 0
    for settings in SETTINGS:
        for stops in STOPS:
            for n in LENGTHS:
                ids = torch.randint(2, VOCAB, (n,), generator=g)
                r = model.generate(ids[None], attention_mask=torch.ones(1, n), do_sample=False, eos_token_id=stops, pad_token_id=0, output_scores=True, use_cache=False,
                                   return_dict_in_generate=True, **settings)
                rows = []
                start = 1 if model.config.is_encoder_decoder else n
                for s in r.sequences.tolist():
                    s = s[start:]
                    end = next((i + 1 for i, x in enumerate(s) if x in stops), len(s))
                    stopped += end < settings["max_new_tokens"]
                    rows.append(s[:end])
                scores = r.sequences_scores.tolist() if settings["num_beams"] > 1 else None
                searches.append(dict(settings, input=ids.tolist(), stop_ids=stops, ids=rows, scores=scores))
    meta = golden.model_meta(config, state) | {"searches": json.dumps(searches)}
    golden.write(os.path.join(out, case + ".safetensors"), {}, meta)
    print(f"  {len(searches)} searches, {stopped} results ended before their limit")


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
