"""Guards around the functions of JSONata whose cost a size in the data could raise without end.

The library checks its time limit only between steps of an expression, so one call must never be
able to take the memory of the process or seconds of its time. Each guard is itself JSONata: a
function of the same name, defined before the expression, that measures the arguments and then
calls the original. Only the guards of functions that an expression mentions are put before it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from beltline.core.limits import LIMITS

_TEXT: Final = LIMITS.expression_result_bytes
_PICTURE: Final = 256  # a format is written by a person; the library takes seconds for long ones
_MATCHES: Final = 10_000  # a match takes about a kilobyte
_DISTINCT: Final = 2_000  # the library compares every element with every other
_ROMAN: Final = 100_000  # written with one M for each thousand
_MADE_MATCHES: Final = 1_000  # texts that a function makes for matches may each be long

# In an expression that crosses lists, two of them may be multiplied in memory at about 100 bytes
# an element, with the bindings of @ and # at about 800: 225 and 70 MB for a moment, at the worst.
CROSSED_SEQUENCE: Final = 1_500
BOUND_SEQUENCE: Final = 300
CROSSED_CHARACTERS: Final = 67_108_864  # of one text, times the elements of a sequence
# The size of a result is measured by a function that calls itself, some calls to a level.
CROSSED_STACK: Final = LIMITS.expression_stack + 8 * LIMITS.request_depth
RESULT_SIZE: Final = LIMITS.document_bytes


def _refusal(what: str) -> str:
    return f'$error("beltline: {what}")'


def _short(function: str, parameter: str = "$p") -> str:
    refusal = _refusal(
        f"the format or text given to {function} has more than {_PICTURE} characters"
    )
    return f"$length({parameter}) > {_PICTURE} ? {refusal} : "


_TOO_LONG: Final = _refusal(
    f"a text of more than {_TEXT} characters (limit expression_result_bytes)"
)
_NO_WIDTHS: Final = (
    r"$exists($p) and $contains($p, /,[^\]]*[0-9]{4}/) ? "
    + _refusal("a width in the format of a date has more than three digits")
    + " : "
)


def _own(name: str) -> str:
    """A function of ours: it gets only a text or a number, and "" from it stands for nothing."""
    return (
        f'function($v, $c){{( $t := $type($v); $t = "string" or $t = "number" ? ('
        f' $r := $beltline_{name}($v, $c); $r != "" ? $r) )}}'
    )


# The guard of a function, by its name; in it, `$beltline_<name>` is the original, and `SEQUENCE`
# stands for the longest list that the expression may make.
_GUARDS: Final = {
    "pad": "function($s, $w, $c)<s-ns?:s>{"
    f" $abs($w) * ($exists($c) ? $length($c) + 1 : 1) > {_TEXT} ? {_TOO_LONG}"
    " : $beltline_pad($s, $w, $c) }",
    "join": "function($l, $s)<a<s>s?:s>{"
    f" $count($l) * $length($s) > {_TEXT} ? {_TOO_LONG} : $beltline_join($l, $s) }}",
    "split": "function($s, $p, $n)<s-(sf)n?:a<s>>{( $l := $beltline_split($s, $p, $n);"
    " $count($l) > SEQUENCE ? " + _refusal("$split gives more than SEQUENCE parts") + " : $l )}",
    "match": "function($s, $p, $n)<s-fn?:a<o>>{("
    " $m := $beltline_match($s, $p, $exists($n) and $n < MATCHES ? $n : MATCHES + 1);"
    " $count($m) > MATCHES ? " + _refusal("$match finds more than MATCHES matches") + " : $m )}",
    "replace": "function($s, $p, $r, $n)<s-(sf)(sf)n?:s>{("
    f' $w := $type($r) = "string" ? $length($r) : {_TEXT // _MADE_MATCHES};'
    f" $length($s) * $w > {_TEXT} and (("
    '  $type($p) = "string" ? $count($beltline_split($s, $p))'
    f"  : $count($beltline_match($s, $p, {_MATCHES + 1}))) * $w > {_TEXT}"
    '  or ($type($p) != "string"'
    f"   and $count($beltline_match($s, $p, {_MATCHES + 1})) > {_MATCHES})"
    '  or ($type($r) = "string" and $contains($r, "$")))'
    f" ? {_TOO_LONG} : $beltline_replace($s, $p, $r, $n) )}}",
    "distinct": "function($l)<x:x>{"
    f" $count($l) > {_DISTINCT}"
    f" ? {_refusal(f'$distinct takes at most {_DISTINCT} elements')}"
    " : $beltline_distinct($l) }",
    "formatNumber": "function($v, $p, $o)<n-so?:s>{"
    + _short("$formatNumber")
    + "$beltline_formatNumber($v, $p, $o) }",
    "formatInteger": "function($v, $p)<n-s:s>{"
    + _short("$formatInteger")
    + f'$contains($lowercase($p), "i") and $abs($v) > {_ROMAN}'
    f" ? {_refusal(f'a roman number goes up to {_ROMAN}')}"
    " : $beltline_formatInteger($v, $p) }",
    "parseInteger": "function($v, $p)<s-s:n>{"
    + _short("$parseInteger")
    + _short("$parseInteger", "$v")
    + "$beltline_parseInteger($v, $p) }",
    "fromMillis": "function($v, $p, $z)<n-s?s?:s>{"
    + _short("$fromMillis")
    + _NO_WIDTHS
    + "$beltline_fromMillis($v, $p, $z) }",
    "toMillis": "function($v, $p)<s-s?:n>{"
    + _short("$toMillis")
    + _short("$toMillis", "$v")
    + "$beltline_toMillis($v, $p) }",
    "now": "function($p, $z)<s?s?:s>{"
    + _short("$now")
    + _NO_WIDTHS
    + "$beltline_fromMillis($beltline_time, $p, $z) }",
    "millis": "function()<:n>{ $beltline_time }",
    "phone": _own("phone"),
    "email": _own("email"),
    "date": _own("date"),
}
# The originals that a guard needs; its own, where nothing stands here.
_ORIGINALS: Final = {
    "replace": ("replace", "match", "split"),
    "now": ("fromMillis",),
    "millis": (),
    "phone": (),
    "email": (),
    "date": (),
}
# Only where lists are crossed: there values share their parts, and a small one in memory can be
# without end when it is written out.
_SIZE: Final = (
    "$beltline_size := function($v){ ($t := $type($v);"
    ' $t = "object" ? 1 + $sum($append(0, $each($v, $beltline_size)))'
    ' : $t = "array" ? 1 + $sum($append(0, $map($v, $beltline_size)))'
    ' : $t = "string" ? 1 + $length($v) : 1) };'
)
_STRING: Final = (
    "$beltline_string := $string; $string := function($v, $p)<x-b?:s>{"
    f" $beltline_size($v) > {_TEXT} ? {_TOO_LONG} : $beltline_string($v, $p) }};"
)


def guard(source: str, names: Collection[str], *, crosses: bool) -> str:
    """Put the guards of the functions in `names` round an expression."""
    used = sorted(_GUARDS.keys() & names)
    originals = sorted({original for name in used for original in _ORIGINALS.get(name, (name,))})
    sequence = CROSSED_SEQUENCE if crosses else LIMITS.expression_sequence
    matches = min(sequence, _MATCHES)
    parts = [f"$beltline_{original} := ${original};" for original in originals]
    parts += [
        f"${name} := {_GUARDS[name]};".replace("SEQUENCE", str(sequence)).replace(
            "MATCHES", str(matches)
        )
        for name in used
    ]
    if crosses:
        parts.append(_SIZE)
        if "string" in names:
            parts.append(_STRING)
        too_large = _refusal(f"the result is larger than {RESULT_SIZE} characters and values")
        return (
            f"({' '.join(parts)} $beltline_result := ({source}\n);"
            f" $beltline_size($beltline_result) > {RESULT_SIZE} ? {too_large}"
            " : $beltline_result)"
        )
    return f"({' '.join(parts)} ({source}\n))" if parts else source
