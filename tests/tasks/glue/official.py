"""Small files in GLUE's official layouts, written out by hand, and the rows they hold."""

from pathlib import Path
from typing import NamedTuple


class Expected(NamedTuple):
    texts: tuple[list[str], ...]
    labels: list[float] | None
    ids: list[int]


MNLI_LABELLED = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\t{}gold_label\n"
)
MNLI_UNLABELLED = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\n"
)
STSB_TRAIN = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
)
STSB_TEST = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\n"
PAIR = "index\tsentence1\tsentence2"

FILES: dict[str, dict[str, str]] = {
    "CoLA": {
        "train.tsv": "gj04\t1\t\tThey drank the pub dry.\ngj04\t0\t*\tThey drank the pub.\n",
        "dev.tsv": 'gj04\t1\t\tHe said "go.\n',
        "test.tsv": "index\tsentence\n0\tBill sang himself.\n1\tBill slept.\n",
    },
    "SST-2": {
        "train.tsv": "sentence\tlabel\nno wit , only labored gags \t0\nnever dull \t1\n",
        "dev.tsv": 'sentence\tlabel\n" unflinchingly bleak \t0\n',
        "test.tsv": "index\tsentence\n0\tuneasy mishmash of styles .\n1\ta fine film \n",
    },
    "MRPC": {
        "train.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
        '1\t10\t11\tHe said " yes .\tShe said yes .\r\n0\t12\t13\tA rise .\tA fall .\r\n',
        "dev.tsv": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t20\t21\tIt fell .\tIt sank .\n",
        "test.tsv": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t30\t31\tUp .\tDown .\n",
    },
    "STS-B": {
        "train.tsv": STSB_TRAIN
        + "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000\n"
        + "1\tmain-captions\tMSRvid\t2012test\t0004\tnone\tnone\tA flute.\tA harp.\t1.25\n",
        "dev.tsv": STSB_TRAIN + "0\tg\tf\ty\t0\tnone\tnone\tA hat.\tA cat.\t0.000\n",
        "test.tsv": STSB_TEST + "0\tg\tf\ty\t0\tnone\tnone\tA girl.\tA boy.\n",
    },
    "QQP": {
        # Lines 3 and 4 are a row that a line break inside its first question cut in two.
        "train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "133273\t213221\t213222\tHow tall?\tHow high?\t1\n"
        '97931\t1\t2\t"Who was\n'
        '"\tIs there evidence?\t0\n'
        "402555\t536040\t536041\tWhen?\tWhere?\t0\n",
        "dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n7\t1\t2\tWhy?\tHow?\t0\n",
        "test.tsv": "id\tquestion1\tquestion2\n0\tWhich?\tWho?\n1\tYes?\tNo?\n",
    },
    "MNLI": {
        "train.tsv": MNLI_LABELLED.format("label1\t")
        + "0\t1n\t1n\tfiction\t( a )\t( b )\tA\tB\tIt rains.\tIt is wet.\tneutral\tentailment\n"
        + "1\t2n\t2n\tfiction\t( a )\t( b )\tA\tB\tIt rains.\tIt is dry.\tneutral\tcontradiction\n",
        "dev_matched.tsv": MNLI_LABELLED.format("label1\tlabel2\tlabel3\tlabel4\tlabel5\t")
        + "0\tp\tp\tslate\ta\tb\tA\tB\tOne.\tTwo.\tneutral\tneutral\tneutral\tneutral\tneutral\t"
        + "neutral\n",
        "dev_mismatched.tsv": MNLI_LABELLED.format("label1\tlabel2\tlabel3\tlabel4\tlabel5\t")
        + "0\tp\tp\toup\ta\tb\tA\tB\tThree.\tFour.\tneutral\tneutral\tneutral\tneutral\tneutral\t"
        + "contradiction\n",
        "test_matched.tsv": MNLI_UNLABELLED + "0\tp\tp\tslate\ta\tb\tA\tB\tFive.\tSix.\n",
        "test_mismatched.tsv": MNLI_UNLABELLED + "0\tp\tp\toup\ta\tb\tA\tB\tSeven.\tEight.\n",
    },
    "QNLI": {
        "train.tsv": "index\tquestion\tsentence\tlabel\n0\tWhen?\tIn 1066.\tentailment\n",
        "dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tIn\u2028 1066.\tnot_entailment\n",
        "test.tsv": "index\tquestion\tsentence\n0\tWhere?\tAt Hastings.\n",
    },
    "RTE": {
        "train.tsv": f"{PAIR}\tlabel\n"
        "0\tNo dog.\tA dog.\tnot_entailment\n"
        "1\tÉmile.\tA name.\tentailment\n",
        "dev.tsv": f"{PAIR}\tlabel\n0\tSun.\tMoon.\tnot_entailment\n",
        "test.tsv": f"{PAIR}\n0\tSea.\tLand.\n1\tAir.\tFire.\n",
    },
    "WNLI": {
        "train.tsv": f"{PAIR}\tlabel\n0\tHe saw her.\tHe saw Ann.\t1\n",
        "dev.tsv": f"{PAIR}\tlabel\n0\tIt broke.\tThe cup broke.\t0\n",
        "test.tsv": f"{PAIR}\n0\tShe left.\tEve left.\n",
    },
    "AX": {"diagnostic.tsv": f"{PAIR}\n0\tThe cat sat.\tThe cat did not sit.\n1\tA.\tB.\n"},
}

ROWS: dict[tuple[str, str], Expected] = {
    ("CoLA", "train"): Expected(
        (["They drank the pub dry.", "They drank the pub."],), [1, 0], [0, 1]
    ),
    ("CoLA", "validation"): Expected((['He said "go.'],), [1], [0]),
    ("CoLA", "test"): Expected((["Bill sang himself.", "Bill slept."],), None, [0, 1]),
    ("SST-2", "train"): Expected((["no wit , only labored gags", "never dull"],), [0, 1], [0, 1]),
    ("SST-2", "validation"): Expected((['" unflinchingly bleak'],), [0], [0]),
    ("SST-2", "test"): Expected((["uneasy mishmash of styles .", "a fine film"],), None, [0, 1]),
    ("MRPC", "train"): Expected(
        (['He said " yes .', "A rise ."], ["She said yes .", "A fall ."]), [1, 0], [0, 1]
    ),
    ("MRPC", "validation"): Expected((["It fell ."], ["It sank ."]), [1], [0]),
    ("MRPC", "test"): Expected((["Up ."], ["Down ."]), None, [0]),
    ("STS-B", "train"): Expected(
        (["A plane.", "A flute."], ["An air plane.", "A harp."]), [5.0, 1.25], [0, 1]
    ),
    ("STS-B", "validation"): Expected((["A hat."], ["A cat."]), [0.0], [0]),
    ("STS-B", "test"): Expected((["A girl."], ["A boy."]), None, [0]),
    ("QQP", "train"): Expected((["How tall?", "When?"], ["How high?", "Where?"]), [1, 0], [0, 3]),
    ("QQP", "validation"): Expected((["Why?"], ["How?"]), [0], [0]),
    ("QQP", "test"): Expected((["Which?", "Yes?"], ["Who?", "No?"]), None, [0, 1]),
    ("MNLI", "train"): Expected(
        (["It rains.", "It rains."], ["It is wet.", "It is dry."]), [0, 2], [0, 1]
    ),
    ("MNLI", "validation_matched"): Expected((["One."], ["Two."]), [1], [0]),
    ("MNLI", "validation_mismatched"): Expected((["Three."], ["Four."]), [2], [0]),
    ("MNLI", "test_matched"): Expected((["Five."], ["Six."]), None, [0]),
    ("MNLI", "test_mismatched"): Expected((["Seven."], ["Eight."]), None, [0]),
    ("QNLI", "train"): Expected((["When?"], ["In 1066."]), [0], [0]),
    ("QNLI", "validation"): Expected((["Who?"], ["In\u2028 1066."]), [1], [0]),
    ("QNLI", "test"): Expected((["Where?"], ["At Hastings."]), None, [0]),
    ("RTE", "train"): Expected((["No dog.", "Émile."], ["A dog.", "A name."]), [1, 0], [0, 1]),
    ("RTE", "validation"): Expected((["Sun."], ["Moon."]), [1], [0]),
    ("RTE", "test"): Expected((["Sea.", "Air."], ["Land.", "Fire."]), None, [0, 1]),
    ("WNLI", "train"): Expected((["He saw her."], ["He saw Ann."]), [1], [0]),
    ("WNLI", "validation"): Expected((["It broke."], ["The cup broke."]), [0], [0]),
    ("WNLI", "test"): Expected((["She left."], ["Eve left."]), None, [0]),
    ("AX", "test"): Expected(
        (["The cat sat.", "A."], ["The cat did not sit.", "B."]), None, [0, 1]
    ),
}


def write_official(folder: Path, name: str, as_folder: str | None = None) -> Path:
    """Writes the files of a data set into a folder of its own; returns that folder."""
    home = folder / (as_folder or name)
    home.mkdir(parents=True)
    for file, content in FILES[name].items():
        (home / file).write_bytes(content.encode("utf-8"))
    return home
