"""The doctor finds what is missing and says what to do."""

import subprocess
import sys

from helpers import doctor


def test_all_is_well_here(capsys):
    assert doctor.report()
    out = capsys.readouterr().out
    assert "All is well" in out
    assert "✗" not in out


def test_a_missing_package_is_named_with_its_remedy(monkeypatch, capsys):
    monkeypatch.setitem(doctor.PACKAGES, "no-such-package", ("no_such_module", "nothing"))
    assert not doctor.report()
    out = capsys.readouterr().out
    assert "✗ no-such-package" in out
    assert "→ run `make lab`" in out
    assert "1 to mend" in out


def test_a_missing_data_file_is_named_with_its_remedy(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "FILES", ("data/gone.npz",))
    assert not doctor.report()
    assert "git checkout -- data/gone.npz" in capsys.readouterr().out


def test_an_old_python_is_told_to_be_replaced(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "PYTHON_NEEDED", (99, 0))
    assert not doctor.report()
    assert "newer" in capsys.readouterr().out


def test_it_runs_as_a_command_and_needs_nothing_installed():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "helpers.doctor"], capture_output=True, text=True, cwd=doctor.ROOT
    )
    assert "✗ numpy" in done.stdout
    assert done.returncode == 1


def test_another_python_than_the_courses_is_named_in_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "COURSE_PYTHON", tmp_path / ".venv" / "bin" / "python")
    assert doctor.wrong_python() is None, "without a .venv, with conda say, any Python may be the course's"
    doctor.COURSE_PYTHON.parent.mkdir(parents=True)
    doctor.COURSE_PYTHON.touch()
    assert sys.executable in doctor.wrong_python() and "make doctor" in doctor.wrong_python()
    monkeypatch.setattr(sys, "executable", str(doctor.COURSE_PYTHON))
    assert doctor.wrong_python() is None
