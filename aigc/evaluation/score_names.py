"""The names under which the evaluations of one run record their scores."""

from collections.abc import Iterable, Sequence

from aigc.errors import InputError


class ScoreNames:
    """The recorded names of one evaluation's scores, which no other evaluation of the run has.

    A score is recorded as `val/<score>`, or as `val/<evaluation>/<score>` where another evaluation has that name
    already. Scores that an evaluation declares are claimed before the first step, in the order of the evaluations;
    others at their first record. `state` keeps those for a resumed run.
    """

    def __init__(self) -> None:
        self.key = ""
        """The config key of the evaluation."""
        self._names: dict[str, str] = {}
        self._others: Sequence[ScoreNames] = ()
        self._declared: set[str] = set()

    def join(self, key: str, others: Sequence["ScoreNames"], declared: Iterable[str]) -> None:
        """Claim names for the scores that the evaluation declares.

        Args:
            key: The config key of the evaluation.
            others: The names of all other evaluations of the run.
            declared: The scores.

        Raises:
            InputError: Another evaluation has both names of a score, or the same last part of its key.
        """
        self.key, self._others, self._declared = key, others, set(declared)
        for other in others:
            if other.key.rpartition(".")[2] == self._evaluation:
                raise InputError(f"{key} and {other.key} would share names and files: give one of them another name")
        self.of(declared)

    def of(self, scores: Iterable[str]) -> dict[str, str]:
        """Return the recorded name of each score; a new score claims one.

        Raises:
            InputError: Another evaluation has both names of a score.
        """
        for score in scores:
            if score not in self._names:
                self._names[score] = self._free_name(score)
        return {score: self._names[score] for score in scores}

    def state(self) -> dict[str, str]:
        """Return the names of the scores that were not declared."""
        return {score: name for score, name in self._names.items() if score not in self._declared}

    def load_state(self, state: dict[str, str]) -> None:
        """Restore what `state` returned, except names that another evaluation has by now."""
        owned = {name for other in self._others for name in other._names.values()}
        self._names |= {score: name for score, name in state.items() if name not in owned}

    @property
    def _evaluation(self) -> str:
        return self.key.rpartition(".")[2]

    def _free_name(self, score: str) -> str:
        owners = {name: other.key for other in self._others for name in other._names.values()}
        short, long = f"val/{score}", f"val/{self._evaluation}/{score}"
        if short not in owners:
            return short
        if long in owners:
            raise InputError(
                f"{self.key} cannot record its score {score}: {owners[short]} records {short}, and {owners[long]} "
                f"records {long}; switch one of them off with =null, or give it another name"
            )
        return long
