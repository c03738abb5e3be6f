"""Named forms of verse for `FormAccuracy`: regular expressions that a whole text must match."""

FORMS = {
    # Four lines of five characters: 床前明月光，疑是地上霜。举头望明月，低头思故乡。
    "chinese_quatrain": r"(?:\p{Han}{5}，\p{Han}{5}。){2}",
    # Four lines of seven characters.
    "chinese_seven_quatrain": r"(?:\p{Han}{7}，\p{Han}{7}。){2}",
    # One line of five characters, without punctuation.
    "chinese_couplet_line": r"\p{Han}{5}",
}
