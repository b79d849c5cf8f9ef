"""Sentences with what tokenizers trip over, translated well, badly and not at all.

Each is a hypothesis and two references. The figures are those that Moses' own scripts print of
them (github.com/moses-smt/mosesdecoder, under perl 5.36), after

    tokenizer.perl -l LANGUAGE | lowercase.perl | multi-bleu.perl -lc
"""

from typing import NamedTuple


class Printed(NamedTuple):
    """What multi-bleu.perl prints, with one reference and with two."""

    one_reference: str
    two_references: str


ENGLISH = [
    (
        "A man in a red jacket sits on a bench .",
        "A man in a red jacket is sitting on a bench.",
        "On a bench sits a man in a red jacket.",
    ),
    (
        "Two dogs are running through the snow.",
        "Two dogs are running through the snow.",
        "Through the snow run two dogs.",
    ),
    ("Dr. Smith isn't here today.", "Dr. Smith is not here today.", "Dr. Smith isn't in today."),
    (
        "it costs $5,300.50, not 5,000!",
        "It costs $5,300.50, not $5,000!",
        "The price is $5,300.50, not $5,000!",
    ),
    ('"I don\'t know," she said.', '"I don\'t know", said she.', '"I don\'t know," she said.'),
    ("We waited ... and waited...", "We waited... and waited...", "We waited and waited ..."),
    ("so am I.", "So am I.", "Me too."),
    (
        "The U.S. won 3-2 in the 1990's.",
        "The U.S. won by 3-2 in the 1990s.",
        "In the 1990's the U.S. won 3-2.",
    ),
    ("", "A girl laughs.", ""),
    ("Cat.", "Cats.", "A cat."),
    (
        "the the the the the the the",
        "The cat is on the mat, and the dog is on the rug.",
        "There is a cat on the mat.",
    ),
    (
        "He works at AT&T [since May].",
        "He has worked at AT&T [since May].",
        "Since May he works at AT&T.",
    ),
    (
        "See No. 5 of vol. 12, pp. 3.",
        "See No. 5 of vol. 12, pp. 3 ff.",
        "See No. 5 of vol. 12, p. 3.",
    ),
    (
        "Is that so? Yes! Of course.",
        "Is it so? Yes! Of course it is.",
        "Is that so? Yes! Certainly.",
    ),
    (
        "The players' bus is late, isn't it?",
        "The players' bus is late, is it not?",
        "The players' bus is late, isn't it?",
    ),
    (
        "A well-known café opens at 8 p.m.",
        "A well-known café opens at 8 p.m.",
        "A famous café opens at 8 p.m.",
    ),
    (
        "A woman holds up a sign that reads 'no.'",
        "A woman holds a sign that reads 'no.'",
        "A woman holds up a sign: 'no.'",
    ),
    (
        "People   walk\tacross a street in the rain.",
        "People cross a street in the rain.",
        "People walk across a street in the rain.",
    ),
    ("x < y & y > z | w", "x < y & y > z | w", "x is less than y"),
    (
        "Nothing of this was translated at all",
        "Eine Frau geht mit zwei Hunden spazieren.",
        "A woman walks two dogs.",
    ),
    (
        "I'm sure they'll come; we've asked them.",
        "I am sure they will come; we asked them.",
        "I'm sure they'll come; we've asked.",
    ),
    (
        "Three children play football on a muddy field",
        "Three kids play soccer in the mud.",
        "Three children play football on a muddy field.",
    ),
    (
        "A surfer rides a huge wave in Hawai'i.",
        "A surfer is riding a big wave in Hawai'i.",
        "A surfer rides a big wave.",
    ),
    (
        "On Jan. 6 the boat was found (empty).",
        "The boat was found (empty) on Jan. 6.",
        "On Jan. 6 the empty boat was found.",
    ),
]

GERMAN = [
    (
        "Ein Mann mit roter Jacke sitzt auf einer Bank.",
        "Ein Mann in roter Jacke sitzt auf der Bank.",
        "Auf einer Bank sitzt ein Mann mit roter Jacke.",
    ),
    (
        "Über den Dächern geht die Sonne auf.",
        "Über den Dächern geht die Sonne auf.",
        "Die Sonne geht über den Dächern auf.",
    ),
    ("Öfter als 3,5 mal am Tag.", "Öfter als 3,5-mal am Tag.", "Mehr als 3,5 mal am Tag."),
    (
        "Am 3. Oktober, z.B. in Köln, ist frei.",
        "Am 3. Oktober ist z. B. in Köln frei.",
        "In Köln ist z.B. am 3. Oktober frei.",
    ),
    ("Sie ist die 5.", "Sie ist Nr. 5.", "Sie ist die Fünfte."),
    (
        "„Wie geht's?“, fragte Dr. Müller.",
        "„Wie geht es dir?“, fragte Dr. Müller.",
        "„Wie geht's?“, fragte Dr. Müller.",
    ),
    (
        "Die Straße ist naß; er rutscht aus.",
        "Die Straße ist nass; er rutscht aus.",
        "Er rutscht auf der nassen Straße aus.",
    ),
    (
        "Zwei Hunde laufen durch den Schnee.",
        "Zwei Hunde rennen durch den Schnee.",
        "Durch den Schnee laufen zwei Hunde.",
    ),
    ("ÄRZTE UND PFLEGER STREIKEN", "Ärzte und Pfleger streiken.", "Ärzte und Pfleger im Streik"),
    (
        "Das Auto kostet 12.000 € (oder mehr)...",
        "Das Auto kostet 12.000 € (oder mehr) ...",
        "Das Auto kostet mindestens 12.000 €...",
    ),
    ("", "Niemand weiß es.", "Das weiß niemand."),
    (
        "Ein Kind spielt mit dem Ball.",
        "Ein Junge spielt mit seinem Ball.",
        "Ein Kind spielt mit dem Ball.",
    ),
]

SENTENCES = {"en": ENGLISH, "de": GERMAN}
PRINTED = {
    "en": Printed(
        "BLEU = 56.72, 83.0/65.0/56.5/47.7 (BP=0.919, ratio=0.922, hyp_len=200, ref_len=217)",
        "BLEU = 84.30, 94.5/88.1/82.5/75.0 (BP=0.995, ratio=0.995, hyp_len=200, ref_len=201)",
    ),
    "de": Printed(
        "BLEU = 54.15, 84.4/67.1/47.1/36.8 (BP=0.967, ratio=0.968, hyp_len=90, ref_len=93)",
        "BLEU = 74.51, 96.7/86.1/72.1/61.4 (BP=0.957, ratio=0.957, hyp_len=90, ref_len=94)",
    ),
}
