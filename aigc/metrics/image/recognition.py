"""Recognition: whether a classifier finds the requested classes in generated images."""

from aigc.errors import InputError
from aigc.metrics.image.measure import Comparison, ImageMeasure
from aigc.metrics.image.pairs import PairConsumer


class Recognition(ImageMeasure):
    """`recognised` is the share of images, from 0 to 1, that a classifier takes for the class that was asked for.

    `classes_found` is the number of classes that at least one image is taken for; it needs no conditioning. The
    classifier is the extractor: `classifier` learns the classes of the training data.
    """

    names = ("recognised", "classes_found")
    higher_is_better = True
    needs_features = True
    needs_real = False

    def refuses(self, generated: int, real: int, classes: int | None) -> str | None:
        """Return why it cannot measure: there are no classes."""
        return None if classes else "recognising classes needs an extractor that has them: extractor=classifier"

    def scores(self, comparison: Comparison, consumer: PairConsumer | None) -> dict[str, float]:
        """Return both; `recognised` only of images that were asked to show a class."""
        one = comparison.generated
        if one.logits is None:
            raise InputError("recognising classes needs logits, and these statistics hold none: measure images")
        found = one.logits.argmax(1)
        scores = {"classes_found": float(len(set(found.tolist())))}
        if one.labels is not None and bool((one.labels >= 0).all()):
            scores["recognised"] = float((found == one.labels).double().mean())
        return scores
