"""English spelling: one in, many out, and back; and the article that stands before a word.

For the words of captions and prompts, where a rare wrong form costs little: the common irregular words are
listed, the others follow the rules of spelling.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

IRREGULAR: Mapping[str, str] = MappingProxyType(
    {
        **{word: word for word in ("carp", "cod", "deer", "elk", "fish", "herring", "mackerel", "moose")},
        **{word: word for word in ("salmon", "sheep", "shrimp", "squid", "swine", "trout", "tuna", "krill")},
        **{word: word for word in ("aircraft", "spacecraft", "series", "species", "scissors", "trousers")},
        **{word: f"{word[:-1]}ves" for word in ("calf", "elf", "half", "leaf", "loaf", "scarf", "shelf")},
        **{word: f"{word[:-1]}ves" for word in ("thief", "wolf")},
        **{word: f"{word[:-2]}ves" for word in ("knife", "life", "wife")},
        **{
            word: f"{word}es"
            for word in ("echo", "hero", "mosquito", "potato", "tomato", "tornado", "volcano")
        },
        "cactus": "cacti",
        "child": "children",
        "die": "dice",
        "foot": "feet",
        "goose": "geese",
        "louse": "lice",
        "man": "men",
        "mouse": "mice",
        "ox": "oxen",
        "person": "people",
        "tooth": "teeth",
        "woman": "women",
    }
)
"""Words whose plural no rule gives, also where they end another: "policeman", "field mouse"."""

_AS_CONSONANT = ("uni", "ufo", "uku", "eu", "one", "use")
_AS_VOWEL = ("hour", "x-ray", "8", "fx")
_SINGULAR = {many: one for one, many in IRREGULAR.items()}
_NOT_A_MAN = ("caiman", "cayman", "doberman", "german", "human", "ottoman", "roman", "shaman", "talisman")
_NOT_MEN = ("abdomen", "cyclamen", "omen", "ramen", "regimen", "specimen", "stamen")
_ENDINGS = tuple(end for end in IRREGULAR if len(end) > 2)
_MANY_ENDINGS = tuple(end for end in _SINGULAR if _SINGULAR[end] != end)
_HISSING = re.compile(r"(?:s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"(?<=[^aeiou])y$")


def article(words: str) -> str:
    """'a' or 'an', as the first word sounds."""
    if words.startswith(_AS_VOWEL):
        return "an"
    return "an" if words.startswith(tuple("aeiou")) and not words.startswith(_AS_CONSONANT) else "a"


def plural(words: str) -> str:
    """'fox' to 'foxes', 'field mouse' to 'field mice', 'cup of tea' to 'cups of tea'."""
    if " of " in words:
        head, rest = words.split(" of ", 1)
        return f"{plural(head)} of {rest}"
    *before, last = words.split(" ")
    return " ".join((*before, _plural(last)))


def singulars(word: str) -> tuple[str, ...]:
    """What `word` may be the plural of, likeliest first: 'foxes' to 'fox', 'foxe'; empty if of nothing."""
    if word in _SINGULAR:
        return (_SINGULAR[word],)
    for end in _MANY_ENDINGS:
        if word.endswith(end) and len(end) > 2 and word not in _NOT_MEN:
            return (word.removesuffix(end) + _SINGULAR[end],)
    found = []
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    if word.endswith("es") and _HISSING.search(word[:-2]):
        found.append(word[:-2])
    if word.endswith("oes"):
        found.append(word[:-2])
    if word.endswith("s") and not word.endswith(("ss", "us", "is", "'s", "’s")) and len(word) > 3:
        found.append(word[:-1])
    return tuple(found)


def _plural(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    for end in _ENDINGS:
        if word.endswith(end) and word not in _NOT_A_MAN:
            return word.removesuffix(end) + IRREGULAR[end]
    if _CONSONANT_Y.search(word):
        return _CONSONANT_Y.sub("ies", word)
    return f"{word}es" if _HISSING.search(word) else f"{word}s"
