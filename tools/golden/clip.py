"""Golden files for CLIP at tiny size, float32 on the CPU.

    python clip.py OUTPUT_FOLDER [CASE ...]

writes OUTPUT_FOLDER/CASE.safetensors for each case of the table below (README.md lists the tensors). The weights are not in the files: both sides
make them by the formula of decoders.py's `fill` from the names and shapes that transformers saves.
"""

import golden  # first: it sets the thread count
import torch
import transformers as hf
from encoders import build

VOCAB, CONTEXT = 41, 12
TEXT = dict(vocab_size=VOCAB, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=CONTEXT,
            eos_token_id=VOCAB - 1, bos_token_id=VOCAB - 2, pad_token_id=VOCAB - 1)
VISION = dict(hidden_size=24, intermediate_size=48, num_hidden_layers=3, num_attention_heads=3, image_size=12, patch_size=4)
GELU = dict(hidden_act="gelu")
SIGLIP = dict({k: v for k, v in TEXT.items() if not k.endswith("token_id")}, projection_size=24, pad_token_id=1)
LENGTHS = (7, 3, 12, 2)  # of the texts, with both marks

CASES = {
    "clip": ("CLIPModel", hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)),
    "clip-gelu": ("CLIPModel", hf.CLIPConfig(text_config=TEXT | GELU, vision_config=VISION | GELU | dict(image_size=8, patch_size=2, num_hidden_layers=1), projection_dim=20)),
    "siglip": ("SiglipModel", hf.SiglipConfig(text_config=SIGLIP, vision_config=VISION)),
}


def write(out, case):
    model, config, state = build(*CASES[case])
    g = torch.Generator().manual_seed(sum(case.encode()))
    side = model.config.vision_config.image_size
    pixels = torch.randn(len(LENGTHS), 3, side, side, generator=g)
    ids = torch.full((len(LENGTHS), CONTEXT), VOCAB - 1)
    for row, n in zip(ids, LENGTHS):
        row[0], row[1 : n - 1] = VOCAB - 2, torch.randint(0, VOCAB - 2, (n - 2,), generator=g)
    mask = torch.arange(CONTEXT) < torch.tensor(LENGTHS)[:, None]
    r = model(input_ids=ids, pixel_values=pixels, return_loss=True, **({} if case == "siglip" else {"attention_mask": mask.long()}))
    r.loss.backward()
    lengths = (CONTEXT,) * len(LENGTHS) if case == "siglip" else LENGTHS  # SigLIP reads its padding
    tensors = {"pixels": pixels, "ids": torch.cat([row[:n] for row, n in zip(ids, lengths)]), "lengths": torch.tensor(lengths), "images": r.image_embeds,
               "texts": r.text_embeds, "logits": r.logits_per_image, "loss": r.loss}
    tensors |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
    golden.write(f"{out}/{case}.safetensors", tensors, golden.model_meta(config, state))


if __name__ == "__main__":
    golden.main(__doc__, CASES, write)
