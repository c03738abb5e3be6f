"""The tokeniser that BLEU chooses by script."""

import random
import warnings

import pytest
import regex
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.scripts import fit
from aigc.metrics.text.ter import TERScorer
from tests.unit.metrics.text_samples import COUPLETS, ENGLISH, MIXED, POEMS, Pairs, sacrebleu_result, split

SCRIPTS = {
    "Latin": ("the quick brown fox jumps over the lazy dog", "13a"),
    "Latin with accents": ("Việt Nam là một quốc gia nằm ở Đông Nam Á", "13a"),
    "full-width Latin": ("Ｔｈｅ ｑｕｉｃｋ ｂｒｏｗｎ ｆｏｘ", "13a"),
    "Cyrillic": ("Я каждый день использую компьютер на работе", "13a"),
    "Greek": ("Χρησιμοποιώ τον υπολογιστή κάθε μέρα", "13a"),
    "Arabic": ("أستخدم الحاسوب كل يوم في العمل", "13a"),
    "Hebrew": ("אני משתמש במחשב כל יום בעבודה", "13a"),
    "Devanagari": ("मैं हर दिन कंप्यूटर का उपयोग करता हूँ", "13a"),
    "Tamil": ("நான் தினமும் கணினியைப் பயன்படுத்துகிறேன் வேலையில்", "13a"),
    "Ethiopic": ("እኔ በየቀኑ ኮምፒውተር እጠቀማለሁ በሥራ ላይ", "13a"),
    "Georgian": ("მე ყოველდღე ვიყენებ კომპიუტერს სამსახურში", "13a"),
    "Armenian": ("Ես ամեն օր համակարգիչ եմ օգտագործում", "13a"),
    "Mongolian": ("ᠪᠢ ᠡᠳᠦᠷ ᠪᠦᠷᠢ ᠺᠣᠮᠫᠢᠦᠲᠧᠷ ᠬᠡᠷᠡᠭᠯᠡᠳᠡᠭ", "13a"),
    "Chinese": ("床前明月光，疑是地上霜。", "zh"),
    "traditional Chinese": ("四時運灰琯，一夕變冬春。", "zh"),
    "Chinese and Latin": ("我们用PyTorch训练", "zh"),
    "Bopomofo": ("ㄨㄛˇㄇㄟˊㄊㄧㄢㄕˇㄩㄥˋ", "zh"),
    "Chinese beyond the basic plane": ("𠀀𠀁𠀂𠀃𠀄", "char"),
    "Japanese": ("私は毎日コンピュータを使っています。", "char"),
    "Katakana": ("コンピュータプログラミング", "char"),
    "half-width Katakana": ("ｺﾝﾋﾟｭｰﾀﾌﾟﾛｸﾞﾗﾑ", "char"),
    "Korean": ("나는 매일 컴퓨터를 사용합니다.", "char"),
    "Korean without spaces": ("나는매일컴퓨터를사용합니다", "char"),
    "Thai": ("ฉันใช้คอมพิวเตอร์ทุกวัน", "char"),
    "Lao": ("ຂ້ອຍໃຊ້ຄອມພິວເຕີທຸກໆມື້", "char"),
    "Khmer": ("ខ្ញុំប្រើកុំព្យូទ័ររាល់ថ្ងៃ", "char"),
    "Burmese": ("ကျွန်တော်နေ့တိုင်းကွန်ပျူတာသုံးသည်", "char"),
    "Tibetan": ("ངས་ཉིན་ལྟར་གློག་ཀླད་བེད་སྤྱོད་བྱེད་ཀྱི་ཡོད།", "char"),
    "Yi": ("ꆈꌠꁱꂷꆏꉙꐧꌠ", "char"),
    "Javanese": ("ꦲꦏꦸꦔꦁꦒꦺꦴꦏꦺꦴꦩ꧀ꦥꦸꦠꦺꦂ", "char"),
}


@pytest.mark.parametrize(("text", "tokenizer"), SCRIPTS.values(), ids=SCRIPTS)
def test_identical_text_is_perfect_in_every_script(text: str, tokenizer: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bleu = BLEUScorer().measure([text], [text])
    assert bleu.scores["bleu"] == pytest.approx(100)
    assert f"|tok:{tokenizer}|" in bleu.signature
    assert CHRFScorer().measure([text], [text]).scores["chrf"] == pytest.approx(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert TERScorer().measure([text], [text]).scores == {"ter": 0}


@pytest.mark.parametrize(("text", "tokenizer"), SCRIPTS.values(), ids=SCRIPTS)
def test_half_of_a_text_is_not_perfect(text: str, tokenizer: str) -> None:
    """A negative control: scores of 100 for identical text could be scores of 100 for anything."""
    half = text[: len(text) // 2]
    assert BLEUScorer().measure([half], [text]).scores["bleu"] < 60
    assert CHRFScorer().measure([half], [text]).scores["chrf"] < 70


def test_sacrebleus_default_is_blind_to_chinese() -> None:
    assert sacrebleu.corpus_bleu(["床前明月光，疑是地上霜。"], [["床前明月光，疑是地上霜。"]]).score == 0


def test_the_same_latin_words_in_unrelated_chinese_are_no_success() -> None:
    prediction, reference = "我们用PyTorch训练GPT-2模型，学习率为3e-4。", "完全不同的内容 PyTorch GPT-2 3e-4"
    assert BLEUScorer().measure([prediction], [reference]).scores["bleu"] < 15
    assert CHRFScorer().measure([prediction], [reference]).scores["chrf"] < 45
    related = BLEUScorer().measure([prediction], ["我们使用PyTorch来训练GPT-2模型，学习率设为3e-4。"]).scores["bleu"]
    assert related > 50


CORPORA = {
    "13a": [*ENGLISH, "12 345", "", "😀", "Кошка сидела на ковре"],
    "zh": [*POEMS[:20], *COUPLETS, *MIXED[:5]],
    "char": [MIXED[5], MIXED[6], MIXED[7], *(text for text, name in SCRIPTS.values() if name == "char")],
}


@pytest.mark.parametrize("tokenizer", CORPORA)
def test_a_corpus_of_one_script_has_sacrebleus_score(tokenizer: str) -> None:
    chance = random.Random(3)
    lines = CORPORA[tokenizer]
    pairs = [(chance.choice(lines)[1:] or text, [text, *chance.sample(lines, chance.randint(0, 2))]) for text in lines]
    pairs += [(text[:-2] + text[-1:], [text]) for text in lines]
    for smooth in ("exp", "add-k"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours = BLEUScorer(smooth_method=smooth).measure(*split(pairs))
        engine = sacrebleu.BLEU(tokenize=tokenizer, smooth_method=smooth)
        assert ours.scores == {"bleu": sacrebleu_result(engine, pairs).score}
        assert ours.signature == str(engine.get_signature())
        assert ours.scores["bleu"] > 10


@pytest.mark.parametrize(
    ("references", "tokenizer"),
    [
        (["an ordinary line with a shrug ¯\\_(ツ)_/¯ in it"], "13a"),
        (["The Korean word 물 is water, as everybody knows."], "13a"),
        (["The Chinese word 水 is water."], "13a"),
        (["我们把日语的の字去掉，然后继续训练这个模型。"], "zh"),
        (["東京都渋谷区の神宮前で会いましょう"], "char"),
        (["NVIDIA 그래픽 카드를 PyTorch로 사용"], "char"),
        (["English", "中文"], "zh"),
        (["", "  "], "13a"),
        (["12,5 % — …"], "13a"),
    ],
)
def test_the_script_of_the_references_decides(references: list[str], tokenizer: str) -> None:
    assert fit(references)[0] == fit(references[::-1])[0] == tokenizer
    for prediction in ("我们", "the cat", "私は"):
        assert f"|tok:{tokenizer}|" in BLEUScorer().measure([prediction], [references]).signature


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_mixed_corpus_adds_up_and_is_warned_of_once(latin: int, han: int, kana: int, chance: random.Random) -> None:
    """The statistics of each line are sacrebleu's with the tokeniser of the line."""
    groups: dict[str, Pairs] = {
        "13a": [("the café is on a mat", ["the café is on the mat"])] * latin,
        "zh": [(POEMS[0][2:], [f"GPT{POEMS[0]}", POEMS[1]])] * han,
        "char": [(MIXED[5], [MIXED[5]])] * kana,
    }
    pairs = [pair for group in groups.values() for pair in group]
    if not pairs:
        return
    chance.shuffle(pairs)
    numbers = sorted(map(len, groups.values()))
    mixed = 10 * sum(numbers[:-1]) > sum(numbers)
    scorer = BLEUScorer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        measured = scorer.measure(*split(pairs))
        assert scorer.measure(*split(pairs)) == measured
    assert [("mix scripts" in str(each.message)) for each in caught] == [True] * mixed
    assert all("choose tokenize yourself" in str(each.message) for each in caught)
    sums = [0] * 10
    for tokenizer, group in groups.items():
        if group:
            theirs = sacrebleu_result(sacrebleu.BLEU(tokenize=tokenizer), group)
            own = [theirs.sys_len, theirs.ref_len, *theirs.counts, *theirs.totals]
            sums = [a + b for a, b in zip(sums, own, strict=True)]
    expected = sacrebleu.BLEU.compute_bleu(sums[2:6], sums[6:], sums[0], sums[1], "exp")
    assert measured.scores == {"bleu": expected.score}
    lines = {name: len(group) for name, group in groups.items() if group}
    told = ",".join(f"{name}:{number}" for name, number in lines.items())
    assert f"|tok:{f'auto[{told}]' if len(lines) > 1 else next(iter(lines))}|" in measured.signature


edges = st.lists(st.sampled_from([*"a1.,-& ;'<>", "&amp;", "&quot;", "<skipped>", "-\n", "\n", "5.", ".5", "é"])).map(
    "".join
)
chinese = st.lists(st.sampled_from([*"明月ㄅ。，！“”Ａ１々〇鿏ツ가 　", "\n", "a", "1", "."])).map("".join)


@given(st.lists(st.one_of(edges, chinese), min_size=2, max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_line_that_fits_two_tokenisers_is_cut_alike_by_both(texts: list[str], lowercase: bool) -> None:
    engines = [sacrebleu.BLEU(tokenize=name, lowercase=lowercase) for name in fit(texts[1:], texts[0])]
    for text in texts:
        assert len({tuple(engine._preprocess_segment(text).split()) for engine in engines}) == 1


def test_lines_that_two_tokenisers_cut_apart_fit_one() -> None:
    """The negative control: were all lines taken for neutral ones, the score would not be that of the signature."""
    for text in ("in 2020.", ".5 of them", "a &amp; b", "cut-\nting", "café"):
        assert fit([text]) == ("13a",), text
        assert fit(["words"], text) == ("13a",)
    assert fit(["words."]) == ("13a", "zh")
    assert fit(["明月，"]) == ("zh", "char")
    assert fit(["GPT明月"]) == ("zh",)
    assert fit(["ツ明月"]) == ("char",)


def test_a_few_lines_of_another_script_do_not_hide_the_tokeniser() -> None:
    lines = [*POEMS[:20], "用GPT训练模型", "OK", "3.14%"]
    measured = BLEUScorer().measure(lines, lines)
    assert "|tok:zh|" in measured.signature
    kanji = ["東京都", "私は東京に行きます。", "大学"]
    pairs = [(line[1:], [line]) for line in kanji]
    measured = BLEUScorer().measure(*split(pairs))
    assert "|tok:char|" in measured.signature
    assert measured.scores == {"bleu": sacrebleu_result(sacrebleu.BLEU(tokenize="char"), pairs).score}


@pytest.mark.slow
def test_every_chinese_character_is_a_token() -> None:
    """Among those of the basic plane are some that sacrebleu's zh does not know; five of them were one word to it."""
    characters = regex.findall(r"\p{Han}", "".join(map(chr, range(0x2E80, 0xFB00))))
    assert len(characters) > 27_000
    for start in range(0, len(characters) - 5, 5):
        line = "".join(characters[start : start + 5])
        if len(line) == 5:
            assert BLEUScorer().measure([line], [line]).scores["bleu"] == pytest.approx(100), line


def test_what_decided_is_said_before_there_are_texts() -> None:
    assert "|tok:auto|" in "|" + BLEUScorer().signature_of(BLEUScorer().statistics([], []).sum(axis=0))
