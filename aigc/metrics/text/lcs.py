"""Longest common subsequences, a row of the table at a time: the bits of one integer are the columns of a row.

A cell exceeds its left neighbour by 0 or 1, so one bit a column holds a whole row, and one addition gives the next
one (Crochemore et al., 2001, "A fast and practical bit-vector algorithm for the longest common subsequence problem";
Hyyrö, 2004, "Bit-parallel LCS-length computation revisited"). Python's integers take texts of any length.
"""

from collections.abc import Hashable, Mapping, Sequence


def places_of(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """Where each token stands: an integer whose bit i is set where `tokens[i]` is that token."""
    places: dict[Hashable, int] = {}
    bit = 1
    for token in tokens:
        places[token] = places.get(token, 0) | bit
        bit <<= 1
    return places


def lcs_length(tokens: Sequence[Hashable], others: Sequence[Hashable]) -> int:
    """The length of the longest sequence of tokens that both have in the same order, gaps allowed."""
    places = places_of(tokens)
    row = full = (1 << len(tokens)) - 1  # a bit that is not set is a column that exceeds its left neighbour
    for matches in filter(None, map(places.get, others)):
        found = row & matches
        row = (row + found) | (row - found)
    return len(tokens) - (row & full).bit_count()


def lcs_places(tokens: Sequence[Hashable], places: Mapping[Hashable, int], width: int) -> list[int]:
    """One longest common subsequence of two sequences: the one that rouge_score 0.1.2 finds by its way back.

    Its way starts at the last cell of the table. Where both tokens are equal it takes them and goes on diagonally;
    elsewhere it goes left if the left cell is greater than the upper one, and up if not.

    Args:
        tokens: The sequence whose indices are wanted, the rows of the table.
        places: `places_of` the other one, the columns.
        width: The length of the other one.

    Returns:
        Indices into `tokens`, the last one first.
    """
    row = full = (1 << width) - 1
    rows = []
    for index, token in enumerate(tokens):
        matches = places.get(token)
        if matches:  # a row without a match equals the one above it: the way goes up
            rows.append((index, matches, row))
            found = row & matches
            row = ((row + found) | (row - found)) & full
    cell = width - row.bit_count()
    column, left = width, full
    taken = []
    for index, matches, above in reversed(rows):
        if not cell:
            break
        # Between a cell that exceeds the upper one and the next match on its left all cells do: the way leads there.
        match = (matches & left).bit_length()
        if match and (match == column or cell > column - (above & left).bit_count()):
            taken.append(index)
            cell -= 1
            column = match - 1
            left = (1 << column) - 1
    return taken
