"""The page's modules, and its style sheets, each as one file, joined when the server starts.

Forty small files cost headers, waits and what gzip can't see across files; a build step would stand between
a file and what is served. So an entry file is answered with all that it imports, without comments and gaps,
with constants and private names of a letter; every other file is served as it is, and the page would run from
those too. Modules so joined share a scope: a name that two declare fails the start, not the page, as an
unknown form of `import` does.
"""

import posixpath
import re
import string
from collections.abc import Callable, Mapping

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) \w)", re.MULTILINE)
_DECLARED = re.compile(r"^(?:async function|function|class|const|let) (\w+)", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:(?:import|export)\b|.*\bimport[.(]).*", re.MULTILINE)
_PRIVATE = re.compile(r"((?<=\.)#|^  (?:get |async )?#)(\w+)", re.MULTILINE)
"""Where a private name is used, or declared: no other class sees it, so it may be called anything."""
_CONSTANT = re.compile(r"\bconst ([A-Z][A-Z_\d]+)=")
_SHEET = re.compile(r'^@import "([^"]+)";$', re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*?$|^\s*//[^\n]*$", re.MULTILINE | re.DOTALL)
_CSS_GAP = re.compile(r";?\s*(})\s*|\s*([{;,>!])\s*|(?<=:)\s+")
_TEXT = r'"(?:\\.|[^"\\])*"|`(?:\\.|\$\{(?:[^`}]|`[^`]*`)*\}|[^`\\])*`|/(?![ */])(?:\\.|[^/\\\n])+/'
"""A string, a template, at most one within another, or a regular expression; a division has spaces."""
_GAP = re.compile(
    rf"({_TEXT})|//[^\n]*|[;\s]*(}})\s*|\s*([=*<>?:,;{{([|&!])\s*|\s*([])])[ ]*|\s*(\n)\s*"
    r"|[ ]([/%])[ ]|(?<![-+])[ ]?([-+])[ ](?![-+])"
)
"""A text, which stays as it is, a comment, or what can do without gaps: a mark, the end of a line.

In front of a closing brace nothing is needed, and behind one no end of a line: our files end each expression
with a semicolon, and where one forgets it the joined script does not load. A sign keeps its gap to
another sign.
"""

Sources = Mapping[str, str]
"""Texts by their path below the page's directory."""


def join_modules(entry: str, sources: Sources) -> str:
    """The ES module `entry` with what it imports in front of it, as one script.

    Raises:
        ValueError: a module is missing, imports itself on a way round, imports or exports in another form, or
            declares what another one declares.
    """
    declared: dict[str, str] = {}
    paths = _in_order(entry, sources, _imported)
    return _shorten_constants("".join(_unwrap(path, sources[path], declared) for path in paths))


def join_sheets(entry: str, sources: Sources) -> str:
    """The style sheet `entry` with what it imports in front of it.

    Raises:
        ValueError: a sheet is missing or imports itself on a way round.
    """
    paths = _in_order(entry, sources, _SHEET.findall)
    sheets = (_COMMENT.sub("", _SHEET.sub("", sources[path])) for path in paths)
    return "".join(_CSS_GAP.sub(r"\1\2", sheet).strip() for sheet in sheets)


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


def _unwrap(path: str, source: str, declared: dict[str, str]) -> str:
    """A module's own part; `declared` says which module declares a name, and learns this one's."""
    body = _EXPORT.sub("", _IMPORT.sub("", _COMMENT.sub("", source)))
    if unknown := _UNKNOWN.search(body):
        raise ValueError(
            f"{path} can't be joined: {unknown[0].strip()!r} is a form that the server does not know"
        )
    for name in _DECLARED.findall(_EXPORT.sub("", source)):
        if name in declared:
            raise ValueError(f"{path} can't be joined: {declared[name]} declares {name} too")
        declared[name] = path
    body = _shorten_private(body)
    return _GAP.sub(lambda found: "".join(found.groups("")), body).lstrip()


def _shorten_private(source: str) -> str:
    """Private names by letters, in the order in which they come: alike ones in all modules pack best."""
    letters: dict[str, str] = {}

    def shorten(found: re.Match[str]) -> str:
        return found[1] + letters.setdefault(found[2], _letter(len(letters)))

    return _PRIVATE.sub(shorten, source)


def _shorten_constants(script: str) -> str:
    """Constants by letters, wherever they stand but in strings: the modules share them, and nobody else."""
    letters = {name: f"${_letter(number)}" for number, name in enumerate(_CONSTANT.findall(script))}
    names = "|".join(letters) or "(?!)"
    return re.sub(
        rf'("(?:\\.|[^"\\])*")|(?<!\w)(?<!(?<!\.\.)\.)({names})(?!\w)',
        lambda found: found[1] or letters[found[2]],
        script,
    )


def _letter(number: int) -> str:
    return string.ascii_letters[number % 52] + str(number // 52 or "")
