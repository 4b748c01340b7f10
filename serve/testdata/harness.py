"""Runs lm-evaluation-harness over /v1/completions. Standard input: {"base": URL, "model": name, "tokenizer": folder, "data": .jsonl with text, "home": folder to
write to, "context": tokens}; standard output: {"acc", "perplexity", "items": [[log-probability, greedy], ...]} in the order of the data."""
import contextlib
import json
import os
import sys

job = json.load(sys.stdin)
os.environ.update(HF_HOME=job["home"], HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
with contextlib.redirect_stdout(sys.stderr):
    import lm_eval

    task = {"task": "last_word", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": job["data"]}}, "test_split": "test", "output_type": "loglikelihood",
            "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}", "doc_to_target": "{{' ' + text.split(' ')[-1]}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}, {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}]}
    model = {"model": job["model"], "base_url": job["base"] + "/completions", "tokenizer": job["tokenizer"], "tokenizer_backend": "huggingface", "tokenized_requests": True,
             "num_concurrent": 2, "max_retries": 1, "max_length": job["context"] + 1, "batch_size": 3}
    r = lm_eval.simple_evaluate(model="local-completions", model_args=model, tasks=[task], log_samples=True, bootstrap_iters=0)
samples = sorted(r["samples"]["last_word"], key=lambda s: s["doc_id"])
scores = r["results"]["last_word"]
json.dump({"acc": scores["acc,none"], "perplexity": scores["perplexity,none"], "items": [s["filtered_resps"][0] for s in samples]}, sys.stdout)
