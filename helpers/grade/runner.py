"""The limits around a child: each step has its time; a deadly step is left out by the next child."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from helpers.grade import child

# A fork of a clean server is quick; elsewhere (on macOS it is not safe) a new Python starts each time.
METHOD = "forkserver" if sys.platform.startswith("linux") else "spawn"
START = 120  # seconds a child may take before its first step
DEATHS = 30  # children that one notebook may cost
BEST_FIRST = ("passed", "failed", "timeout", "memory", "error", "not attempted", "missing")


class Stopped(Exception):
    """The teacher has interrupted the run."""


@dataclass
class Result:
    """One exercise: its best status, the hint that came with it, seconds of all its steps."""

    status: str = ""
    hint: str = ""
    seconds: float = 0.0

    def take(self, status, hint, seconds=0.0):
        """Add the seconds, and keep the better of two statuses."""
        self.seconds += seconds
        if not self.status or BEST_FIRST.index(status) < BEST_FIRST.index(self.status):
            self.status, self.hint = status, hint


class Runner:
    """Runs submissions, several at once if called from several threads; `stop` ends all of them."""

    def __init__(self, seconds=20, memory=2000, warm=(), method=METHOD):
        """seconds: for each cell and each check; memory: MB; warm: modules to load once for all children."""
        self.seconds, self.memory = seconds, memory
        self.context = multiprocessing.get_context(method)
        self.stopping, self.alive, self.lock = threading.Event(), set(), threading.Lock()
        if method == "forkserver":
            self.context.set_forkserver_preload(["helpers.grade.child", *warm])

    def grade(self, submission, chapter):
        """The submission's Result for each exercise of `chapter`, whatever is in the notebook."""
        results, skip = {name: Result() for name in chapter.exercises}, {}
        for _ in range(DEATHS):
            if self._one_child(submission, chapter, skip, results):
                return results
            if self.stopping.is_set():
                raise Stopped
            if "start" in skip:
                break
        for result in results.values():
            result.take("error", "given up: its processes crashed or were stopped again and again")
        return results

    def stop(self):
        """End all children; their `grade` raises Stopped."""
        self.stopping.set()
        with self.lock:
            for process in self.alive:
                process.kill()

    def _one_child(self, submission, chapter, skip, results):
        """Run a child to its end, or to the step that is too much for it; whether it reached its end."""
        with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
            here, there = self.context.Pipe(duplex=False)
            about = (chapter.number, tuple(chapter.exercises), chapter.cells, submission.cells)
            task = child.Task(*about, folder, self.seconds, self.memory, dict(skip))
            process = self.context.Process(target=child.run, args=(there, task), daemon=True)
            with here, self._living(process):
                there.close()
                return self._follow(process, here, skip, results)

    def _follow(self, process, connection, skip, results):
        """Take a child's messages into `results`, and into `skip` what the next child need not do again."""
        step, names, limit = "start", list(results), START
        while step != "end":
            began = time.monotonic()
            message = _hear(connection, limit)
            died = message is None and self._cause_of_death(process)
            found = {name: died for name in names} if died else message.get("results", {})
            for name, (status, hint) in found.items():
                results[name].take(status, hint, time.monotonic() - began)
                if died or status in ("passed", "memory"):
                    skip[child.last_check(name)] = ""
            if died or (found and step.startswith("check")):
                skip[step] = died[1] if died else ""
            if died or any(status == "memory" for status, _ in found.values()):
                return False  # what it still holds must not be the next exercise's loss
            step, names, limit = message["step"], message["names"], self.seconds
        return True

    def _cause_of_death(self, process):
        """Status and hint for the step at which nothing more was heard."""
        if process.is_alive():
            process.join(1)
        if process.is_alive():
            return "timeout", f"still running after {self.seconds:g} s: a loop that never ends?"
        code = process.exitcode
        if code == -getattr(signal, "SIGKILL", 9):
            return "memory", "ended by the system, which most often means too much memory"
        if code < 0:
            return "error", f"crashed ({signal.Signals(-code).name})"
        return "error", f"the notebook ended its own process (exit code {code})"

    @contextlib.contextmanager
    def _living(self, process):
        """Start the process; afterwards end it, and whatever it has started."""
        with self.lock:
            if self.stopping.is_set():
                raise Stopped
            process.start()
            self.alive.add(process)
        try:
            yield
        finally:
            with self.lock:
                self.alive.discard(process)
            with contextlib.suppress(OSError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            process.close()


def _hear(connection, seconds):
    """The child's next message, or None: it is too slow, or dead."""
    try:
        return json.loads(connection.recv_bytes(2**20)) if connection.poll(seconds) else None
    except (EOFError, OSError):
        return None
