"""Draw data/characters.npz again, byte for byte, from the free fonts listed in data/fonts.csv.

    pip install numpy pillow==13.0.0 fonttools==4.68.0
    python data/build_characters.py

The fonts come as @fontsource packages through `npm pack` (so npm must be installed); each package is checked
against the SHA-512 in fonts.csv. Downloads stay in data/cache/, which git ignores. Pass --sheets DIR to get
contact sheets.
"""
import argparse
import csv
import hashlib
import io
import math
import multiprocessing
import random
import re
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent
CACHE = HERE / "cache"

SIZE = 32                # pixels of the finished image
EM = 24                  # font size in those pixels, the same for every family
BASELINE = 23            # row on which the letters stand
FINE = 6                 # glyphs are drawn this many times larger, then averaged
FIELD = 56               # side of the large drawing, in finished pixels: room for what would stick out
STAND = 36               # row of the baseline in that large drawing
HEAVY = 0.45             # share of ink in its bounding box from which a glyph is not thickened
CLIPPED = 0.01           # share of a glyph's ink that may fall outside the image

CLASSES = {
    "latin": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "greek": "ΓΔΛΞΠΣΦΨΩαβγδεζηήθιλμξπσςτφψωώ",
    "cyrillic": "БГДЖИЙЛПФЦЧШЩЪЫЭЮЯбджийлпфцчшщъыэюя",
    "han": "的一是不了在人有我他中上大和地到以要就出可也生能而子得下"
           "自之年作用道行所然家事成方多去法如都同面起看定天分好小部其主理心",
}
VARIANTS = {"digits": 6, "latin": 2, "greek": 3, "cyrillic": 2, "han": 3}     # images per family and class


def read_fonts(path=HERE / "fonts.csv"):
    """The table of fonts: a list of dicts in the order of the file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fetch(row):
    """The package's archive in the cache, downloaded if need be, with its checksum verified."""
    archive = CACHE / f"fontsource-{row['package'].split('/')[1]}-{row['version']}.tgz"
    if not archive.exists():
        CACHE.mkdir(exist_ok=True)
        name = f"{row['package']}@{row['version']}"
        print("fetching", name, flush=True)
        command = ["npm", "pack", name, "--silent", "--pack-destination", str(CACHE)]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise OSError(f"cannot fetch {name}: is npm installed, is there a network? ({error})") from error
    found = hashlib.sha512(archive.read_bytes()).hexdigest()
    if found != row["sha512"]:
        raise ValueError(f"{archive} is not the file listed in fonts.csv: expected SHA-512 {row['sha512']}, "
                         f"found {found}. Delete it and run again.")
    return archive


def font_files(archive, weight, characters):
    """Character → bytes of the font file that really has its glyph; characters no file has are absent.

    A web font comes in slices (latin, greek, 120 slices of Han), so each slice is asked for its character
    map.
    """
    wanted, files = set(characters), {}
    with tarfile.open(archive) as tar:
        names = sorted(n for n in tar.getnames() if re.search(rf"-{weight}-normal\.woff$", n))
        for name in names:
            data = tar.extractfile(name).read()
            with TTFont(io.BytesIO(data), lazy=True) as font:
                for code in font.getBestCmap():
                    if chr(code) in wanted:
                        files.setdefault(chr(code), data)
    return files


@lru_cache(maxsize=64)
def draw_large(data, character):
    """The glyph in white on black, FINE times larger than needed, centred, on a fixed baseline → an image."""
    font = ImageFont.truetype(io.BytesIO(data), EM * FINE, layout_engine=ImageFont.Layout.BASIC)
    image = Image.new("L", (FIELD * FINE, FIELD * FINE))
    left, _, right, _ = font.getbbox(character, anchor="ls")
    place = (FIELD * FINE // 2 - (left + right) // 2, STAND * FINE)
    ImageDraw.Draw(image).text(place, character, fill=255, font=font, anchor="ls")
    return image


def draw_variation(rng):
    """Small seeded changes: stroke (in fine pixels), slant, angle (radians), size, shift (in pixels).

    Only rng.random() is used: the one method of random.Random that gives the same numbers in every Python
    version.
    """
    def between(low, high):
        return low + (high - low) * rng.random()

    return {
        "stroke": (0, 0, 0, 1, 1, 2)[int(rng.random() * 6)],
        "slant": between(0.0, 0.25) if rng.random() < 0.3 else between(-0.06, 0.06),
        "angle": math.radians(between(-6, 6)),
        "size": between(0.92, 1.08),
        "right": between(-2, 2),
        "down": between(-1.5, 1.5),
    }


def thicken(image, stroke):
    """Make every line `stroke` fine pixels thicker on each side, unless the glyph is too heavy already.

    Nothing is thinned: that would wipe out the hairlines of serif families.
    """
    box = image.getbbox()
    heavy = box and np.asarray(image.crop(box)).mean() > HEAVY * 255
    return image if heavy or not stroke else image.filter(ImageFilter.MaxFilter(2 * stroke + 1))


def shift_to_fit(low, high, shift):
    """The shift nearest to the wanted one that keeps [low, high] inside the image, if there is one."""
    if high - low > SIZE - 1:
        return (SIZE - high - low) / 2
    return min(max(shift, 0.5 - low), SIZE - 0.5 - high)


def matrix_of(change):
    """The 2×2 matrix that turns, slants and scales (x, y), y pointing down."""
    cos, sin = math.cos(change["angle"]), math.sin(change["angle"])
    slanted = np.array([[1.0, -change["slant"]], [0.0, 1.0]])
    return change["size"] * np.array([[cos, -sin], [sin, cos]]) @ slanted


def place_small(large, change):
    """Large drawing → (finished 32×32 image with 16 grey levels, share of the ink that was cut off)."""
    ink = np.asarray(thicken(large, change["stroke"]))
    rows, columns = np.nonzero(ink > 127)
    matrix = matrix_of(change)
    points = np.stack([columns / FINE - FIELD / 2, rows / FINE - STAND])
    x, y = matrix @ points
    right = shift_to_fit(x.min() + SIZE / 2, x.max() + SIZE / 2, change["right"])
    down = shift_to_fit(y.min() + BASELINE, y.max() + BASELINE, change["down"])
    x, y = x + SIZE / 2 + right, y + BASELINE + down
    clipped = np.mean((x < 0) | (x > SIZE) | (y < 0) | (y > SIZE))

    steps = (np.arange(SIZE * FINE) + 0.5) / FINE
    to_x, to_y = np.meshgrid(steps - SIZE / 2 - right, steps - BASELINE - down)
    back = np.linalg.inv(matrix)
    from_x = np.floor((back[0, 0] * to_x + back[0, 1] * to_y + FIELD / 2) * FINE).astype(int)
    from_y = np.floor((back[1, 0] * to_x + back[1, 1] * to_y + STAND) * FINE).astype(int)
    edge = FIELD * FINE - 1
    fine = ink[from_y.clip(0, edge), from_x.clip(0, edge)]
    blocks = fine.reshape(SIZE, FINE, SIZE, FINE).sum(axis=(1, 3), dtype=np.int64)
    levels = (blocks * 15 + 255 * FINE * FINE // 2) // (255 * FINE * FINE)
    return (levels * 17).astype(np.uint8), clipped


def draw_one(files, family, character, variant):
    """One image and its clipped share. Its name is its seed, so that no image depends on the others."""
    rng = random.Random(f"{family}|{character}|{variant}")
    change = draw_variation(rng)
    bold = rng.random() < 1 / 3 and character in files[700]
    data = files[700 if bold else 400][character]
    return place_small(draw_large(data, character), change)


def draw_alphabet(archive, family, alphabet):
    """One family and alphabet → list of (alphabet, label, image); refuses missing or clipped glyphs."""
    characters, drawn, clipped = CLASSES[alphabet], [], set()
    files = {weight: font_files(archive, weight, characters) for weight in (400, 700)}
    missing = [c for c in characters if c not in files[400]]
    if missing:
        raise ValueError(f"{family} has no glyph for {''.join(missing)}: take {alphabet} from its alphabets")
    for label, character in enumerate(characters):
        for variant in range(VARIANTS["digits" if character.isdigit() else alphabet]):
            image, cut = draw_one(files, family, character, variant)
            drawn.append((alphabet, label, image))
            if cut > CLIPPED:
                clipped.add(character)
    if clipped:
        raise ValueError(f"{family}: {''.join(sorted(clipped))} stick out of the image: take {alphabet} "
                         "from its alphabets")
    return drawn


def draw_family(row):
    """Every image of one row of fonts.csv: list of (alphabet, label, image)."""
    archive = fetch(row)
    return [image for alphabet in row["alphabets"].split()
            for image in draw_alphabet(archive, row["family"], alphabet)]


def build(rows):
    """Draw all families → the arrays of characters.npz, sorted by alphabet, family, class, variant."""
    with multiprocessing.Pool() as pool:
        families = pool.map(draw_family, rows, chunksize=1)
    order = [(number, label, family, image)
             for number, alphabet in enumerate(CLASSES)
             for family, drawn in enumerate(families)
             for name, label, image in drawn if name == alphabet]
    numbers, labels, index, images = zip(*order, strict=True)
    return {
        "images": np.stack(images),                       # (N, 32, 32) uint8, ink 255
        "alphabet": np.array(numbers, np.uint8),          # (N,) row of alphabets and classes
        "label": np.array(labels, np.uint8),              # (N,) position in that alphabet's classes
        "family": np.array(index, np.uint8),              # (N,) row of families, groups and splits
        "alphabets": np.array(list(CLASSES)),
        "classes": np.array(list(CLASSES.values())),
        "families": np.array([row["family"] for row in rows]),
        "groups": np.array([row["group"] for row in rows]),
        "splits": np.array([row["split"] for row in rows]),
    }


def content_checksum(arrays):
    """SHA-256 over the arrays' bytes: the same even where another zlib packs the file differently."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def contact_sheets(arrays, folder):
    """One PNG per family and one per class, to be looked at before the file is accepted."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = arrays["alphabets"][arrays["alphabet"]]
    for name, keys in (("family", arrays["families"][arrays["family"]]),
                       ("class", np.char.add(np.char.add(alphabet, "-"), arrays["label"].astype(str)))):
        for key in np.unique(keys):
            tiles = arrays["images"][keys == key]
            blank = np.zeros((-len(tiles) % 40, SIZE, SIZE), np.uint8)
            grid = np.concatenate([tiles, blank]).reshape(-1, 40, SIZE, SIZE).swapaxes(1, 2)
            Image.fromarray(grid.reshape(-1, 40 * SIZE)).save(folder / f"{name}-{key}.png")


def main():
    """Build the file and say what it holds."""
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=HERE / "characters.npz", help="the file to write")
    options.add_argument("--sheets", type=Path, help="folder for the contact sheets")
    options = options.parse_args()
    arrays = build(read_fonts())
    new = options.out.with_suffix(".new.npz")
    np.savez_compressed(new, **arrays)
    new.replace(options.out)
    print(f"{options.out}: {len(arrays['images'])} images, {options.out.stat().st_size} bytes")
    print("SHA-256 of the file:    ", hashlib.sha256(options.out.read_bytes()).hexdigest())
    print("SHA-256 of the contents:", content_checksum(arrays))
    if options.sheets:
        contact_sheets(arrays, options.sheets)


if __name__ == "__main__":
    main()
