"""What PEFT computes with adapters that have a head.

    python peft_heads.py < JOBS

Each job names a `model` folder, the folder of an `adapter` on it, the number of `labels` and `texts`: each the `ids` and `segments` of one. It prints the logits of each
text, as JSON: those of classes, of each token, or of starts and ends; without a head the features of each token.
"""

import json
import sys

import torch
import transformers as hf
from peft import PeftConfig, PeftModel

CLASSES = {"SEQ_CLS": hf.AutoModelForSequenceClassification, "TOKEN_CLS": hf.AutoModelForTokenClassification, "QUESTION_ANS": hf.AutoModelForQuestionAnswering,
           "FEATURE_EXTRACTION": hf.AutoModel}


def run(job):
    task = PeftConfig.from_pretrained(job["adapter"]).task_type
    more = {} if task in ("QUESTION_ANS", "FEATURE_EXTRACTION") else dict(num_labels=job["labels"])
    base = CLASSES[task].from_pretrained(job["model"], dtype=torch.float32, local_files_only=True, **more)
    model = PeftModel.from_pretrained(base, job["adapter"]).eval()
    answers = []
    for text in job["texts"]:
        kwargs = dict(input_ids=torch.tensor([text["ids"]]), attention_mask=torch.ones(1, len(text["ids"]), dtype=torch.long))
        if text["segments"]:
            kwargs["token_type_ids"] = torch.tensor([text["segments"]])
        with torch.no_grad():
            # For questions PEFT 0.21 loses token_type_ids on the way to the model below.
            out = (model.base_model if task == "QUESTION_ANS" and not model.active_peft_config.is_prompt_learning else model)(**kwargs)
        if task == "QUESTION_ANS":
            logits = torch.stack([out.start_logits[0], out.end_logits[0]], -1)
        else:
            logits = out.last_hidden_state[0] if task == "FEATURE_EXTRACTION" else out.logits[0]
        answers.append(logits.flatten().tolist())
    return answers


if __name__ == "__main__":
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
