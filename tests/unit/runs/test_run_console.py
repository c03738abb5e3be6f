"""What is said goes to the screen and to the log, and into a file that is both only once."""

import subprocess
import sys
from pathlib import Path

SAYS = """
import logging, warnings
from pathlib import Path
from aigc.runs.console import log_to, log, show_messages
logging.getLogger("pytorch_lightning").addHandler(logging.StreamHandler())
show_messages()
with log_to(Path("log.txt")):
    log.info("of aigc")
    logging.getLogger("pytorch_lightning").warning("of lightning")
    warnings.warn("of python")
log.info("afterwards")
"""


def said(folder: Path, screen: str) -> str:
    with (folder / screen).open("ab") as file:
        subprocess.run([sys.executable, "-c", SAYS], cwd=folder, stderr=file, check=True)
    return (folder / screen).read_text("utf-8")


def test_a_file_that_is_screen_and_log_has_each_line_once(tmp_path: Path) -> None:
    text = said(tmp_path, "log.txt")
    assert [text.count(words) for words in ("of aigc", "of lightning", "UserWarning: of python")] == [1, 1, 1]
    assert " INFO aigc: of aigc\n" in text
    assert text.endswith("\nafterwards\n")


def test_a_screen_and_a_log_both_have_it(tmp_path: Path) -> None:
    screen, log = said(tmp_path, "screen.txt"), (tmp_path / "log.txt").read_text("utf-8")
    for words in ("of aigc", "of lightning"):
        assert (screen.count(words), log.count(words)) == (1, 1)
    assert "afterwards" not in log


NOISE = """
import logging, sys, warnings
from pathlib import Path
from aigc.runs.console import log_to, show_messages
show_messages()
handler = logging.StreamHandler()
for name in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).setLevel(logging.INFO)  # as the import of Lightning does, which may come later
with log_to(Path("log.txt")):
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).info("GPU available: False, used: False")
        logging.getLogger(name).warning("Tip: buy this")
        logging.getLogger(name).warning("this matters")
    warnings.warn("You passed in a `val_dataloader` but have no `validation_step`. Skipping val loop.")
"""


def test_what_lightning_says_of_its_own_choices_reaches_nobody(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NOISE], cwd=tmp_path, capture_output=True, text=True, check=True)
    for text in (done.stderr, (tmp_path / "log.txt").read_text("utf-8")):
        assert "this matters" in text
        assert not any(word in text for word in ("GPU", "Tip", "val_dataloader"))
