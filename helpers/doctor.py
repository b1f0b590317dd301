"""What is installed, what is missing, what to do about it: `python -m helpers.doctor`."""

import os
import platform
import shutil
import sys
from importlib import metadata, util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON_NEEDED = (3, 11)
PACKAGES = {  # distribution: (import name, what it does here)
    "numpy": ("numpy", "arrays: everything we build stands on it"),
    "matplotlib": ("matplotlib", "figures"),
    "jupyterlab": ("jupyterlab", "the notebooks' home"),
    "ipywidgets": ("ipywidgets", "sliders"),
    "scikit-learn": ("sklearn", "the handwritten digits"),
    "tqdm": ("tqdm", "progress bars"),
    "safetensors": ("safetensors", "files of trained weights"),
    "torch": ("torch", "PyTorch, to compare with"),
    "torchvision": ("torchvision", "images for PyTorch, CIFAR-10"),
    "nbval": ("nbval", "notebooks as tests"),
}
FILES = ("data/characters.npz", "data/characters_cnn.safetensors")
COURSE_PYTHON = ROOT / ".venv" / "bin" / "python"


def examine():
    """Everything looked at → list of (name, fine, what was found, what to do)."""
    return [
        _python(),
        *(_package(name, *about) for name, about in PACKAGES.items()),
        *map(_file, FILES),
        _disk(),
    ]


def report():
    """Print one line for each finding, then the verdict; return True if all is well."""
    findings = examine()
    for name, fine, found, remedy in findings:
        print(f"{'✓' if fine else '✗'} {name:<20} found {found}")
        if not fine:
            print(f"    → {remedy}")
    ill = sum(not fine for _, fine, _, _ in findings)
    print(
        "All is well: go on."
        if not ill
        else f"{ill} to mend: follow the arrows, restart the kernel, look again."
    )
    return not ill


def _python():
    found = platform.python_version()
    return (
        "python",
        sys.version_info >= PYTHON_NEEDED,
        f"{found} on {platform.system()}, {os.cpu_count()} cores",
        "install Python 3.11 or newer, delete the folder .venv, and run `make lab` again",
    )


def _package(name, module, purpose):
    if util.find_spec(module) is None:
        return (
            name,
            False,
            f"nothing ({purpose})",
            "run `make lab` in the course's folder, or: pip install -r requirements.txt",
        )
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = "version unknown"
    return name, True, f"{version} ({purpose})", ""


def _file(path):
    there = (ROOT / path).is_file()
    return path, there, "it" if there else "nothing", f"in the course's folder: git checkout -- {path}"


def _disk():
    free = shutil.disk_usage(ROOT).free / 1e9
    return "disk", free > 1, f"{free:.0f} GB free", "make room: notebooks and downloads need about 1 GB"


def wrong_python():
    """One sentence if `make lab` installed for another Python than the one that runs this, else None."""
    if COURSE_PYTHON.exists() and Path(sys.executable).parent != COURSE_PYTHON.parent:
        return f"This is {sys.executable}; the course is installed for {COURSE_PYTHON}. Run: make doctor"


if __name__ == "__main__":
    sys.exit(wrong_python() or not report())
