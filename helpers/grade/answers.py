"""Which statements of a notebook its answers need; the others (training, drawing, trials) never run.

A statement is kept if it gives a value to a name that an answer uses, directly or through other kept
statements, or changes such a value in place: `table[0] = 1`, `table.append(1)`.
"""

import ast
import dis
import re
from dataclasses import dataclass, field
from types import CodeType

IPYTHON = re.compile(r"^([ \t]*)(?:[%!].*|\?.*|[\w.]+\?{1,2}\s*)$", re.MULTILINE)  # %time, !ls, np.mean?
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Statement:
    """One top-level statement: `code` to run, the names it gives a value to, changes and uses."""

    code: CodeType
    binds: frozenset
    changes: frozenset
    uses: frozenset
    imports: bool


@dataclass
class Cell:
    """What is run of one cell, the exercises that it answers, and the error that keeps it from running."""

    label: str
    statements: list
    answers: list = field(default_factory=list)
    error: str = ""


def cells(submitted, chapter, exercises):
    """The cells to run, each with its needed statements: first what the notebook lacks of the chapter's text.

    submitted, chapter: code cells as (id, source); exercises: names.
    """
    text = [source for identity, source in chapter if not identity.startswith("ex-")]
    own = {source for _, source in submitted}
    every = [_cell("the chapter's text", source) for source in text if source not in own]
    for position, (identity, source) in enumerate(submitted, 1):
        cell = _cell(f"code cell {position}", source)
        cell.answers = [] if source in text else _answers(cell, identity, source, exercises)
        every.append(cell)
    wanted = _wanted([s for cell in every for s in cell.statements], set(exercises))
    for cell in every:
        cell.statements = [s for s in cell.statements if s in wanted]
    return [cell for cell in every if cell.statements or cell.answers]


def _cell(label, source):
    try:
        return Cell(label, [_statement(node, label) for node in _parse(source).body])
    except UNREADABLE as error:
        return Cell(label, [], error=f"{type(error).__name__}: {error}")


def _parse(source):
    """The cell's syntax tree; IPython's own lines become `pass` where Python cannot read them."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.parse(IPYTHON.sub(r"\1pass", source))


def _answers(cell, identity, source, exercises):
    """The exercises that a cell answers: it binds their name, or would if Python could read it."""
    if not cell.error:
        bound = {name for statement in cell.statements for name in statement.binds}
        return [name for name in exercises if name in bound]
    spelt = [name for name in exercises if re.search(rf"(?m)^\s*(?:def {name}\b|{name}\s*=)", source)]
    return spelt or [name for name in exercises if identity == f"ex-{name.replace('_', '-')}-stub"]


def _statement(node, label):
    code = compile(ast.Module([node], []), f"<{label}>", "exec", dont_inherit=True)
    binds, uses = {op.argval for op in dis.get_instructions(code) if op.opname == "STORE_NAME"}, set()
    for inner in _codes(code):
        for op in dis.get_instructions(inner):
            if op.opname == "STORE_GLOBAL":
                binds.add(op.argval)
            elif re.fullmatch(r"LOAD_\w*(NAME|GLOBALS?)", op.opname):
                uses.add(op.argval)
    imports = isinstance(node, (ast.Import, ast.ImportFrom))
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        binds.add("*")
    return Statement(code, frozenset(binds), frozenset(_changed(node)), frozenset(uses), imports)


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _changed(node):
    """The names of what a statement changes in place."""
    kinds = (ast.Subscript, ast.Attribute)
    targets = [n for n in ast.walk(node) if isinstance(n, kinds) and isinstance(n.ctx, ast.Store)]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets.append(node.value.func)
    for target in targets:
        while isinstance(target, kinds):
            target = target.value
            if isinstance(target, ast.Name):
                yield target.id


def _wanted(statements, names):
    """The statements that lead to `names`; a change to a module (`np.random.seed(0)`) leads nowhere."""
    imported = {name for s in statements if s.imports for name in s.binds}
    names, kept, before = names | {"*"}, set(), -1
    while len(kept) > before:
        before = len(kept)
        for s in statements:
            if s not in kept and (s.binds & names or (s.changes - imported) & names):
                kept.add(s)
                names = names | s.uses
    return kept
