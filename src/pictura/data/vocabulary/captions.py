"""Plain English for scenes: what is in a picture in, a sentence out.

The words are chosen by the given dice, so that one scene always gets one caption. `reading.py` reads the
sentences back.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pictura.core.english import article
from pictura.data.scenes.dice import Dice
from pictura.data.vocabulary.world import Thing

NUMBERS: tuple[str, ...] = ("no", "one", "two", "three", "four")

RELATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "left of": ("to the left of", "to the left of", "left of", "on the left of"),
        "right of": ("to the right of", "to the right of", "right of", "on the right of"),
        "above": ("above", "above", "over"),
        "below": ("below", "below", "under", "underneath"),
    }
)
"""How a relation of the first thing to the second is said; the first way is its own name."""

EMOJI_STYLES = frozenset(
    ("noto", "twemoji", "blobmoji", "emojione", "fxemoji", "fluent 3d", "fluent flat", "fluent color")
)
"""Styles of emoji sets in colour, the look that an unstyled caption means first."""

_EMOJI = ("in {s} style", "in {s} style", "in the style of {s}", "in {s}", "as {a} {s} emoji")
_SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fluent 3d": ("in fluent 3d style", "in fluent 3d", "in 3d", "as a 3d emoji"),
        "fluent flat": ("in fluent flat style", "in fluent flat"),
        "fluent color": ("in fluent color style", "in fluent color"),
        "tiny pixel art": ("in tiny pixel art", "in tiny pixel art style", "as tiny pixel art"),
        "pixel art": ("in pixel art", "in pixel art", "in pixel art style", "as pixel art"),
        "isometric 3d": ("in isometric 3d", "in isometric 3d style"),
        "game icon": ("as a game icon", "in game icon style", "as a silhouette"),
        "pixel icon": ("as a pixel icon", "in pixel icon style"),
        "flat icon": ("as a flat icon", "in flat icon style"),
        "haiku icon": ("as a haiku icon", "in haiku icon style"),
    }
)


def with_article(words: str) -> str:
    """'fox' to 'a fox'."""
    return f"{article(words)} {words}"


def noun(thing: Thing, *, colour: str | None = None, word: str | None = None) -> str:
    """'a red fox': the thing with its article and, if given, a colour and another word for it."""
    spoken = word or thing.phrase
    words = f"{colour} {spoken}" if colour else spoken
    no_article = thing.bare and " of " not in spoken
    return words if no_article else with_article(words)


def plural(thing: Thing, count: int, *, digits: bool = False, colour: str | None = None) -> str:
    """'three red foxes', or '3 red foxes'; one is 'one fox'."""
    number = str(count) if digits else NUMBERS[count]
    things = thing.phrase if count == 1 else thing.plural
    return " ".join(w for w in (number, colour, things) if w)


def style_words(dice: Dice, style: str, *, several: bool = False) -> str:
    """One way to say a style after what it shows: 'in pixel art', for one thing also 'as a game icon'."""
    ways = _SUFFIXES.get(style, _EMOJI)
    if several:
        ways = tuple(w for w in ways if w.startswith("in"))
    return dice.pick(ways).format(s=style, a=article(style))


def in_style(phrase: str, style: str) -> str:
    """The plainest way to say a style: 'a fox in pixel art', 'a fox as a game icon'."""
    return f"{phrase} {_SUFFIXES.get(style, _EMOJI)[0].format(s=style, a=article(style))}"


def styled(dice: Dice, phrase: str, words: str, style: str) -> str:
    """Say the style of one thing: 'a fox in pixel art', 'a pixel art fox', 'fox, noto style' …

    Args:
        dice: chooses the way.
        phrase: the thing with its article.
        words: the thing without.
        style: one of the pack's.
    """
    way = dice.between(0, 1)
    if way < 0.6:
        return f"{phrase} {style_words(dice, style)}"
    if way < 0.75:
        return f"{dice.pick((phrase, words))}, {style}" + dice.pick((" style", ""))
    if way < 0.9:
        return f"{style} {dice.pick(('style ', ''))}{words}"
    kind = "" if style.endswith(("art", "icon")) else dice.pick(("emoji ", "picture "))
    words = f"{style} {kind}of {phrase}"
    return words if style.endswith("art") else with_article(words)


def plain(dice: Dice, phrase: str, words: str, *, emoji: bool) -> str:
    """Say one thing without its style: 'a fox', 'fox', 'a picture of a fox'."""
    way = dice.between(0, 1)
    if way < 0.62:
        return phrase
    if way < 0.88:
        return words
    if emoji and way < 0.94:
        return dice.pick((f"{with_article(words)} emoji", f"{words} emoji"))
    return dice.pick((f"a picture of {phrase}", f"a drawing of {phrase}"))


def on_background(dice: Dice, caption: str, background: str) -> str:
    """Add the background to a caption."""
    ground = f"{background} background"
    ways = (f"{caption} on {with_article(ground)}",) * 4 + (
        f"{caption}, {ground}",
        f"{caption} against {with_article(ground)}",
        f"{caption} with {with_article(ground)}",
    )
    return dice.pick(ways)


def together(dice: Dice, first: str, second: str, *, side_by_side: bool) -> str:
    """Say that two things are there, not how they stand."""
    ways = [f"{first} and {second}"] * 5 + [f"{first} with {second}", f"{second} and {first}"]
    if side_by_side:
        ways += [f"{first} next to {second}", f"{first} beside {second}"]
    return dice.pick(ways)


def placed(dice: Dice, first: str, relation: str, second: str) -> str:
    """Say how the first thing stands to the second."""
    if relation in ("left of", "right of") and dice.chance(0.15):
        here, there = ("left", "right") if relation == "left of" else ("right", "left")
        return f"{first} on the {here} and {second} on the {there}"
    return f"{first} {dice.pick(RELATIONS[relation])} {second}"


def several(dice: Dice, thing: Thing, count: int, *, colour: str | None = None) -> str:
    """Say how many there are: 'three foxes', '3 foxes', 'a picture of three foxes'."""
    words = plural(thing, count, digits=dice.chance(0.25), colour=colour)
    if count > 2 and dice.chance(0.06):
        return f"a group of {words}"
    return f"a picture of {words}" if dice.chance(0.06) else words


def keyword_for(dice: Dice, keywords: Sequence[str], taken: frozenset[str]) -> str | None:
    """One further word of a glyph that says something new, or None.

    Args:
        dice: chooses among them.
        keywords: the pack's.
        taken: words that would say something else: colours, numbers, other things.
    """
    fit = [k for k in keywords if k.isalpha() and k.islower() and len(k) > 2 and k not in taken]
    return dice.pick(fit) if fit else None
