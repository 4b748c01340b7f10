"""Loads folders of CLIP with transformers and with open_clip, computes features of pictures and texts with each that reads the folder, and saves it again:
[{"dir", "again", "kind": "transformers" | "siglip" | "open_clip" | "resnet", "side", "pixels": [...], "ids": [[id, ...], ...]}, ...] -> [{"images": [...], "texts": [...], "factor", "bias", "report"}, ...]."""
import json
import os
import sys

import torch

torch.set_num_threads(2)
out = []
for job in json.load(sys.stdin):
    pixels = torch.tensor(job["pixels"]).view(-1, 3, job["side"], job["side"])
    n = max(map(len, job["ids"]))
    report, bias = "", 0.0
    with torch.no_grad():
        if job["kind"] in ("transformers", "siglip"):
            import transformers

            kind = transformers.SiglipModel if job["kind"] == "siglip" else transformers.CLIPModel
            prepare = transformers.AutoImageProcessor.from_pretrained(job["dir"])
            assert prepare.size == ({"height": job["side"], "width": job["side"]} if job["kind"] == "siglip" else {"shortest_edge": job["side"]}), prepare.size
            model, info = kind.from_pretrained(job["dir"], output_loading_info=True, attn_implementation="eager")
            model.eval()
            report = "; ".join(f"{k} {sorted(map(str, v))}" for k, v in info.items() if v)
            ids = torch.tensor([s + s[-1:] * (n - len(s)) for s in job["ids"]])
            mask = torch.tensor([[1] * len(s) + [0] * (n - len(s)) for s in job["ids"]])
            if job["kind"] == "siglip":
                images, texts, bias = model.vision_model(pixels).pooler_output, model.text_model(ids).pooler_output, model.logit_bias.item()
            else:
                images = model.visual_projection(model.vision_model(pixels).pooler_output)
                texts = model.text_projection(model.text_model(ids, attention_mask=mask).pooler_output)
            factor = model.logit_scale.exp().item()
            model.save_pretrained(job["again"])
        else:
            import open_clip
            from safetensors.torch import save_file

            model, _, prepare = open_clip.create_model_and_transforms("local-dir:" + job["dir"])
            model.eval()
            report = "" if prepare.transforms[0].size in (job["side"], [job["side"]] * 2, (job["side"],) * 2) else f"size {prepare.transforms[0].size}"
            ids = torch.tensor([s + [0] * (model.context_length - len(s)) for s in job["ids"]])
            images, texts = model.encode_image(pixels), model.encode_text(ids)
            factor = model.logit_scale.exp().item()
            bias = model.logit_bias.item() if getattr(model, "logit_bias", None) is not None else 0.0
            os.makedirs(job["again"])
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, job["again"] + "/open_clip_model.safetensors")
            open(job["again"] + "/open_clip_config.json", "w").write(open(job["dir"] + "/open_clip_config.json").read())
    out.append({"images": images.flatten().tolist(), "texts": texts.flatten().tolist(), "factor": factor, "bias": bias, "report": report})
json.dump(out, sys.stdout)
