"""Names of the scores that an evaluation gives."""

from collections.abc import Iterable, Mapping

from aigc.errors import InputError


def check_unique_scores(place: str, scores: Mapping[str, Iterable[str]]) -> None:
    """See that no two metrics give a score of one name: one would overwrite the other.

    Args:
        place: The key of the metrics in a config, for messages.
        scores: For each metric's node, the names of its scores.

    Raises:
        InputError: Two do.
    """
    owners: dict[str, str] = {}
    for node, names in scores.items():
        for name in names:
            if name in owners:
                raise InputError(
                    f"{place}.{node} gives the score {name}, and so does {place}.{owners[name]}: "
                    "switch one off with =null"
                )
            owners[name] = node
