"""Text that a person wrote is read whatever program saved it, or named with what it is and how to convert it."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.files.encodings import advice, guess
from aigc.files.kinds import kind_of
from aigc.files.text import UnreadableTextError, decode_text, read_lines, read_text

POEM = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n"
TRADITIONAL = "離宮百雉餘，綺殿千尋起。\n連薨遙接漢，飛觀迥凌虛。\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_any_system_are_no_part_of_the_text(mark: bytes, end: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(mark + "a: 春\nb:\n  - \u2028\x0c\n\nlast".replace("\n", end).encode())
    assert read_text(path) == "a: 春\nb:\n  - \u2028\x0c\n\nlast"
    found = [(number, line.rstrip("\r\n")) for number, line in read_lines(path)]
    assert found == [(1, "a: 春"), (2, "b:"), (3, "  - \u2028\x0c"), (4, ""), (5, "last")]
    assert decode_text(path.read_bytes(), "stdin") == read_text(path)


def test_a_carriage_return_inside_a_line_of_a_file_with_newlines_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"10%\r20%\ndone\n")
    assert [line for _, line in read_lines(path)] == ["10%\r20%\n", "done\n"]


def test_a_file_with_carriage_returns_that_is_larger_than_any_buffer_is_read_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\r".join(f"{number} 春" * 9 for number in range(9000)).encode())
    assert [(n, line.strip()) for n, line in read_lines(path)][8999] == (9000, "8999 春" * 9)


def test_packed_text_is_unpacked_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(POEM.encode()) + gzip.compress(b"more"))  # as `cat a.gz b.gz` makes it
    assert read_text(path) == POEM + "more"


UTF32 = b"\xff\xfe\0\0" + POEM.encode("utf-32-le")
ARCHIVE = io.BytesIO()
with zipfile.ZipFile(ARCHIVE, "w") as archive:
    archive.writestr("a.txt", POEM)
KINDS = {
    "UTF-16 text": [POEM.encode("utf-16"), b"\xfe\xff" + POEM.encode("utf-16-be"), "text\nlines".encode("utf-16-le")],
    "UTF-32 text": [UTF32, POEM.encode("utf-32")],
    "a gzip file": [gzip.compress(POEM.encode())],
    "a zip archive": [ARCHIVE.getvalue()],
    "a PDF document": [b"%PDF-1.7\n%\xe2\xe3"],
    "a parquet file": [b"PAR1\x15\x04\x15"],
    "a Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"],
    "a bzip2 file": [b"BZh91AY&SY\x01"],
    "an image": [b"\x89PNG\r\n\x1a\n\0\0"],
}  # fmt: skip


@pytest.mark.parametrize("what", KINDS)
def test_a_file_of_another_kind_is_named(what: str, tmp_path: Path) -> None:
    for content in KINDS[what]:
        path = tmp_path / "a.txt"
        path.write_bytes(content)
        with pytest.raises(UnreadableTextError, match=rf"a\.txt: {what}.*, by its first bytes\. ") as caught:
            read_text(path)
        assert "GB18030" not in str(caught.value)
        packed = tmp_path / "a.txt.gz"
        packed.write_bytes(gzip.compress(content))
        with pytest.raises(UnreadableTextError, match=what):
            read_text(packed)


@pytest.mark.parametrize(
    "text", ["", "a", "PK", "%PDF is a format", "BZh", "PAR1S", "version https://", "<htmlx", "GIF8"]
)
def test_text_that_looks_a_little_like_another_kind_is_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert read_text(path) == text


@pytest.mark.parametrize("content", ["a\0b\n", "\0", "春" * 5000 + "\0"])
def test_a_nul_is_no_text_and_its_line_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"first\n{content}")
    with pytest.raises(UnreadableTextError, match="NUL") as caught:
        read_text(path)
    assert caught.value.line == 2
    assert decode_text(path.read_bytes(), "stdin").endswith(content), "what a model wrote is scored as it is"


def test_an_html_page_is_text_that_is_known(tmp_path: Path) -> None:
    for page in (b"<!DOCTYPE html>\n<p>", b"\xef\xbb\xbf\n <HTML lang=en>"):
        kind = kind_of(page)
        assert kind is not None
        assert kind.is_text
        assert decode_text(page, "a").endswith((">", "en>"))


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (POEM, "gb18030", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        (POEM.replace("鸟", "镕") * 3, "gb18030", "GB18030"),  # a character that GB 2312 lacks, which Big5 would take
        (TRADITIONAL, "big5", "BIG5"),
        ("吾輩は猫である。名前はまだ無い。", "shift_jis", "SHIFT_JIS"),
        ("Le café de l'été était déjà fermé.", "cp1252", "WINDOWS-1252"),
    ],
)
def test_other_encodings_are_named_with_file_line_byte_and_how_to_convert(
    text: str, encoding: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"seed: 1\n# " + text.encode(encoding))
    with pytest.raises(
        UnreadableTextError, match=rf"a\.yaml, line 2: not UTF-8: .* iconv -f {name} -t UTF-8"
    ) as caught:
        read_text(path)
    assert (caught.value.name, caught.value.line) == (str(path), 2)
    assert caught.value.what.startswith("not UTF-8: byte 0x")


SIMPLIFIED = "今天早上下了很大的雨，所以我上学迟到了。\n质量很好，物流也快，下次还会再来。\n"
KOREAN = "오늘 아침에는 비가 많이 내려서 학교에 늦었습니다.\n배송이 빠르고 제품도 마음에 들어요.\n"
JAPANESE = "今日は朝から雨が降っていたので、学校に遅れました。\nあの映画は本当に面白かった!\n"
RUSSIAN = "Сегодня утром шёл сильный дождь, поэтому я опоздал.\nЭтот фильм был очень интересным!\n"
FRENCH = "Le café de l'été était déjà fermé, où étiez-vous hier ?\nÇa m'a coûté 12 à peine.\n"
GERMAN = "Die Größe der Straße überrascht.\nSchöne Grüße aus Köln!\n"
GREEK = "Σήμερα το πρωί έβρεχε πολύ και άργησα στο σχολείο.\n"
POLISH = "Dziś rano padał silny deszcz, więc spóźniłem się.\nTen film był świetny, choć długi!\n"
TURKISH = "Bu sabah çok yağmur yağdı, okula geç kaldım.\nBu şarkı güzeldi!\n"
HEBREW = "הבוקר ירד גשם חזק ולכן איחרתי לבית הספר.\nהסרט היה מעניין מאוד.\n"
THAI = "วันนี้ฝนตกหนักมาก ฉันจึงไปโรงเรียนสาย\n"


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (SIMPLIFIED, "gb18030", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        (TRADITIONAL, "big5", "BIG5"),
        (KOREAN, "euc_kr", "EUC-KR"),
        (KOREAN + "똠방각하 펲시콜라 뷁\n", "cp949", "CP949"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (JAPANESE, "shift_jis", "SHIFT_JIS"),
        (JAPANESE + "①髙\n", "cp932", "CP932"),
        (RUSSIAN, "cp1251", "WINDOWS-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (RUSSIAN, "cp866", "CP866"),
        (FRENCH, "latin-1", "WINDOWS-1252"),
        (GERMAN, "cp1252", "WINDOWS-1252"),
        (GREEK, "cp1253", ""),
        (THAI, "tis_620", "CP874"),
        ("ขอบคุณมากครับ\n", "cp874", "CP874"),
        (HEBREW, "cp1255", "WINDOWS-1255"),
        (HEBREW, "cp862", "CP862"),
        (FRENCH, "cp850", ""),
        (POLISH, "cp852", ""),
        (POLISH, "cp1250", ""),
        (POLISH, "iso8859_2", ""),
        (TURKISH, "cp857", ""),
        (GREEK, "cp737", ""),
    ],
)
def test_the_encoding_of_whole_texts_is_guessed_or_left_open(text: str, encoding: str, name: str) -> None:
    data = text.encode(encoding)
    assert kind_of(data) is None
    assert guess(data) == name
    shown = advice(data)
    first = "".join(text.split())[:6] if name else "ENCODING"
    assert first in "".join(shown.split()), "how it reads is shown, so that a wrong guess is seen"


@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, KOREAN, JAPANESE, RUSSIAN, FRENCH, GREEK])
@pytest.mark.parametrize("order", ["LE", "BE"])
def test_utf16_of_any_script_without_a_mark_is_named(text: str, order: str) -> None:
    assert order in str(kind_of((text * 99).encode(f"utf-16-{order}")[:4096]))
    assert f"UTF-16{order}" in str(kind_of(text.encode(f"utf-16-{order}")))
    assert kind_of((text * 99).encode()[:4096]) is None, "UTF-8 is cut within a character"


def test_one_wrong_line_of_a_text_in_utf8_is_to_be_corrected_and_not_to_be_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("春\n" * 5).encode() + "Größe\n".encode("latin-1"))
    with pytest.raises(UnreadableTextError, match=r"line 6: .*correct this line") as caught:
        read_text(path)
    assert "iconv" not in str(caught.value)


def test_a_first_line_of_few_bytes_is_guessed_with_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"비\n{KOREAN}".encode("euc_kr"))
    with pytest.raises(UnreadableTextError, match=r"line 1: .*EUC-KR"):
        read_text(path)


def test_bytes_of_no_encoding_are_not_guessed() -> None:
    assert guess(b"\xff\xfe\xfd\xfc\xfb") == ""
    assert guess(b"") == ""


def test_what_cannot_be_opened_or_unpacked_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "no.txt.gz").write_bytes(b"plain text")
    (tmp_path / "half.txt.gz").write_bytes(gzip.compress(bytes(range(256)) * 50)[:80])
    for name, reason in {
        "nowhere.txt": "cannot be read: No such file or directory",
        "no.txt.gz": "not a gzip file, as its name says",
        "half.txt.gz": "not a whole gzip file",
        "": "cannot be read: Is a directory",
    }.items():
        with pytest.raises(InputError, match=reason) as caught:
            read_text(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
