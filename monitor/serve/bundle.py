"""The page's modules, and its style sheets, each as one file, joined when the server starts.

Forty small files cost headers, waits and what gzip can't see across files; a build step would stand between a
file and what is served. So an entry file is answered with all that it imports, without comments and
indentation; every other file is served as it is, and the page would run from those too. Forms of `import` and
`export` that the page does not use are unknown: they fail the start, and so never the page.
"""

import posixpath
import re
from collections.abc import Callable, Mapping

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:import|export)\b.*|.*\bimport[.(].*", re.MULTILINE)
_SHEET = re.compile(r'^@import "([^"]+)";$', re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*?$|^\s*//[^\n]*$", re.MULTILINE | re.DOTALL)
_LINE_START = re.compile(r"\s*\n\s*")

Sources = Mapping[str, str]
"""Texts by their path below the page's directory."""


def join_modules(entry: str, sources: Sources) -> str:
    """The ES module `entry` and what it imports as one script, each module in a scope of its own.

    Raises:
        ValueError: a module is missing, imports itself on a way round, or imports or exports in another form.
    """
    scopes = {path: f"$module{number}" for number, path in enumerate(_in_order(entry, sources, _imported))}
    return "".join(_scope(path, sources[path], scopes) for path in scopes)


def join_sheets(entry: str, sources: Sources) -> str:
    """The style sheet `entry` with what it imports in front of it.

    Raises:
        ValueError: a sheet is missing or imports itself on a way round.
    """
    paths = _in_order(entry, sources, _SHEET.findall)
    return "".join(_shorten(_SHEET.sub("", sources[path])) for path in paths)


def _imported(source: str) -> list[str]:
    return [target for _, target in _IMPORT.findall(source)]


def _in_order(entry: str, sources: Sources, imported: Callable[[str], list[str]]) -> list[str]:
    """Every file that `entry` needs, each behind those that it imports, `entry` last."""
    done: list[str] = []

    def visit(path: str, importers: tuple[str, ...]) -> None:
        if path in importers:
            raise ValueError(f"{path} imports itself, by way of {importers[-1]}")
        if path not in sources:
            raise ValueError(
                f"{importers[-1] if importers else 'the page'} imports {path}, which is not there"
            )
        if path not in done:
            for target in imported(sources[path]):
                visit(_resolve(path, target), (*importers, path))
            done.append(path)

    visit(entry, ())
    return done


def _resolve(importer: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), target))


def _scope(path: str, source: str, scopes: Mapping[str, str]) -> str:
    source = _COMMENT.sub("", source)
    names = ",".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub(lambda found: _take(path, found, scopes), source))
    if unknown := _UNKNOWN.search(body):
        raise ValueError(
            f"{path} can't be joined: {unknown[0].strip()!r} is a form that the server does not know"
        )
    return f"const {scopes[path]}=(()=>{{{_shorten(body)}return{{{names}}}}})();\n"


def _take(path: str, found: re.Match[str], scopes: Mapping[str, str]) -> str:
    names, target = found.groups()
    return f"const {{{names}}} = {scopes[_resolve(path, target)]};"


def _shorten(source: str) -> str:
    """Without comments that have lines of their own, indentation and empty lines."""
    return _LINE_START.sub("\n", _COMMENT.sub("", source)).lstrip()
