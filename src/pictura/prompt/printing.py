"""Requests back to text: `parse(to_text(x))` is `[x]`."""

from pictura.prompt.parameters import NO, PARAMETERS
from pictura.prompt.request import ParsedPrompt
from pictura.prompt.values import Flag, number


def to_text(prompt: ParsedPrompt) -> str:
    """The one way in which Pictura itself writes a request.

    Weights stand where there is more than one part, or one of another weight than 1; what has a meaning in
    the language and is only text here has a backslash before it.
    """
    parts = prompt.parts
    plain = len(parts) == 1 and parts[0].weight == 1
    words = [escaped(part.text) + ("" if plain else f"::{number(part.weight)}") for part in parts]
    given = prompt.parameters
    if given.no:
        words.append(f"--{NO} " + ", ".join(escaped(item, also=",") for item in given.no))
    for one in PARAMETERS:
        value = getattr(given, one.key)
        if value is None or (isinstance(one.kind, Flag) and not value):
            continue
        words.append(f"--{one.name} {one.kind.show(value)}".rstrip())
    return " ".join(words)


def escaped(text: str, *, also: str = "") -> str:
    """`text` with a backslash before what would be taken for syntax.

    Args:
        text: plain words.
        also: further letters that have a meaning where it stands.
    """
    return "".join(
        "\\" + letter if _means(text, i) or letter in also else letter for i, letter in enumerate(text)
    )


def _means(text: str, i: int) -> bool:
    """Whether letter `i` would be taken for syntax where `text` stands between other pieces."""
    letter, behind = text[i], text[i + 1 : i + 2]
    opens = i == 0 or text[i - 1].isspace()
    match letter:
        case "\\" | "{" | "}":
            return True
        case ":":
            edge = i == 0 or i == len(text) - 1
            return edge or ":" in (text[i - 1], behind) or text.startswith("//", i + 1)
        case "-":
            return opens and behind == "-"
        case "—":
            return opens and not behind.isspace()
        case _:
            return False
