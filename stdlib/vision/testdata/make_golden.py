"""Makes the files and hashes that the tests of this package read:

    files.zip         small pictures of every kind that Decode knows (drawn or forged here, no data set)
    golden.json       size and SHA-256 of Pillow's RGB bytes for each; of resized pictures; of image processors
    radsample.sha256  the same for the 540 pictures of ../shared/data/radsample (hashes only), if they are there

Run with Python 3.11: python make_golden.py [path of shared]
"""

import hashlib
import importlib.metadata
import io
import json
import pathlib
import random
import struct
import sys
import warnings
import zipfile
import zlib

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageOps, features

import jpegforge as jf

PINNED = {"pillow": "13.0.0", "transformers": "5.23.0"}
HERE = pathlib.Path(__file__).parent
warnings.simplefilter("ignore")


def check_versions():
    for name, want in PINNED.items():
        got = importlib.metadata.version(name)
        if got != want:
            sys.exit(f"{name} {got} is installed, the goldens are made with {want}")
    print("libjpeg-turbo", features.version("libjpeg_turbo"), "libwebp", features.version("webp"))


def sha(data):
    return hashlib.sha256(data).hexdigest()


def picture(w, h, seed, mode="RGB"):
    """A smooth picture with edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([128 + 100 * np.sin(x / 7 + seed), 128 + 110 * np.cos(y / 5 - x / 11), (x * 5 + y * 3 + seed * 40) % 256], -1)
    a = a + rng.normal(0, 6, a.shape)
    im = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
    d = ImageDraw.Draw(im)
    d.ellipse([w // 4, h // 4, w // 2, h // 2], fill=(250, 20, 60))
    d.line([0, 0, w, h], fill=(0, 255, 0))
    if mode == "CMYK":
        im = Image.merge("CMYK", [*im.split(), im.convert("L").rotate(90).resize(im.size)])
    elif mode != "RGB":
        im = im.convert(mode)
    return im


def save(im, fmt, **kw):
    buf = io.BytesIO()
    im.save(buf, fmt, **kw)
    return buf.getvalue()


# JPEG.


def pillow_jpegs():
    sizes = [(1, 1), (3, 2), (8, 8), (17, 15), (33, 40)]
    for sub in range(3):
        for k, (w, h) in enumerate(sizes):
            yield f"jpeg/pillow_sub{sub}_{w}x{h}.jpg", save(picture(w, h, k), "JPEG", quality=[20, 75, 95, 60, 88][k], subsampling=sub)
        yield f"jpeg/pillow_sub{sub}_progressive.jpg", save(picture(45, 37, sub), "JPEG", quality=80, subsampling=sub, progressive=True)
        yield f"jpeg/pillow_sub{sub}_optimize.jpg", save(picture(30, 50, sub), "JPEG", quality=100, subsampling=sub, optimize=True)
        yield f"jpeg/pillow_sub{sub}_restart.jpg", save(picture(50, 34, sub), "JPEG", subsampling=sub, restart_marker_blocks=2)
    yield "jpeg/pillow_restart_rows.jpg", save(picture(40, 70, 9), "JPEG", restart_marker_rows=1, progressive=True)
    yield "jpeg/pillow_q1.jpg", save(picture(40, 40, 9), "JPEG", quality=1)
    for q in (30, 90):
        yield f"jpeg/pillow_gray_q{q}.jpg", save(picture(41, 29, q, "L"), "JPEG", quality=q)
        yield f"jpeg/pillow_gray_progressive_q{q}.jpg", save(picture(41, 29, q, "L"), "JPEG", quality=q, progressive=True)
        yield f"jpeg/pillow_cmyk_q{q}.jpg", save(picture(27, 33, q, "CMYK"), "JPEG", quality=q)
    plain = save(picture(37, 23, 8), "JPEG", quality=85)
    while b"\xff\xc4" in plain:  # as in a frame of motion JPEG
        i = plain.index(b"\xff\xc4")
        plain = plain[:i] + plain[i + 2 + int.from_bytes(plain[i + 2 : i + 4], "big"):]
    yield "jpeg/pillow_without_huffman_tables.jpg", plain
    yield "jpeg/pillow_keep_rgb.jpg", save(picture(27, 33, 5), "JPEG", keep_rgb=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "jpeg/pillow_exif_orientation6.jpg", save(picture(20, 12, 5), "JPEG", exif=exif)


def forged_jpegs():
    ycc = lambda y, cb, cr: [(1, *y), (2, *cb), (3, *cr)]
    layouts = {
        "444": ycc((1, 1), (1, 1), (1, 1)), "422": ycc((2, 1), (1, 1), (1, 1)), "420": ycc((2, 2), (1, 1), (1, 1)),
        "440": ycc((1, 2), (1, 1), (1, 1)), "411": ycc((4, 1), (1, 1), (1, 1)), "410": ycc((4, 2), (1, 1), (1, 1)),
        "441": ycc((1, 4), (1, 1), (1, 1)), "mixed": ycc((2, 2), (2, 1), (1, 2)), "luma_small": ycc((1, 1), (2, 2), (1, 1)),
        "h3": ycc((3, 1), (1, 1), (1, 1)), "h4_of_2": ycc((4, 1), (2, 1), (2, 1)), "all2x2": ycc((2, 2), (2, 2), (1, 1)),
    }
    for name, comps in layouts.items():
        for k, (w, h) in enumerate([(1, 1), (4, 5), (5, 17), (35, 31)]):
            f = jf.Forge(k, w, h, comps)
            yield f"jpeg/forged_{name}_{w}x{h}.jpg", jf.sequential(f)
        f = jf.Forge(7, 37, 33, comps)
        yield f"jpeg/forged_{name}_progressive.jpg", jf.progressive(f)
        yield f"jpeg/forged_{name}_restart.jpg", jf.sequential(f, restart=3)
        yield f"jpeg/forged_{name}_scans.jpg", jf.sequential(f, layout=[[0], [2, 1]])
        yield f"jpeg/forged_{name}_three_scans.jpg", jf.sequential(f, layout=[[1], [0], [2]], restart=2)
    gray = [(1, 1, 1)]
    yield "jpeg/forged_gray.jpg", jf.sequential(jf.Forge(1, 19, 23, gray))
    yield "jpeg/forged_gray_h2v2.jpg", jf.sequential(jf.Forge(1, 19, 23, [(1, 2, 2)]))
    yield "jpeg/forged_gray_h2v2_progressive.jpg", jf.progressive(jf.Forge(1, 19, 23, [(1, 2, 2)]), restart=1)
    yield "jpeg/forged_gray_long_codes.jpg", jf.sequential(jf.Forge(1, 19, 23, gray, staircase=True))
    yield "jpeg/forged_420_long_codes_progressive.jpg", jf.progressive(jf.Forge(1, 19, 23, layouts["420"], staircase=True))
    yield "jpeg/forged_extended_sof1.jpg", jf.sequential(jf.Forge(2, 19, 23, gray), sof=0xC1, wide_quant=True)
    for k, wild in enumerate([300, 1500, 8000, 16000]):
        for quant in (1, 3, 40, 255):
            yield f"jpeg/forged_wild{wild}_q{quant}.jpg", jf.sequential(jf.Forge(k, 40, 40, gray, quant=quant, wild=wild))
    yield "jpeg/forged_wild_420.jpg", jf.sequential(jf.Forge(9, 40, 40, layouts["420"], quant=30, wild=2000))
    yield "jpeg/forged_rgb_ids.jpg", jf.sequential(jf.Forge(3, 20, 20, [(82, 1, 1), (71, 1, 1), (66, 1, 1)]))
    yield "jpeg/forged_odd_ids.jpg", jf.sequential(jf.Forge(3, 20, 20, [(7, 2, 2), (9, 1, 1), (4, 1, 1)]))
    for t in (0, 1, 2):
        yield f"jpeg/forged_adobe3_{t}.jpg", jf.sequential(jf.Forge(3, 20, 20, layouts["420"]), extra=jf.adobe(t))
        four = [(1, 2, 2), (2, 1, 1), (3, 1, 1), (4, 2, 2)]
        yield f"jpeg/forged_adobe4_{t}.jpg", jf.sequential(jf.Forge(3, 21, 19, four), extra=jf.adobe(t))
    yield "jpeg/forged_cmyk_plain.jpg", jf.sequential(jf.Forge(3, 21, 19, [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]))
    jfif = jf.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    yield "jpeg/forged_jfif_and_adobe0.jpg", jf.sequential(jf.Forge(3, 20, 20, layouts["444"]), extra=jfif + jf.adobe(0))
    good = jf.sequential(jf.Forge(4, 40, 20, layouts["422"]))
    yield "jpeg/forged_restart_junk.jpg", jf.sequential(jf.Forge(4, 40, 20, layouts["422"]), restart=2, junk=True)
    yield "jpeg/forged_trailing.jpg", good + b"trailing \xff\xda bytes"
    yield "jpeg/forged_comment.jpg", good[:2] + jf.segment(0xFE, b"a comment \xff\xd9 with a marker") + good[2:]
    yield "jpeg/forged_fill_bytes.jpg", good.replace(b"\xff\xc0", b"\xff\xff\xff\xc0")
    yield "jpeg/forged_junk_before_end.jpg", good[:-2] + b"\x01\x02\x03" + good[-2:]
    big = picture(64, 48, 3)
    yield "jpeg/source.jpg", save(big, "JPEG", quality=92)


def bad_jpegs():
    """Files that must be errors here. Pillow refuses most of them, and paints grey for the others."""
    y420 = [(1, 2, 2), (2, 1, 1), (3, 1, 1)]
    good = jf.sequential(jf.Forge(4, 40, 40, y420))
    prog = jf.progressive(jf.Forge(4, 40, 40, y420))
    for cut in (2, 3, 20, 150, len(good) // 2, len(good) - 12):
        yield f"bad/jpeg_cut_{cut}.jpg", good[:cut]
    yield "bad/jpeg_progressive_cut.jpg", prog[: len(prog) * 2 // 3]
    yield "bad/jpeg_progressive_without_end.jpg", prog[:-2]
    yield "bad/jpeg_cut_but_ended.jpg", good[: len(good) * 2 // 3] + b"\xff\xd9"
    last = prog.rindex(b"\xff\xda")
    yield "bad/jpeg_progressive_missing_scan.jpg", prog[:last] + b"\xff\xd9"
    i = good.index(b"\xff\xc0")
    yield "bad/jpeg_lying_height.jpg", good[: i + 5] + b"\xff\xff" + good[i + 7:]
    yield "bad/jpeg_lying_both.jpg", good[: i + 5] + b"\xff\xff\xff\xff" + good[i + 9:]
    yield "bad/jpeg_twice_as_high.jpg", good[: i + 5] + b"\x00\x50" + good[i + 7:]
    yield "bad/jpeg_zero_height.jpg", good[: i + 5] + b"\x00\x00" + good[i + 7:]
    yield "bad/jpeg_12bit.jpg", jf.sequential(jf.Forge(4, 16, 16, y420), precision=12, sof=0xC1)
    yield "bad/jpeg_arithmetic.jpg", jf.sequential(jf.Forge(4, 16, 16, y420), sof=0xC9)
    yield "bad/jpeg_lossless.jpg", jf.sequential(jf.Forge(4, 16, 16, y420), sof=0xC3)
    yield "bad/jpeg_two_components.jpg", jf.sequential(jf.Forge(4, 16, 16, [(1, 1, 1), (2, 1, 1)]))
    yield "bad/jpeg_fractional.jpg", jf.sequential(jf.Forge(4, 48, 16, [(1, 3, 1), (2, 2, 1), (3, 1, 1)]))
    yield "bad/jpeg_no_tables.jpg", prog.replace(prog[prog.index(b"\xff\xc4"): prog.index(b"\xff\xda")], b"")
    yield "bad/jpeg_no_quant.jpg", good[:2] + good[2 + 69:]
    rst = bytearray(jf.sequential(jf.Forge(4, 64, 40, y420), restart=2))
    rst[rst.index(b"\xff\xd1") + 1] = 0xD6
    yield "bad/jpeg_restart_order.jpg", bytes(rst)
    yield "bad/empty.jpg", b""
    yield "bad/text.jpg", b"this is not an image at all\n"
    yield "bad/html.png", b"<!doctype html><title>404</title>"


# PNG and others.


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(w, h, depth, color, interlace, seed, palette=None, trns=None):
    """A PNG of any colour type and depth, noise, all filter types."""
    rng = random.Random(seed)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    bpp = max(1, depth * channels // 8)

    def rows(pw, ph):
        if not pw or not ph:
            return b""
        size = (pw * channels * depth + 7) // 8
        out = b""
        for y in range(ph):
            line = bytes(rng.randrange(256) if (x // bpp // 3 + y // 3) % 3 else 40 for x in range(size))
            if color == 3 and palette:
                limit = len(palette) // 3
                line = bytes(v % limit for v in line) if depth == 8 else line
            out += bytes([0 if color == 3 else rng.randrange(5)]) + line
        return out

    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        raw = b"".join(rows(-(-(w - x) // dx) if w > x else 0, -(-(h - y) // dy) if h > y else 0) for x, y, dx, dy in passes)
    else:
        raw = rows(w, h)
    out = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace))
    out += png_chunk(b"gAMA", struct.pack(">I", 30000))
    if palette:
        out += png_chunk(b"PLTE", palette)
    if trns is not None:
        out += png_chunk(b"tRNS", trns)
    return out + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def pngs():
    rng = random.Random(5)
    for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            pal = bytes(rng.randrange(256) for _ in range(3 * min(200, 1 << depth))) if color == 3 else None
            for inter in (0, 1):
                name = f"png/color{color}_depth{depth}_inter{inter}"
                yield name + ".png", make_png(13, 11, depth, color, inter, depth + color, pal)
            trns = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\0\x80"}.get(color)
            if trns:
                yield f"png/color{color}_depth{depth}_trns.png", make_png(9, 7, depth, color, 0, 1, pal, trns)
    yield "png/1x1.png", make_png(1, 1, 8, 2, 1, 1)
    # 16-bit grey of small values: Pillow clips at 255 rather than scaling
    raw = b"".join(b"\0" + b"".join(struct.pack(">H", (x * 40 + y) % 600) for x in range(20)) for y in range(20))
    yield "png/gray16_small.png", (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 20, 16, 0, 0, 0, 0))
                                   + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b""))


def bad_pngs():
    good = make_png(13, 11, 8, 2, 0, 1)
    for cut in (8, 20, 40, len(good) // 2, len(good) - 30):
        yield f"bad/png_cut_{cut}.png", good[:cut]
    yield "bad/png_lying.png", (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0)) + good[33:])
    yield "bad/png_absurd.png", (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)) + good[33:])
    yield "bad/png_zero.png", (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)) + good[33:])
    broken = bytearray(good)
    broken[-30] ^= 1
    yield "bad/png_checksum.png", bytes(broken)


def others():
    im = picture(23, 17, 4)
    pal = im.quantize(40)
    yield "gif/full.gif", save(pal, "GIF")
    yield "gif/interlace.gif", save(pal, "GIF", interlace=1)
    yield "gif/transparent.gif", save(pal, "GIF", transparency=3)
    yield "gif/gray.gif", save(im.convert("L"), "GIF")
    yield "gif/animated.gif", save(pal, "GIF", save_all=True, append_images=[pal.rotate(90), pal.rotate(180)], duration=100)

    def framed(gce):
        """A 4x3 frame at (5, 6) of a 20x15 screen."""
        table = bytes(range(12))
        out = b"GIF89a" + struct.pack("<HHBBB", 20, 15, 0x80 | 1, 2, 0) + table
        if gce is not None:
            out += b"!\xf9\x04" + bytes([gce >= 0, 0, 0, max(gce, 0)]) + b"\0"
        out += b"," + struct.pack("<HHHHB", 5, 6, 4, 3, 0) + b"\x02"
        bits = jf.Bits()
        acc, n, data = 0, 0, bytearray()
        for code in [c for v in (1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 1) for c in (4, v)] + [5]:
            acc |= code << n
            n += 3
            while n >= 8:
                data.append(acc & 255)
                acc >>= 8
                n -= 8
        data.append(acc & 255)
        return out + bytes([len(data)]) + bytes(data) + b"\0;"

    yield "gif/small_frame.gif", framed(None)
    yield "gif/small_frame_transparent2.gif", framed(2)
    yield "bmp/rgb.bmp", save(im, "BMP")
    yield "bmp/gray.bmp", save(im.convert("L"), "BMP")
    yield "bmp/bilevel.bmp", save(im.convert("1"), "BMP")
    yield "bmp/palette.bmp", save(pal, "BMP")
    yield "bmp/rgba.bmp", save(im.convert("RGBA"), "BMP")
    rgba = im.copy()
    rgba.putalpha(im.convert("L"))
    i16 = Image.fromarray((np.arange(23 * 17).reshape(17, 23) * 3).astype(np.uint16))
    for comp in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for name, m in {"rgb": im, "gray": im.convert("L"), "palette": pal, "rgba": rgba, "bilevel": im.convert("1"), "gray16": i16}.items():
            yield f"tiff/{name}_{comp}.tif", save(m, "TIFF", compression=comp)
    for k, (w, h) in enumerate([(1, 1), (2, 3), (16, 16), (23, 17), (40, 31)]):
        yield f"webp/lossy_{w}x{h}.webp", save(picture(w, h, k), "WEBP", quality=[10, 50, 80, 95, 60][k])
        yield f"webp/lossless_{w}x{h}.webp", save(picture(w, h, k), "WEBP", lossless=True)
    yield "webp/lossy_alpha.webp", save(rgba, "WEBP", quality=70)
    yield "webp/lossless_alpha.webp", save(rgba, "WEBP", lossless=True)


def bad_others():
    im = picture(60, 60, 4)
    yield "bad/webp_animated.webp", save(im, "WEBP", save_all=True, append_images=[im.rotate(90)])
    for fmt in ("WEBP", "GIF", "BMP", "TIFF"):
        data = save(im, fmt)
        yield f"bad/cut_{fmt}.{fmt.lower()}", data[: len(data) // 2]
        yield f"bad/head_{fmt}.{fmt.lower()}", data[:10]
    yield "bad/tiff_fax.tif", save(im.convert("1"), "TIFF", compression="group4")
    exif = Image.Exif()
    exif[274] = 6
    yield "bad/tiff_orientation.tif", save(im, "TIFF", exif=exif)
    yield "bad/gif_huge_screen.gif", b"GIF89a" + struct.pack("<HHBBB", 60000, 2900, 0x80, 0, 0) + bytes(6) + b","


# Resizing and processors.

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
SOURCES = {"a": (97, 64, 1), "b": (64, 48, 2), "thin": (1, 500, 3), "flat": (300, 1, 4), "dot": (1, 1, 5), "odd": (7, 3, 6)}
TARGETS = [(1, 1), (336, 336), (48, 64), (97, 31), (13, 200), (64, 64), (2, 3), (224, 112), (1, 600)]


def noise(w, h, seed):
    """Pixels that the test rebuilds: a 32-bit linear congruential generator's top bytes."""
    x, out = seed, bytearray()
    for _ in range(3 * w * h):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(x >> 24)
    return Image.frombytes("RGB", (w, h), bytes(out))


def resizes():
    for name, (w, h, seed) in SOURCES.items():
        im = noise(w, h, seed)
        for tw, th in TARGETS:
            for fname, number in FILTERS.items():
                yield {"source": [w, h, seed], "size": [tw, th], "filter": fname,
                       "sha256": sha(im.resize((tw, th), number).tobytes())}
    # the order of the two passes depends on all four numbers, with ties
    rng = random.Random(7)
    for k in range(120):
        w, h = rng.randint(2, 60), rng.randint(2, 60)
        tw, th = rng.randint(1, 60), rng.randint(1, 60)
        if k % 3 == 0:
            tw = rng.randint(1, w)
            th = max(1, h - 2 * (w - tw) + rng.randint(-1, 1))
        fname = list(FILTERS)[1 + k % 5]
        yield {"source": [w, h, k], "size": [tw, th], "filter": fname,
               "sha256": sha(noise(w, h, k).resize((tw, th), FILTERS[fname]).tobytes())}


def oriented():
    """EXIF orientations in every container, through Pillow's exif_transpose."""
    for fmt in ("JPEG", "PNG", "WEBP", "TIFF"):
        for o in range(1, 9):
            exif = Image.Exif()
            exif[274] = o
            data = save(noise(5, 3, o), fmt, exif=exif, **({"lossless": True} if fmt == "WEBP" else {}))
            yield f"exif/{o}.{fmt.lower()}", data


CONFIGS = {
    "default": {},
    "llava": {"crop_size": {"height": 336, "width": 336}, "size": {"shortest_edge": 336}, "do_center_crop": True,
              "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
              "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
              "image_processor_type": "CLIPImageProcessor", "resample": 3, "rescale_factor": 0.00392156862745098},
    "llava_pad": {"image_processor_type": "LlavaImageProcessor", "do_pad": True, "size": {"shortest_edge": 56}, "crop_size": 56},
    "clip_pad_is_inert": {"image_processor_type": "CLIPImageProcessor", "do_pad": True, "pad_size": None, "size": 48, "crop_size": [40, 44]},
    "old_ints": {"feature_extractor_type": "CLIPFeatureExtractor", "size": 64, "crop_size": 64, "do_center_crop": None},
    "square": {"size": {"height": 50, "width": 70}, "do_center_crop": False, "resample": 2},
    "capped": {"size": {"shortest_edge": 40, "longest_edge": 55}, "do_center_crop": False, "resample": 1},
    "crop_bigger": {"do_resize": False, "crop_size": {"height": 101, "width": 68}},
    "crop_mixed": {"do_resize": False, "crop_size": {"height": 20, "width": 201}},
    "no_normalize": {"do_normalize": False, "size": 40, "crop_size": 40},
    "no_rescale": {"do_rescale": False, "size": 40, "crop_size": 40},
    "neither": {"do_rescale": False, "do_normalize": False, "size": 40, "crop_size": 40},
    "odd_numbers": {"rescale_factor": 0.0123, "image_mean": [0.1, 0.7, -0.3], "image_std": [0.3, 1.7, 0.011], "size": 30, "crop_size": 31},
    "one_mean": {"image_mean": 0.5, "image_std": 0.5, "size": 30, "crop_size": 30, "resample": 0},
}
PROCESSED = [(97, 64, 1), (64, 97, 2), (1, 1, 3), (3, 40, 4), (40, 3, 5), (50, 50, 6), (133, 30, 7)]


def processors():
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    for name, config in CONFIGS.items():
        kind = LlavaImageProcessorPil if "Llava" in config.get("image_processor_type", "") else CLIPImageProcessorPil
        proc = kind.from_dict(dict(config))
        for w, h, seed in PROCESSED:
            out = proc(noise(w, h, seed), return_tensors=None)["pixel_values"][0]
            out = np.ascontiguousarray(np.asarray(out).astype("<f4"))
            yield {"name": name, "config": config, "source": [w, h, seed], "size": [out.shape[2], out.shape[1]],
                   "sha256": sha(out.tobytes())}


def real(shared):
    """One hash over the floats that LLaVA-1.5's processor makes of every ninth real picture, with and without padding."""
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    total = hashlib.sha256()
    proc = LlavaImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    for p in sorted((shared / "data/radsample").glob("*/*.jpg"))[::9]:
        for pad in (False, True):
            out = proc(Image.open(p).convert("RGB"), do_pad=pad, return_tensors=None)
            total.update(np.ascontiguousarray(out["pixel_values"][0].astype("<f4")).tobytes())
    return total.hexdigest()


def main():
    check_versions()
    files, decoded, bad = {}, [], []
    for source in (pillow_jpegs, forged_jpegs, pngs, others):
        files.update(source())
    for name, data in files.items():
        try:
            im = Image.open(io.BytesIO(data)).convert("RGB")
        except Exception as e:
            sys.exit(f"{name}: {e!r}")
        decoded.append({"name": name, "size": list(im.size), "sha256": sha(im.tobytes())})
    for source in (bad_jpegs, bad_pngs, bad_others):
        for name, data in source():
            files[name] = data
            try:
                Image.open(io.BytesIO(data)).convert("RGB")
                verdict = "reads it"
            except Exception as e:
                verdict = f"{type(e).__name__}: {e}".split("<_io")[0][:90]
            bad.append({"name": name, "pillow": verdict})
    turned = []
    for name, data in oriented():
        files[name] = data
        if name.endswith("tiff"):  # Pillow turns these by itself
            turned.append({"name": name, "sha256": ""})
        else:
            turned.append({"name": name, "sha256": sha(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").tobytes())})
    with zipfile.ZipFile(HERE / "files.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, data in sorted(files.items()):
            z.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)
    shared = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "../../../../shared")
    golden = {"made_with": PINNED | {"libjpeg_turbo": features.version("libjpeg_turbo")},
              "decoded": decoded, "bad": bad, "oriented": turned, "resized": list(resizes()), "processed": list(processors()), "radsample_processed": real(shared)}
    lines = []
    for key, value in golden.items():
        if isinstance(value, list):
            lines.append(f'"{key}": [\n' + ",\n".join(json.dumps(v) for v in value) + "\n]")
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    (HERE / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    rows = []
    for p in sorted((shared / "data/radsample").glob("*/*.jpg")):
        im = Image.open(p).convert("RGB")
        rows.append(f"{sha(im.tobytes())} {im.width} {im.height} {p.parent.name}/{p.name}\n")
    if rows:
        (HERE / "radsample.sha256").write_text("".join(rows))
    print(len(decoded), "decoded,", len(bad), "bad,", len(golden["resized"]), "resized,", len(golden["processed"]), "processed,", len(rows), "of radsample")


if __name__ == "__main__":
    main()
