"""The prompt language: what is read from a line, and the sentence for each way in which a line is wrong."""

import pytest

from pictura.core.errors import ConfigError, PromptError
from pictura.prompt import Parameters, ParsedPrompt, Part, PromptSyntaxError, parse, to_text
from pictura.prompt.grammar import MAX_TEXT
from pictura.prompt.parameters import ABSENT, NAMES
from pictura.prompt.request import MAX_PARTS


def one(text: str) -> ParsedPrompt:
    (found,) = parse(text)
    return found


def test_words_without_syntax_are_one_part() -> None:
    assert one(" a red fox, 3:2 - on blue ") == ParsedPrompt((Part("a red fox, 3:2 - on blue"),))


def test_every_parameter_is_read() -> None:
    text = (
        "a fox --no red, a hat --ar 3:2 --chaos 10 --seed 4294967295 --stylize 50 --weird 3000 --tile "
        "--quality .5 --stop 80 --repeat 2 --raw --model flow"
    )
    assert one(text).parameters == Parameters(
        no=("red", "a hat"),
        aspect=(3, 2),
        chaos=10,
        seed=2**32 - 1,
        stylize=50,
        weird=3000,
        tile=True,
        quality=0.5,
        stop=80,
        repeat=2,
        raw=True,
        model="flow",
    )
    assert one("a fox --draft").parameters == Parameters(draft=True)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("--aspect 3:2", "--ar 3:2"),
        ("--c 5", "--chaos 5"),
        ("--s 5", "--stylize 5"),
        ("--w 5", "--weird 5"),
        ("--q 2", "--quality 2"),
        ("--q 0.50", "--quality .5"),
        ("--r 2", "--repeat 2"),
        ("--v flow", "--model flow"),
        ("--version flow", "--model flow"),
        ("—chaos 5", "--chaos 5"),  # what telephones make of two dashes
        ("--Chaos 5", "--chaos 5"),
        ("--no a --no b", "--no a, b"),
    ],
)
def test_other_spellings_are_the_same(short: str, long: str) -> None:
    assert one(f"a fox {short}") == one(f"a fox {long}")


def test_weights_stand_behind_their_words() -> None:
    found = one("hot air::2 balloon::-.5 sky:: sea")
    assert found.parts == (Part("hot air", 2), Part("balloon", -0.5), Part("sky", 1), Part("sea", 1))
    assert one("a fox::").parts == (Part("a fox"),)
    assert one("space::ship").parts == (Part("space"), Part("ship"))
    assert one("space:::ship").parts == (Part("space"), Part(":ship"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("hot::2 dog", "hot::100 dog::50"),
        ("hot::.1 dog::.5", "hot::1 dog::5"),  # 0.1 is no binary number
        ("fox --no red", "fox::1 red::-.5"),
        ("fox --no red, hat", "fox:: red::-.25 hat::-.25"),
        ("fox::7", "fox"),
    ],
)
def test_weights_count_by_their_ratio_to_the_last_bit(first: str, second: str) -> None:
    assert one(first).shares() == one(second).shares()


def test_shares_add_up_to_one_and_negatives_raise_the_others() -> None:
    assert one("fox --no red").shares() == (("fox", 2.0), ("red", -1.0))
    assert sum(share for _, share in one("a::3 b::.7 c::-1 --no d, e").shares()) == pytest.approx(1)


def test_what_shall_be_seen_in_plain_words() -> None:
    assert one("hot::2 cold::-1 dog --no red").words == "hot, dog"


def test_braces_make_a_line_of_each_choice() -> None:
    found = parse("a {red, {light, dark} blue} fox --{ar 3:2, seed 4} --chaos {1,2}")
    assert len(found) == 3 * 2 * 2
    assert [prompt.parts[0].text for prompt in found[::4]] == [
        f"a {c} fox" for c in ("red", "light blue", "dark blue")
    ]
    assert [prompt.parameters.chaos for prompt in found[:4]] == [1, 2, 1, 2]
    assert [prompt.parameters.aspect for prompt in found[:4]] == [(3, 2), (3, 2), None, None]


def test_a_backslash_makes_text_of_syntax() -> None:
    assert one(r"a \{b\} \--c \—d e\::f\, \\ \x").parts == (Part(r"a {b} --c —d e::f, \ \x"),)
    assert [prompt.words for prompt in parse(r"{a\, b, c}")] == ["a, b", "c"]
    assert one(r"fox --no salt\, pepper, red").parameters.no == ("salt, pepper", "red")
    assert [p.parameters.no for p in parse(r"fox --no {a\, b, c}")] == [("a", "b"), ("c",)]


def test_a_long_dash_between_words_is_a_dash() -> None:
    assert one("a fox — at night, well-lit fox--like").words == "a fox — at night, well-lit fox--like"


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (ParsedPrompt((Part("a fox"),)), "a fox"),
        (ParsedPrompt((Part("a fox", 2),)), "a fox::2"),
        (ParsedPrompt((Part("hot", 1), Part("dog", -0.25))), "hot::1 dog::-0.25"),
        (ParsedPrompt((Part("a", 1e-7),)), "a::0.0000001"),
        (ParsedPrompt((Part("a --b -c d--e — f —g —"),)), r"a \--b -c d--e — f \—g \—"),
        (ParsedPrompt((Part(":a b::c d:e f:"),)), r"\:a b\:\:c d:e f\:"),
        (ParsedPrompt((Part(r"{a} \ https://x"),)), r"\{a\} \\ https\://x"),
        (
            ParsedPrompt((Part("a"),), Parameters(no=("b, c", "d"), tile=True, aspect=(3, 2), quality=0.25)),
            r"a --no b\, c, d --ar 3:2 --tile --quality 0.25",
        ),
    ],
)
def test_a_request_is_printed_with_backslashes_only_where_needed(prompt: ParsedPrompt, text: str) -> None:
    assert to_text(prompt) == text
    assert parse(text) == [prompt]


def test_a_prompt_remembers_how_it_was_typed() -> None:
    text = "a {red, blue} fox --chaos 5"
    assert [prompt.typed for prompt in parse(text)] == [text, text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "fox --ar 16x9",
            "`--ar 16x9` (column 5): expected whole numbers W:H, like 16:9, each from 1 to 10000.",
        ),
        (
            "fox --ar 1.39:1",
            "`--ar 1.39:1` (column 5): expected whole numbers W:H, like 16:9, each from 1 to 10000.",
        ),
        ("fox --ar16:9", "`--ar16:9` (column 5): expected a space, like --ar 16:9."),
        ("fox --seed=3", "`--seed=3` (column 5): expected a space, like --seed 3."),
        ("fox --chaos 101", "`--chaos 101` (column 5): expected a whole number from 0 to 100."),
        ("fox --chaos ٣", "`--chaos ٣` (column 5): expected a whole number from 0 to 100."),
        ("fox --stop 5", "`--stop 5` (column 5): expected a whole number from 10 to 100."),
        ("fox --q 3", "`--q 3` (column 5): expected 0.25, 0.5, 1, 2 or 4."),
        ("fox --tile yes", "`--tile yes` (column 5): expected no value."),
        ("fox --seed", "`--seed` (column 5): expected a whole number from 0 to 4294967295."),
        (
            "fox --chaos 5 in a hat",
            "`--chaos 5 in a hat` (column 5): expected a whole number from 0 to 100. "
            "Words to paint stand before the first parameter.",
        ),
        ("fox --chaos 5 --c 6", "`--c 6` (column 15): expected --chaos only once."),
        (
            "fox --tiles",
            "`--tiles` (column 5): expected a parameter that Pictura knows. Did you mean '--tile'?",
        ),
        ("fox --sref 5", "`--sref` (column 5): refused: Pictura does not have it yet."),
        (
            "fox --model ../x",
            "`--model ../x` (column 5): expected the name of a model, as `pictura models` lists them.",
        ),
        (
            "fox --no a,,b",
            "`--no a,,b` (column 5): expected words with commas between them and no weights, "
            "like --no red, text.",
        ),
        (
            "fox -- hat",
            "`--` (column 5): expected the name of a parameter right behind the dashes. "
            r"Dashes that are text are written \--.",
        ),
        ("--ar 3:2", "`--ar` (column 1): expected words before it."),
        ("::2 fox", "`::` (column 1): expected words before it."),
        ("fox::2 ::3", "`::` (column 8): expected words before it."),
        (
            "fox::2d",
            "`::2d` (column 4): expected a weight from -10000 to 10000 and a space behind it, "
            "like ::2 or ::-0.5. Words that begin with a digit have a space before them.",
        ),
        (
            "fox::10001",
            "`::10001` (column 4): expected a weight from -10000 to 10000 and a space behind it, "
            "like ::2 or ::-0.5. Words that begin with a digit have a space before them.",
        ),
        (
            "{" * 17 + "a, b" + "}" * 17,
            r"`{` (column 17): expected braces at most 16 deep. A brace that is text is written \{ or \}.",
        ),
        (
            "{red, blue fox",
            r"`{` (column 1): expected a closing brace behind it. A brace that is text is written \{ or \}.",
        ),
        (
            "red} fox",
            "`}` (column 4): expected an opening brace before this one. "
            r"A brace that is text is written \{ or \}.",
        ),
        (
            "a {} fox",
            r"`{}` (column 3): expected something to choose from, like {red, blue}. "
            r"A brace that is text is written \{ or \}.",
        ),
        (
            "https://x.org/a.png a fox",
            "`https://x.org/a.png` (column 1): expected no address, for pictures are uploaded, "
            r"never fetched. One that is only text is written https\://.",
        ),
    ],
)
def test_a_wrong_piece_is_named_with_its_column(text: str, message: str) -> None:
    with pytest.raises(PromptSyntaxError) as caught:
        parse(text)
    assert str(caught.value) == message
    assert caught.value.code == "bad_prompt"


def test_columns_are_those_that_were_typed_whatever_braces_do() -> None:
    text = "a {red, blue} \\{fox\\} --chaos {5, x}"
    with pytest.raises(PromptSyntaxError) as caught:
        parse(text)
    assert (caught.value.column, caught.value.found) == (1 + text.index("--chaos"), "--chaos x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The prompt is empty"),
        (" \n", "The prompt is empty"),
        ("a::-1", "must add up to more than 0, and to 0.01 or more beside its heaviest part; got -1"),
        ("a::1 b::-.999", "and to 0.01 or more beside its heaviest part; got 0.001"),
        ("a::.5 --no b", r"got 0 \(what --no names weighs -0.5\)"),
        ("a " * MAX_TEXT, "has 16384 letters; at most 8192 are allowed"),
        ("a:: " * (MAX_PARTS + 1), "at most 16|may have 16 parts, those of --no included; got 17"),
        ("a --no " + ",".join("b" * MAX_PARTS), "may have 16 parts, those of --no included; got 17"),
        ("a --draft --quality 2", "both say how much work a picture is worth"),
        ("a{,}{,}{,}{,}{,}{,}", "asks for 64 jobs; at most 40 are allowed"),
        ("a {b, c} --repeat 21", "asks for 42 jobs; at most 40"),
        ("a" + "{,}" * 2000, "asks for 1,000,000 jobs or more"),
    ],
)
def test_what_is_too_little_or_too_much_is_refused(text: str, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        parse(text)


def test_the_cap_of_jobs_is_the_callers() -> None:
    assert len(parse("a{,}{,}{,}{,}{,}{,}", max_jobs=64)) == 64
    with pytest.raises(PromptError, match="at most 1 are"):
        parse("a --repeat 2", max_jobs=1)


def test_midjourneys_other_parameters_are_refused_by_name() -> None:
    assert not set(ABSENT) & set(NAMES)
    for name in ABSENT:
        with pytest.raises(PromptSyntaxError, match=rf"`--{name}` \(column 3\): refused: "):
            parse(f"a --{name} 1")


def test_what_is_made_by_hand_keeps_the_same_limits() -> None:
    with pytest.raises(ConfigError, match=r"--chaos: expected a whole number from 0 to 100; got 101"):
        Parameters(chaos=101)
    with pytest.raises(ConfigError, match="--tile: expected no value"):
        Parameters(tile=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--no: expected words without spaces"):
        Parameters(no=(" red",))
    with pytest.raises(ConfigError, match="without spaces around"):
        Part(" a")
    for weight in (float("nan"), float("inf"), 10_001):
        with pytest.raises(ConfigError, match="Weights must be from"):
            Part("a", weight)
