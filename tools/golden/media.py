"""What PIL and torchvision make of small pictures: media.py ../../media/testdata/golden.json writes the golden file of package media.

Without a file it reads a job on standard input and prints, as JSON,
- for {"file", "sizes": [[w, h, filter], ...], "side"}: the decoded pixels, those of every size, and CLIP's values for a square of that side, in base64;
- for {"turns"}: the SHA-256 of all colours after each turn of hue;
- for {"files", "sides"}: for each file and side the SHA-256 of what open_clip's image_transform (torchvision's Resize, CenterCrop, ToTensor,
  Normalize) makes of the picture. That transform makes RGB only after the resize, which blends colours with alpha and takes the nearest
  pixel where there is a palette; so pictures of such modes become RGB before.

The pictures are made here. CLIP's chain is torchvision's Resize, CenterCrop, ToTensor and Normalize, written out in numpy.
"""
import base64, hashlib, io, json, struct, sys, zlib

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def b64(b):
    return base64.b64encode(bytes(b)).decode()


def picture(w, h, mode="RGB"):
    """Slopes, an edge and a little noise from a hash of the place."""
    bands = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2, "CMYK": 4}[mode]
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(bands), indexing="ij")
    noise = ((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) % 41
    v = (x * 255 // max(1, w - 1) * (c + 1) + y * 7 + noise + 90 * ((x + y) % 16 > 9)) % 256
    v = v.astype(np.uint8)
    return Image.fromarray(v[:, :, 0] if bands == 1 else v, mode)


def save(im, kind, **kw):
    out = io.BytesIO()
    im.save(out, kind, **kw)
    return out.getvalue()


def png16(kind, bands, w=5, h=4):
    """A PNG of 16 bits a channel, of which PIL writes only some kinds; with one band also values under 256."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", (x * 9001 + y * 4099 + c * 77) % (300 if bands == 1 else 65536)) for x in range(w) for c in range(bands))
                    for y in range(h))
    chunk = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, kind, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gif_inside(transparent):
    """A GIF whose first frame is smaller than its screen."""
    kw = {"transparency": 3} if transparent else {}
    b = bytearray(save(picture(9, 7).quantize(16), "GIF", **kw))
    frame = b.index(b"\x2c\0\0\0\0\x09\0\x07\0")
    b[frame + 1], b[frame + 3] = 4, 2
    b[6], b[8] = 17, 12
    return bytes(b)


def webp_inside(alpha, **kw):
    """A WebP of two frames, the first smaller than its canvas."""
    def chunk(name, body):
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def u24(*v):
        return b"".join(struct.pack("<I", x)[:3] for x in v)

    def frame(x, y, w, h, mode):
        b = save(picture(w, h, mode), "WEBP", **kw)[12:]
        if b[:4] == b"VP8X":
            b = b[18:]
        return chunk(b"ANMF", u24(x // 2, y // 2, w - 1, h - 1, 100) + b"\0" + b)

    mode = "RGBA" if alpha else "RGB"
    body = b"WEBP" + chunk(b"VP8X", struct.pack("<I", 2 | alpha << 4) + u24(30 - 1, 20 - 1)) + chunk(b"ANIM", bytes((9, 99, 199, 255, 0, 0)))
    body += frame(6, 4, 21, 13, mode) + frame(0, 0, 30, 20, mode)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def exif(value, order):
    return b"Exif\0\0" + (b"II" if order == "<" else b"MM") + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, value, 0, 0)


def decoded(b):
    im = Image.open(io.BytesIO(b))
    if im.format == "JPEG":
        im = ImageOps.exif_transpose(im)
    return im.convert("RGB")


def over(b, ground):
    im = Image.open(io.BytesIO(b))
    if im.format == "JPEG" or not im.has_transparency_data:
        return decoded(b)
    return Image.alpha_composite(Image.new("RGBA", im.size, (*ground, 255)), im.convert("RGBA")).convert("RGB")


def files():
    for mode in ("RGB", "RGBA", "L", "LA"):
        yield f"png {mode}", save(picture(21, 13, mode), "PNG")
    yield "png palette", save(picture(21, 13).quantize(200), "PNG")
    yield "png palette, 4 bits, a transparent colour", save(picture(21, 13).quantize(13), "PNG", transparency=2)
    yield "png palette with alpha", save(picture(21, 13).quantize(13), "PNG", transparency=bytes(range(0, 256, 20)))
    yield "png 1 bit", save(picture(21, 13, "L").convert("1"), "PNG")
    yield "png a transparent RGB", save(picture(21, 13), "PNG", transparency=picture(21, 13).getpixel((3, 2)))
    for kind, bands in ((0, 1), (2, 3), (4, 2), (6, 4)):
        yield f"png 16 bits, kind {kind}", png16(kind, bands)
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for w, h in ((21, 13), (2, 5), (33, 18)):
            yield f"jpeg {sampling} {w}x{h}", save(picture(w, h), "JPEG", subsampling=sampling, quality=88)
    yield "jpeg progressive", save(picture(21, 13), "JPEG", progressive=True, quality=93)
    yield "jpeg restarts", save(picture(40, 13), "JPEG", restart_marker_blocks=1)
    yield "jpeg grey", save(picture(21, 13, "L"), "JPEG")
    yield "jpeg progressive 4:4:4, restarts", save(picture(33, 18), "JPEG", progressive=True, subsampling="4:4:4", quality=60, restart_marker_rows=1)
    yield "jpeg progressive grey", save(picture(21, 13, "L"), "JPEG", progressive=True)
    for sampling in ("4:4:4", "4:2:0"):
        cmyk = save(picture(21, 13, "CMYK"), "JPEG", subsampling=sampling)
        yield f"jpeg CMYK {sampling}", cmyk
        at = cmyk.index(b"\xff\xee\x00\x0eAdobe")
        yield f"jpeg CMYK {sampling} without Adobe's marker", cmyk[:at] + cmyk[at + 16:]
        yield f"jpeg YCCK {sampling}", cmyk[:at + 15] + b"\2" + cmyk[at + 16:]
    yield "jpeg RGB kept", save(picture(21, 13), "JPEG", keep_rgb=True)
    for i in range(1, 9):
        yield f"jpeg orientation {i}", save(picture(12, 7), "JPEG", exif=exif(i, "<>"[i % 2]))
    yield "jpeg orientation 9", save(picture(12, 7), "JPEG", exif=exif(9, ">"))
    yield "gif", save(picture(21, 13).quantize(99), "GIF")
    yield "gif grey", save(picture(21, 13, "L"), "GIF")
    yield "gif transparent", save(picture(21, 13).quantize(16), "GIF", transparency=5)
    yield "gif of three frames", save(picture(21, 13).quantize(16), "GIF", save_all=True, append_images=[picture(21, 13, "L")] * 2)
    yield "gif smaller than its screen", gif_inside(False)
    yield "gif smaller than its screen, transparent", gif_inside(True)
    for w, h in ((21, 13), (1, 1), (2, 5), (34, 18)):
        yield f"webp lossy {w}x{h}", save(picture(w, h), "WEBP", quality=80)
    yield "webp lossy with alpha", save(picture(21, 13, "RGBA"), "WEBP", quality=80)
    yield "webp lossless", save(picture(21, 13), "WEBP", lossless=True)
    yield "webp lossless with alpha", save(picture(21, 13, "RGBA"), "WEBP", lossless=True, exact=True)
    yield "webp of three frames", save(picture(21, 13), "WEBP", save_all=True, append_images=[picture(21, 13, "L"), picture(21, 13, "RGBA")])
    yield "webp lossy, smaller than its canvas", webp_inside(False, quality=80)
    yield "webp lossy with alpha, smaller than its canvas", webp_inside(True, quality=80)
    yield "webp lossless, smaller than its canvas", webp_inside(False, lossless=True)
    yield "webp lossless with alpha, smaller than its canvas", webp_inside(True, lossless=True, exact=True)


def clip(im, side):
    """[3, side, side] float32"""
    w, h = im.size
    short, long = (w, h) if w <= h else (h, w)
    long = int(side * long / short)
    w, h = (side, long) if w <= h else (long, side)
    im = im.resize((w, h), FILTERS["bicubic"])
    left, top = int(round((w - side) / 2.0)), int(round((h - side) / 2.0))
    x = np.asarray(im.crop((left, top, left + side, top + side))).astype(np.float32) / np.float32(255)
    return ((x - MEAN) / STD).transpose(2, 0, 1).astype("<f4")


def raw(im):
    return {"w": im.size[0], "h": im.size[1], "rgb": b64(im.tobytes())}


def colors():
    """torchvision's changes of colour"""
    from torchvision.transforms import functional as f
    im = picture(21, 13)
    for name, change, factors in (("brightness", f.adjust_brightness, (0, 0.3, 1, 1.7)), ("contrast", f.adjust_contrast, (0, 0.45, 1, 2.2)),
                                  ("saturation", f.adjust_saturation, (0, 0.6, 1, 3.1)), ("hue", f.adjust_hue, (-0.5, -0.21, 0, 0.0038, 0.4, 0.5)),
                                  ("grey", lambda im, _: f.rgb_to_grayscale(im, 3), (0,))):
        for factor in factors:
            yield {"name": name, "factor": factor, "from": raw(im), "to": raw(change(im, factor))}


def boxes():
    """torchvision's RandomResizedCrop.get_params, of numbers that are given in the place of torch's generator, in float64"""
    import torch
    from torchvision.transforms import RandomResizedCrop
    torch.set_default_dtype(torch.float64)
    numbers = np.random.default_rng(8)

    class Empty:
        def uniform_(self, lo, hi):
            return torch.tensor(float(lo) + (float(hi) - float(lo)) * drawn())

    def drawn():
        u.append(numbers.random())
        return u[-1]

    empty, randint = torch.empty, torch.randint
    torch.empty, torch.randint = lambda n: Empty(), lambda lo, hi, size: torch.tensor(lo + int(drawn() * (hi - lo)))
    for scale, ratio in (((0.08, 1), (3 / 4, 4 / 3)), ((0.9, 1), (3 / 4, 4 / 3)), ((0.5, 0.6), (0.2, 5)), ((0.9, 1), (2, 3)), ((0.95, 1), (0.3, 0.4)), ((2, 3), (0.8, 1.2))):
        for w, h in ((640, 480), (100, 300), (1, 1), (7, 5), (224, 224), (31, 1000)):
            u = []
            y, x, ch, cw = RandomResizedCrop.get_params(Image.new("RGB", (w, h)), list(scale), list(ratio))
            yield {"w": w, "h": h, "scale": scale, "ratio": ratio, "draws": u, "box": [x, y, cw, ch]}
    torch.empty, torch.randint = empty, randint


def hues(turns):
    from torchvision.transforms import functional as f
    v = np.arange(1 << 24, dtype=np.uint32)
    im = Image.fromarray(np.stack([v >> 16, v >> 8 & 255, v & 255], -1).astype(np.uint8).reshape(4096, 4096, 3))
    return [hashlib.sha256(f.adjust_hue(im, turn).tobytes()).hexdigest() for turn in turns]


def transformed(job):
    from open_clip.transform import image_transform
    chains = [image_transform(side, is_train=False) for side in job["sides"]]
    for file in job["files"]:
        im = Image.open(file)
        if im.mode not in ("RGB", "L"):
            im = im.convert("RGB")
        yield [hashlib.sha256(chain(im).numpy().tobytes()).hexdigest() for chain in chains]


GROUND = (200, 30, 90)


def golden():
    out = {"decode": [], "resize": [], "clip": [], "colors": list(colors()), "boxes": list(boxes())}
    for name, b in files():
        flat, laid = decoded(b), over(b, GROUND)
        out["decode"].append({"name": name, "data": b64(b), **raw(flat), **({} if laid == flat else {"over": b64(laid.tobytes())})})
    for w, h in ((21, 13), (1, 1), (3, 40), (2, 310)):
        im = picture(w, h)
        for filter in FILTERS:
            for size in ((w, h), (7, 5), (21, 5), (9, 13), (1, 1), (30, 31), (2, 40), (w, 4), (5, h)):
                out["resize"].append({"name": f"{w}x{h} {filter} to {size[0]}x{size[1]}", "from": raw(im), "filter": filter, "to": raw(im.resize(size, FILTERS[filter]))})
    for w, h in ((21, 13), (13, 22), (8, 8), (8, 11), (5, 7)):
        out["clip"].append({"name": f"{w}x{h}", "from": raw(picture(w, h)), "side": 8, "values": b64(clip(picture(w, h), 8).tobytes())})
    return out


def peer(job):
    with open(job["file"], "rb") as f:
        im = decoded(f.read())
    return {"picture": raw(im), "sizes": [raw(im.resize((w, h), FILTERS[filter])) for w, h, filter in job["sizes"]],
            "clip": b64(clip(im, job["side"]).tobytes())}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        job = json.load(sys.stdin)
        json.dump(hues(job["turns"]) if "turns" in job else list(transformed(job)) if "files" in job else peer(job), sys.stdout)
    else:
        with open(sys.argv[1], "w") as f:  # a line for every case
            parts = (f'"{part}": [\n' + ",\n".join(map(json.dumps, cases)) + "\n]" for part, cases in golden().items())
            f.write("{" + ",\n".join(parts) + "}\n")
