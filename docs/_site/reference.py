"""The reference: forgedb's public names as callers see them, made from signatures and docstrings.

All of them must be on a page, each with a docstring of its own: what isn't is a warning, and a
warning fails the build.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from datetime import timedelta
from enum import Enum
from types import ModuleType
from typing import Any, ForwardRef, get_origin

import msgspec
import public
from docutils.nodes import Element
from sphinx.addnodes import desc_annotation, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.logging import getLogger

from forgedb.handle import Handle
from forgedb.operations.binding import Dao, H_co, Operation

_log = getLogger(__name__)

_RAISES = re.compile(r"\b[Rr]aises?\b[^\n]*(?:\n(?!\n)[^\n]+)*")
"""From the word on to the end of its paragraph."""

_CAPITAL = re.compile(r"(?<![\w.'\"])[A-Z]\w+")

_NAME = re.compile(r"(?<![\w`.])[A-Z]\w+(?![\w`])")

PUBLIC = public.names()

PATHS = {path.rpartition(".")[2]: path for path in reversed(PUBLIC)}
"""By the last part of a name, what it is in full; a name of forgedb's own goes first."""

SPOKEN = {
    "Handle[SyncRunner] | SyncRunner": "Database",
    "Handle[SyncRunner]": "Database",
    "Handle[AsyncRunner] | AsyncRunner": "AsyncDatabase",
    "Hold[H_co]": "ContextManager[HeldLease]",
    "[H_co]": "",
}
"""What callers say for the words of an annotation that are forgedb's own."""

ERRORS = {
    name
    for name, path in PATHS.items()
    if inspect.isclass(PUBLIC[path]) and issubclass(PUBLIC[path], Exception)
}


class Verbatim:
    """A text that stands in a signature as it is, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def thing_at(path: str) -> Any:
    """What a documented name stands for: a member as its class has it, before it is bound."""
    if path in PUBLIC:
        return PUBLIC[path]
    owner, _, name = path.rpartition(".")
    return inspect.getattr_static(PUBLIC[owner], name, None) if owner in PUBLIC else None


def on_signature(
    _app: Sphinx, kind: str, path: str, thing: Any, _options: Any, given: str | None, _result: Any
) -> tuple[str, str] | None:
    """What is called with which arguments, and what comes back."""
    static = thing_at(path)
    if given is None or isinstance(static, property):
        return None
    if inspect.isclass(thing):
        if issubclass(thing, Dao | Handle | Enum):
            return "", ""
        signature = made_with(thing)
    elif isinstance(static, Operation):
        signature = static.__signature__
    else:
        signature = inspect.signature(thing)
        if kind == "method" and not isinstance(static, classmethod | staticmethod):
            signature = signature.replace(parameters=[*signature.parameters.values()][1:])
        if thing.__code__.co_filename == contextlib.__file__:
            given_back = signature.return_annotation.replace("Generator[", "ContextManager[")
            signature = signature.replace(return_annotation=given_back)
    return told(signature, sys.modules[thing.__module__])


def made_with(thing: type) -> inspect.Signature:
    """What a class is made with; of a struct its fields, as they are written in the source."""
    signature = inspect.signature(thing).replace(return_annotation=inspect.Signature.empty)
    if not (issubclass(thing, msgspec.Struct) or hasattr(thing, "_fields")):
        return signature
    written: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        written |= inspect.get_annotations(base)
    factories = {
        field.name: field.default_factory
        for field in (msgspec.structs.fields(thing) if issubclass(thing, msgspec.Struct) else ())
        if field.default_factory is not msgspec.NODEFAULT
    }
    fields = [
        each.replace(
            annotation=written[each.name],
            default=factories[each.name]() if each.name in factories else each.default,
        )
        for each in signature.parameters.values()
    ]
    return signature.replace(parameters=fields)


def told(signature: inspect.Signature, module: ModuleType) -> tuple[str, str]:
    """A signature's arguments and result, as text, in the words of the source."""
    parameters = [
        each.replace(annotation=linked(each.annotation, module), default=shown(each.default))
        for each in signature.parameters.values()
    ]
    text = str(inspect.Signature(parameters))
    if signature.return_annotation is inspect.Signature.empty:
        return text, ""
    return text, inspect.formatannotation(linked(signature.return_annotation, module))


def linked(annotation: Any, module: ModuleType) -> Any:
    """An annotation that is a text, in callers' words, with the paths of public names in it."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    for words, known_as in SPOKEN.items():
        annotation = annotation.replace(words, known_as)
    return Verbatim(_CAPITAL.sub(lambda found: path_or_meaning(found[0], module), annotation))


def path_or_meaning(name: str, module: ModuleType) -> str:
    """What a name of a module leads to: its public path; an alias is told by what it stands for."""
    # What type checkers alone import is somewhere else.
    thing = getattr(module, name, None) or _anywhere(name)
    path = next((path for path, public_thing in PUBLIC.items() if public_thing is thing), None)
    if path is not None:
        return f"~{path}"
    if get_origin(thing) is None:
        return name
    return re.sub(r"\b(?:\w+\.)+", "", inspect.formatannotation(thing))


def _anywhere(name: str) -> Any:
    if name in PATHS:
        return PUBLIC[PATHS[name]]
    modules = [module for path, module in sys.modules.items() if path.startswith("forgedb.")]
    return next((vars(module)[name] for module in modules if name in vars(module)), None)


def shown(default: Any) -> Any:
    """A default as one would write it."""
    if isinstance(default, Enum):
        return Verbatim(f"{type(default).__name__}.{default.name}")
    if isinstance(default, timedelta):
        hours, rest = divmod(default.total_seconds(), 3600)
        in_seconds = f"timedelta(seconds={default.total_seconds():g})"
        return Verbatim(in_seconds if rest else f"timedelta(hours={hours:g})")
    if inspect.isfunction(default):
        return Verbatim("...")
    return default


def on_docstring(
    _app: Sphinx, _kind: str, _path: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Make a link of each error that is said to be raised."""
    text = "\n".join(lines)
    lines[:] = _RAISES.sub(lambda found: _NAME.sub(_linked, found[0]), text).split("\n")


def _linked(found: re.Match[str]) -> str:
    name = found[0]
    return f":py:exc:`~{PATHS[name]}`" if name in ERRORS else name


def on_missing_reference(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: Element
) -> Element | None:
    """Lead from a name as it stands in a signature to where it is documented."""
    path = PATHS.get(node.get("reftarget", "").rpartition(".")[2])
    if node.get("refdomain") != "py" or path is None:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, env.docname, app.builder, "obj", path, node, text)


def on_described(_app: Sphinx, _domain: str, kind: str, content: Element) -> None:
    """Leave out of a property's type which surface it is of: the page says what is awaited."""
    assert content.parent is not None
    for annotation in content.parent.findall(desc_annotation) if kind == "property" else ():
        if annotation.astext().endswith(f"[{H_co.__name__}]"):
            del annotation[-3:]


def on_all_read(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of what is public and on no page, or without a docstring."""
    on_a_page = env.domains.python_domain.objects
    for path, thing in PUBLIC.items():
        inner = (
            [f"{path}.{name}" for name, _ in public.members(thing)]
            if inspect.isclass(thing)
            else []
        )
        for each in (path, *inner):
            if each not in on_a_page:
                _log.warning("%s is public, and on no page of docs/reference", each)
    for path in public.undocumented():
        _log.warning("%s is public, and has no docstring", path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    # The overloads of a function are for type checkers; a reader has its own signature, and words.
    for thing in filter(inspect.isroutine, PUBLIC.values()):
        analyzer = ModuleAnalyzer.for_module(thing.__module__)
        analyzer.analyze()
        analyzer.overloads.clear()
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("object-description-transform", on_described)
    app.connect("missing-reference", on_missing_reference)
    app.connect("env-check-consistency", on_all_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
