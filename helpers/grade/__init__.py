"""Grade many students' notebooks: `python -m helpers.grade SUBMISSIONS/ --out grades.csv`.

One row a student and exercise. The checks and `helpers` are the course's own; a notebook gives nothing but
its answers, and an endless loop, a crash or a broken file costs its owner points, never the run.

This is no sandbox: the notebooks' code runs with your rights, can read your files and use your network.
Limits and simple guards hold off accidents and simple tricks, not an attack. Grade strangers' notebooks in a
virtual machine or a container.

Rooms: `submissions` (which file is whose), `answers` (which statements an answer needs), `child` (the
process that runs them), `runner` (the limits around it), `table` (rows, resume, summary).
"""
