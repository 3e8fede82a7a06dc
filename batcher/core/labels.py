"""Which one label of a set a text names, where a server does not enforce the form of an answer.

Models put JSON into fences, behind their reasoning or behind prose, name its key otherwise, or
write the bare label; in other case, with other spaces, in another Unicode form. All that is found
and compared folded. But it is never guessed: a text that names no label, or two, names none. A
label that is part of another (``card`` in ``card arrival``) is not named by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final
from unicodedata import category, normalize

from batcher.core.text.lenient import decode_value

_MOST_CHARACTERS: Final = 20_000
_MOST_BROKEN: Final = 4_000
_MOST_TRIES: Final = 100
_DEEPEST: Final = 8

_TAGS = "think|thinking|thought|thoughts|reasoning|analysis|scratchpad|reflection"
_REASONED: Final = re.compile(
    rf".*(?:</(?:{_TAGS})>|\[/think\]|◁/think▷|<\|channel\|>final<\|message\|>)",
    re.IGNORECASE | re.DOTALL,
)
_UNFINISHED: Final = re.compile(
    rf"(?:<(?:{_TAGS})>|\[think\]|◁think▷).*", re.IGNORECASE | re.DOTALL
)
_MARKUP: Final = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|^[ \t]*```[^\n`]*$", re.MULTILINE)

_LATEX: Final = re.compile(
    r"\\(?:boxed|fbox|text(?:bf|it|tt|rm|sf)?|math(?:bf|it|tt|rm|sf)|emph)\s*\{([^{}]*)\}"
)
_FORMULA: Final = re.compile(r"\\\(|\\\)|\\\[|\\\]|\$")

_BETWEEN_WORDS: Final = re.compile(r"(?<=\w)[\s_\-\u2010-\u2015]+(?=\w)")
_BETWEEN_LETTERS: Final = re.compile(r"(?<=[^\W\d_]) (?=[^\W\d_])")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」"}
_PAIRS: Final = {**_QUOTES, "*": "*", "_": "_", "(": ")", "[": "]", "<": ">"}
_BULLET: Final = re.compile(r"(?:[-*•>#]+|\d{1,2}[.)])\s+")

_NAMES: Final = (
    "label|category|class|classification|answer|intent|topic|sentiment|tag|type|choice|prediction"
    "|result|output|response"
)
_KEYS: Final = frozenset(
    [*_NAMES.split("|"), "labels", "categories", "classes", "intents", "topics", "tags"]
)
_CALLED: Final = ("arguments", "parameters")
_OTHERS: Final = frozenset(
    "not no non exclude excluded reject rejected other others alternative alternatives second"
    " secondary previous unlikely wrong incorrect without except runner never false negative"
    " former old".split()
)
_STATED: Final = re.compile(
    rf"(?:^|(?<=[.!:])[ \t])\W{{0,8}}"
    r"(?:(?:the|my|final|best|predicted|correct|chosen|most|likely|fitting)\s+){0,4}"
    rf"(?:{_NAMES})\b[\"'*_`\]\s]{{0,6}}(?:\s+is\b\s*:?|[:=：＝]|->|→)(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED: Final = re.compile(rf"<({_NAMES})>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_CLASSIFIED: Final = re.compile(
    r"\b(?:classif|categori|label)[a-z]*\b[^.\n]*?\bas\b:?\s+(.+)$", re.IGNORECASE | re.MULTILINE
)
_EXPLAINED: Final = re.compile(
    r"\s*^\W{0,8}(?:reason|reasoning|explanation|rationale|justification|confidence)\b"
    r"\W{0,4}[:：].*\Z",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
"""What is said of the label behind it, which may speak of others."""
_NEGATED: Final = re.compile(
    r"\b(?:not|never|neither|nor|no|cannot|hardly|instead|rather|unless)\b|n['’]t\b",
    re.IGNORECASE,
)

_SMART: Final = str.maketrans("“”„‟‘’‚‛", "\"\"\"\"''''")
_UNSEEN: Final = (0xAD, 0x640, *range(0x200B, 0x2010), 0x2060, 0xFEFF, *range(0xFE00, 0xFE10))
_PLAIN: Final = _SMART | dict.fromkeys(range(0x2010, 0x2016), "-") | dict.fromkeys(_UNSEEN, "")
_SINGLE_QUOTED: Final = re.compile(r"(?<=[{\[,:])(\s*)'((?:[^'\\\n]|\\.)*)'(?=\s*[,:}\]])")
_TRAILING_COMMA: Final = re.compile(r",(?=\s*[}\]])")
_BARE_KEY: Final = re.compile(r"(?<=[{,])(\s*)([A-Za-z_]\w*)(?=\s*:)")
_BARE_VALUE: Final = re.compile(r"(?<=:)(\s*)([^\s\"'{}\[\],:][^\"{}\[\],:\n]*?)(?=\s*[,}])")


class Labels:
    """A set of labels, to be found in what a model wrote."""

    def __init__(self, labels: Sequence[str]) -> None:
        """The labels as they are to be returned, all different."""
        self._labels = tuple(labels)
        self._exact = frozenset(labels)
        self._longest = 4 * max(map(len, labels)) + 64  # in any Unicode form

    def __contains__(self, label: object) -> bool:
        """Whether it is one of them, as it is spelled."""
        return label in self._exact

    def find(self, text: str) -> str | None:
        """The one label that an answer names; None where it names none or several."""
        text = _MARKUP.sub("", _without_reasoning(text[-_MOST_CHARACTERS:])).strip()
        text = _unescaped(_without_latex(text))
        composed = normalize("NFKC", text)
        spellings = [text] if composed == text else [text, composed]
        for spelled in spellings:
            for relaxed in (spelled, _relaxed(spelled[-_MOST_BROKEN:])):
                found, start, end = self._in_json(relaxed)
                if found:
                    before, _ = self._in_words(relaxed[:start])
                    return self._only(found | (before - {None}), relaxed[end:])
        for spelled in spellings:
            found, rest = self._in_words(spelled)
            if found:
                return self._only(found, rest)
        return None

    def match(self, value: str) -> str | None:
        """The label that a value is, whatever its case, spaces, Unicode form and decoration."""
        for form in _undecorated(value):
            if len(form) > self._longest:
                continue
            if form in self._exact:
                return form
            for fold, labels in zip(_FOLDS, self._folded, strict=True):
                label = labels.get(fold(form), form)
                if label != form:
                    return label  # None where two labels are the same when folded
        return None

    def _only(self, found: set[str | None], rest: str) -> str | None:
        """The only label found, unless the rest of the text names another."""
        if len(found) > 1 or self._named_in(rest) - found:
            return None
        return next(iter(found))

    @cached_property
    def _folded(self) -> tuple[dict[str, str | None], ...]:
        """The labels by each of the foldings; None where two share one."""
        tables: list[dict[str, str | None]] = []
        for fold in _FOLDS:
            table: dict[str, str | None] = {}
            for label in self._labels:
                key = fold(label)
                table[key] = None if key in table else label
            tables.append(table)
        return tuple(tables)

    @cached_property
    def _mentions(self) -> re.Pattern[str]:
        keys = sorted(filter(None, self._folded[1]), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, keys))})(?!\w)")

    def _named_in(self, text: str) -> set[str | None]:
        """The labels that stand in a text as words of their own, the longest at each place."""
        folded = self._folded[1]
        return {folded[key] for key in self._mentions.findall(_spaced(text))}

    # --- JSON ---------------------------------------------------------------------------------

    def _in_json(self, text: str) -> tuple[set[str | None], int, int]:
        """What the JSON in a text names, and from where to where; None for what is no label."""
        found: set[str | None] = set()
        first = last = 0
        for value, start, end in _values(text):
            if named := self._named_by(value, 0):
                first = first if last else start
                found |= named
                last = end
        return found, first, last

    def _named_by(self, value: object, depth: int) -> set[str | None]:
        """The labels that a JSON value names by itself; empty where it does not speak of any."""
        if isinstance(value, bool | int | float):
            # Not in a list: "[1]" is a footnote.
            value = str(value).lower() if depth else ""
        if isinstance(value, str):
            return {label} if (label := self.match(value)) is not None else set()
        if depth >= _DEEPEST:
            return set()
        if isinstance(value, list):
            return {label for item in value for label in self._named_by(item, depth)}
        if not isinstance(value, dict):
            return set()
        if isinstance(value.get("name"), str):  # a call of a tool, written out
            value = next((value[name] for name in _CALLED if name in value), value)
            if not isinstance(value, dict):
                return self._named_by(value, depth + 1)
        by_name = {_folded_case(key): item for key, item in value.items()}
        for names in (frozenset({"label"}), _KEYS):
            stated = [item for name, item in by_name.items() if name in names]
            if stated:
                # What is stated and is no label is not looked for elsewhere.
                return {
                    label for item in stated for label in self._named_by(item, depth + 1) or {None}
                }
        if value and all(isinstance(item, bool) for item in value.values()):
            return {self.match(key) for key, item in value.items() if item}
        texts = {key: item for key, item in value.items() if isinstance(item, str | dict | list)}
        likely = [item for key, item in texts.items() if len(texts) == 1 or _speaks_of_it(key)]
        if any(_OTHERS.intersection(_words(key)) for key in texts):
            return set()
        return {label for item in likely for label in self._named_by(item, depth + 1)}

    # --- words --------------------------------------------------------------------------------

    def _in_words(self, text: str) -> tuple[set[str | None], str]:
        """What a text without JSON names, and where else no other label may stand."""
        if (label := self.match(text)) is not None:
            return {label}, ""
        lines = [line for line in text.splitlines() if line.strip()]
        stated = [match.group(1) for match in _STATED.finditer(text)]
        stated += [match.group(2) for match in _TAGGED.finditer(text)]
        if stated:
            lines = _EXPLAINED.sub("", text).splitlines() or lines
            is_last = bool(_STATED.match(lines[-1]) or _TAGGED.search(lines[-1]))
            return {self.match(value) for value in stated}, "" if is_last else text
        for line in (lines[-1], lines[0]) if lines else ():
            if (label := self.match(line)) is not None:
                return {label}, text
        if not _NEGATED.search(text):
            said = {self.match(match[1]) for match in _CLASSIFIED.finditer(text[-_MOST_BROKEN:])}
            return said, text
        return set(), ""


def _folded_case(text: str) -> str:
    """Without regard to Unicode form, case, the number of spaces and the kind of quotes."""
    text = normalize("NFKC", normalize("NFKC", text.translate(_PLAIN)).casefold())
    if not text.isascii():  # Turkish: the small letters of I and İ are ı and i
        text = text.replace("i\u0307", "i").replace("ı", "i")
    return " ".join(text.split())


def _spaced(text: str) -> str:
    """The same, with one space where words are joined by hyphens or underscores."""
    return _BETWEEN_WORDS.sub(" ", _folded_case(text))


def _joined(text: str) -> str:
    """The same, with nothing between words."""
    return _BETWEEN_LETTERS.sub("", _spaced(text))


_FOLDS: Final = (_folded_case, _spaced, _joined)


def _undecorated(value: str) -> Iterator[str]:
    """A value as it is, and then without quotes, emphasis, bullets and full stops around it."""
    form = value.strip()
    yield form
    for _ in range(_DEEPEST):
        before = form
        if len(form) > 1 and _PAIRS.get(form[0]) == form[-1]:
            form = form[1:-1]
        elif bullet := _BULLET.match(form):
            form = form[bullet.end() :]
        elif form and category(form[0]) == "So":  # an emoji
            form = form[1:]
        elif form[-1:] in (".", ",", ";", "!", "。"):
            form = form[:-1]
        form = form.strip()
        if form == before or not form:
            return
        yield form


def _without_reasoning(text: str) -> str:
    """What comes behind the model's reasoning; nothing of a reasoning that does not end."""
    if ended := _REASONED.match(text):
        text = text[ended.end() :]
    return _UNFINISHED.sub("", text)


def _without_latex(text: str) -> str:
    r"""``\boxed{\text{label}}``, as models that are trained on mathematics end, as the label."""
    if "\\" not in text:
        return text
    for _ in range(_DEEPEST):
        before, text = text, _LATEX.sub(r"\1", text)
        if text == before:
            return text
        text = _FORMULA.sub("", text)
    return text


def _values(text: str) -> Iterator[tuple[object, int, int]]:
    """The JSON objects and lists in a text, outermost ones, each with where it begins and ends."""
    at = 0
    for _ in range(_MOST_TRIES):
        starts = [start for start in (text.find("{", at), text.find("[", at)) if start >= 0]
        if not starts:
            return
        at = min(starts)
        try:
            value, end = decode_value(text, at)
        except ValueError:
            at += 1
        else:
            yield value, at, end
            at = end


def _unescaped(text: str) -> str:
    """A JSON string as what it says, anything else as it is."""
    if not (text.startswith('"') and text.endswith('"') and "\\" in text):
        return text
    try:
        value, end = decode_value(text)
    except ValueError:
        return text
    return value if isinstance(value, str) and end == len(text) else text


def _relaxed(text: str) -> str:
    """JSON as it is mistaken: single or typographic quotes, bare words, a comma before the end."""
    text = text.translate(_SMART)
    if '{\\"' in text:  # escaped once too often
        text = text.replace('\\"', '"')
    text = _SINGLE_QUOTED.sub(lambda m: f"{m[1]}{_quoted(m[2])}", text)
    text = _TRAILING_COMMA.sub("", text)
    text = _BARE_KEY.sub(lambda m: f"{m[1]}{_quoted(m[2])}", text)
    return _BARE_VALUE.sub(lambda m: f"{m[1]}{_quoted(m[2])}", text)


def _quoted(text: str) -> str:
    bare = text.replace("\\'", "'").replace('"', '\\"')
    return f'"{bare}"'


def _words(key: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORDS.findall(key))


def _speaks_of_it(key: str) -> bool:
    return bool(_words(key) & _KEYS)
