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
from typing import Any, ForwardRef

import msgspec
import public
from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.logging import getLogger

from forgedb.handle import Handle
from forgedb.operations.binding import Dao, Operation

_log = getLogger(__name__)

_RAISES = re.compile(r"\bRaises\b[^\n]*(?:\n(?!\n)[^\n]+)*")
"""From the word on to the end of its paragraph."""

_NAME = re.compile(r"(?<![\w`.])[A-Z]\w+(?![\w`])")

PUBLIC = public.names()

PATHS = {path.rpartition(".")[2]: path for path in reversed(PUBLIC)}
"""By the last part of a name, what it is in full; a name of forgedb's own goes first."""

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
    """An annotation that is a text, with the paths of public names in it; shown without them."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation

    def path_of(found: re.Match[str]) -> str:
        named = getattr(module, found[0], None)
        path = next((path for path, thing in PUBLIC.items() if thing is named), None)
        if path is None and named is None:
            # Imported by type checkers alone.
            path = PATHS.get(found[0])
        return f"~{path}" if path else found[0]

    return Verbatim(re.sub(r"(?<![\w.'\"])[A-Z]\w+", path_of, annotation))


def shown(default: Any) -> Any:
    """A default as one would write it."""
    if isinstance(default, Enum):
        return Verbatim(f"{type(default).__name__}.{default.name}")
    if isinstance(default, timedelta):
        hours, rest = divmod(default.total_seconds(), 3600)
        return Verbatim(
            f"timedelta(seconds={default.total_seconds():g})"
            if rest
            else f"timedelta(hours={hours:g})"
        )
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
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("missing-reference", on_missing_reference)
    app.connect("env-check-consistency", on_all_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
