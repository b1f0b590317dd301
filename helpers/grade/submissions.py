"""Which file is whose, and for which chapter."""

import hashlib
import importlib
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from unicodedata import normalize

import nbformat

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 100 * 2**20  # bytes; a notebook of the course has less than half a million
LMS = re.compile(r"^(.+?)(?:_LATE)?_\d{3,}_(?:\d{3,}(?:_|$)|assignsubmission_).*$")  # Canvas and Moodle
COPY = r"(?:[ _-]*(?:\(\d+\)|copy\d*)|-\d+)?"
TITLE = re.compile(r"^#\s*(\d\d)\s*·", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """A chapter of the course: `exercises` maps name → number ("3.1"), `cells` are its (id, source)."""

    number: str
    stem: str
    exercises: dict
    cells: tuple


@dataclass(frozen=True)
class Submission:
    """A file handed in; `chapter` is "" where it has no place, `problem` says why it cannot be graded."""

    path: Path
    file: str
    student: str
    chapter: str
    sha256: str
    cells: tuple
    problem: str = ""


def course():
    """The course's chapters that have exercises: number → Chapter."""
    found = {}
    for path in sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb")):
        cells, _ = read(path.read_bytes())
        stubs = [_name(identity) for identity, _ in cells if _name(identity)]
        checks = f"helpers.checks.ch{path.name[:2]}"
        if stubs and util.find_spec(checks):
            module = importlib.import_module(checks)
            numbers = {name: getattr(module, name).number for name in stubs}
            found[path.name[:2]] = Chapter(path.name[:2], path.stem, numbers, cells)
    return found


def collect(folder, chapters):
    """All notebooks under `folder` → (list of Submission, names of the files that are no notebooks)."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path, folder)]
    paths = [path for path in files if path.suffix.lower() == ".ipynb"]
    parts = [_parts(path, folder) for path in paths]
    tokens = _tokens(parts, chapters)
    found = [_read_file(path, "/".join(p), chapters) for path, p in zip(paths, parts, strict=True)]
    pretty = _students(tokens, [submission.chapter for submission in found])
    others = ["/".join(_parts(path, folder)) for path in files if path not in set(paths)]
    return [replace(s, student=name) for s, name in zip(found, pretty, strict=True)], others


def newest(submissions):
    """One submission a student and chapter → (the newest of each, [(older, the newer one's file)])."""
    best, older = {}, []
    for s in sorted(submissions, key=lambda s: (s.path.stat().st_mtime, s.file), reverse=True):
        key = (s.student, s.chapter or s.file)
        if best.setdefault(key, s) is not s:
            older.append((s, best[key].file))
    return sorted(best.values(), key=lambda s: (s.student, s.chapter, s.file)), older


def read(content):
    """The bytes of a notebook of any format → (code cells as (id, source), text of the other cells)."""
    notebook = nbformat.convert(nbformat.reader.reads(content.decode("utf-8-sig")), 4)  # without repairs
    cells = [(str(cell.get("id", "")), str(cell.source), cell.cell_type) for cell in notebook.cells]
    code = tuple((identity, source) for identity, source, kind in cells if kind == "code")
    return code, "\n".join(source for _, source, kind in cells if kind != "code")


def _read_file(path, file, chapters):
    content, cells, text, problem = b"", (), "", ""
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        cells, text = read(content)
    except OSError as error:
        problem = f"cannot be opened: {error.strerror}"
    except Exception as error:  # whatever is in the file
        problem = f"not a notebook: {type(error).__name__}" if content else "empty, or larger than 100 MB"
    chapter = _chapter(cells, text, file, chapters)
    if not chapter:
        problem = f"its cells, title and name fit none of the chapters {', '.join(chapters)}"
    return Submission(path, file, "", chapter, hashlib.sha256(content).hexdigest(), cells, problem)


def _chapter(cells, text, file, chapters):
    """By the ids of the exercises' cells, else the title, the file's name, the functions defined."""
    ids = {_name(identity) for identity, _ in cells}
    code = "\n".join(source for _, source in cells)
    defined = set(re.findall(r"^def (\w+)", code, re.MULTILINE))
    title = TITLE.search(text)
    said = [n for n, chapter in chapters.items() if _part(chapter).search(file)]
    guesses = [_most(ids, chapters), title and title[1], *said[-1:], _most(defined, chapters)]
    return next((guess for guess in guesses if guess in chapters), "")


def _most(names, chapters):
    counts = Counter({n: len(names & set(chapter.exercises)) for n, chapter in chapters.items()})
    number, count = counts.most_common(1)[0]
    return number if count else None


def _part(chapter):
    """What names the chapter in a file or folder: 03_convolution_equation, chapter 3, ch03."""
    stem = re.sub("[ _-]", "[ _-]?", chapter.stem)
    return re.compile(rf"(?i)(?:{stem}|(?<![a-z])ch(?:apter)?[ _-]?0?{int(chapter.number)}(?!\d)){COPY}")


def _tokens(paths, chapters):
    """What tells one student from another in each path, without a folder around all students."""
    rest = [path[1:] for path in paths]
    if len({path[0] for path in paths}) == 1 and all(rest):
        if len({_named(path, chapters) for path in rest} - {""}) > 1:
            return _tokens(rest, chapters)
    return [_named(path, chapters) or _numbered(path) for path in paths]


def _named(parts, chapters):
    """The first folder that is no chapter, else the file's name without the chapter, else nothing."""
    stem = parts[-1].rsplit(".", 1)[0]
    folders = [part for part in parts[:-1] if LMS.match(part) or _without_chapter(part, chapters)]
    return folders[0] if folders else _without_chapter(stem, chapters)


def _numbered(parts):
    """A folder that is a mere number, else the file's name."""
    return next((part for part in parts[:-1] if part.isdigit()), parts[-1].rsplit(".", 1)[0])


def _without_chapter(name, chapters):
    for chapter in chapters.values():
        name = _part(chapter).sub("", name)
    return "" if re.fullmatch(r"[\W_]*\d{0,2}[\W_]*", name) else name.strip(" _-.")


def _students(tokens, numbers):
    """Tokens without what an LMS adds, but whole where two of one chapter would become one student."""
    short = [LMS.sub(r"\1", token).strip(" _-=+@") or token for token in tokens]
    owners = defaultdict(set)
    for token, name, number in zip(tokens, short, numbers, strict=True):
        owners[name, number].add(token)
    double = {name for (name, _), found in owners.items() if len(found) > 1}
    return [token if name in double else name for token, name in zip(tokens, short, strict=True)]


def _parts(path, folder):
    """Folders and name under `folder`, as text that can be written in whatever way the archive spelt them."""
    names = path.relative_to(folder).parts
    return tuple(normalize("NFC", os.fsencode(name).decode("utf-8", "replace")) for name in names)


def _hidden(path, folder):
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part in ("__MACOSX", "__pycache__") for part in parts)


def _name(identity):
    """ex-max-pool2d-stub → max_pool2d; anything else → None."""
    found = re.fullmatch(r"ex-(.+)-stub", identity)
    return found and found[1].replace("-", "_")
