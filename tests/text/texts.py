"""Texts that a round trip is hard for."""

import random
import unicodedata

# Dense in what goes wrong: the sign for a blank, sentencepiece's other reserved ones, names of
# its pieces, blanks of all kinds, control characters, joiners, combining marks.
HARD = [
    "",
    " ",
    "   ",
    "  two  blanks  ",
    "▁",
    "a▁b ▁▁",
    "▅ x ⁇",
    "\x00",
    "a\x00b",
    "<s> </s> <pad> <unk> <0x41> <0xE2><0x96><0x81>",
    "\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r",
    "\ufeffe\u0301 é \u00a0\u3000",
    "👩\u200d👩\u200d👧\u200d👦 🇩🇪 \U0010ffff \U000e0041 \ufffd",
    "ǅ ﬁ ß ẞ İ ı ſ Σςσ",
    "\U0010fffd ▁ \U0010fffd",
]


def generated_texts(number: int, seed: int = 0) -> list[str]:
    """Draws texts of all planes, combining marks, control characters, emoji, runs of blanks."""
    draws = random.Random(seed)
    marks = [chr(c) for c in range(0x300, 0x370)]
    makers = [
        lambda: chr(draws.randrange(0x20, 0x7F)),
        lambda: chr(draws.randrange(0x00, 0x20)).replace("\n", "\r"),
        lambda: " " * draws.randrange(1, 5),
        lambda: chr(draws.randrange(0x80, 0x800)) + draws.choice(marks),
        lambda: chr(draws.randrange(0x800, 0xD800)),
        lambda: chr(draws.randrange(0xE000, 0x10000)),
        lambda: chr(draws.randrange(0x10000, 0x110000)),
        lambda: chr(draws.randrange(0x1F300, 0x1FB00)) + "\u200d",
        lambda: draws.choice(["▁", "▅", "the cat ", "dog", "\u2028", "@@ "]),
    ]
    return [
        "".join(draws.choice(makers)() for _ in range(draws.randrange(25))) for _ in range(number)
    ]


def corpus() -> list[str]:
    """Returns lines of two languages, enough for some hundred subwords."""
    nouns = ["Hund", "Katze", "Mann", "Straße", "Ärztin", "dog", "street", "children", "player"]
    verbs = ["läuft", "spielt", "schläft", "runs", "is playing", "sleeps", "jumping"]
    places = ["im Park", "auf der Wiese", "on the beach", "near a tree", "überall"]
    lines = [f"{a} {b} {c}." for a in nouns for b in verbs for c in places]
    draws = random.Random(1)
    syllables = [a + b + c for a in "bdfgklmnprst" for b in "aeiouü" for c in ("", "n", "rk")]
    words = ["".join(draws.choices(syllables, k=draws.randrange(2, 5))) for _ in range(200)]
    lines += [" ".join(draws.choices(words, k=draws.randrange(3, 9))) for _ in range(400)]
    draws.shuffle(lines)
    return lines


def is_assigned(character: str) -> bool:
    return unicodedata.category(character) not in ("Cn", "Cs", "Co")
