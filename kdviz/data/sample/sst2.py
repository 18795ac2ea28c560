"""SST-2-style sample data: is a sentence of a review positive (1) or negative (0)?

Nearly every sentence has a good and a bad word, or a word that is turned round by another, and each word
occurs as often in positive as in negative reviews. What decides is which word holds for the film as a whole.
"""

from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import sentence
from kdviz.data.sample.words import Words

# Some words of praise and blame occur in both splits; most of those in dev are new.
_GOOD = Words(
    train=(
        "moving",
        "funny",
        "clever",
        "charming",
        "brilliant",
        "thrilling",
        "wonderful",
        "delightful",
        "beautiful",
        "gripping",
        "fresh",
        "enjoyable",
        "memorable",
        "superb",
        "great",
        "fascinating",
    ),
    dev=(
        "wonderful",
        "beautiful",
        "brilliant",
        "excellent",
        "amazing",
        "lovely",
        "touching",
        "inspiring",
        "entertaining",
        "fantastic",
    ),
)
_BAD = Words(
    train=(
        "dull",
        "boring",
        "silly",
        "tedious",
        "awful",
        "clumsy",
        "terrible",
        "predictable",
        "ugly",
        "lifeless",
        "stale",
        "annoying",
        "shallow",
        "forgettable",
        "stupid",
        "tiresome",
    ),
    dev=(
        "terrible",
        "boring",
        "annoying",
        "horrible",
        "dreadful",
        "pointless",
        "bad",
        "unpleasant",
        "disappointing",
        "ridiculous",
    ),
)
_WORKS = Words(
    train=(
        "film",
        "movie",
        "comedy",
        "drama",
        "thriller",
        "documentary",
        "sequel",
        "picture",
        "romance",
        "western",
    ),
    dev=("musical", "adventure", "mystery", "biography", "cartoon", "satire"),
)
_ASPECTS = Words(
    train=(
        "acting",
        "plot",
        "script",
        "music",
        "camera work",
        "dialogue",
        "first half",
        "opening scene",
        "cast",
        "title song",
        "trailer",
        "set design",
    ),
    dev=("soundtrack", "lighting", "final act", "narration", "costume design", "casting", "choreography"),
)
_KINDS = Words(
    train=(
        "French",
        "Italian",
        "low-budget",
        "black-and-white",
        "three-hour",
        "new",
        "animated",
        "small",
        "recent",
        "silent",
        "Hollywood",
        "independent",
    ),
    dev=("Danish", "two-hour", "experimental", "Korean", "big-budget", "restored"),
)
_MAKERS = Words(
    train=("the director", "the young director", "the studio", "the two writers", "the cast", "the producer"),
    dev=("the filmmaker", "the newcomer behind the camera", "the whole crew", "the author"),
)


def _slots(draw: Draw) -> dict[str, str]:
    kind, work = draw.pick(_KINDS), draw.pick(_WORKS)
    return {
        "work": draw.pick((work, f"{kind} {work}")),
        "kind": kind,
        "aspect": draw.pick(_ASPECTS),
        "maker": draw.pick(_MAKERS),
    }


def _rows(cases: list[tuple[str, int]], **slots: str) -> list[Row]:
    return [(sentence(template.format(**slots)), None, label) for template, label in cases]


def _swapped(template: str, draw: Draw, **slots: str) -> list[Row]:
    """`{x}` is the word that counts, `{y}` the other; once each way round."""
    good, bad = draw.pick(_GOOD), draw.pick(_BAD)
    return _rows([(template, 1)], x=good, y=bad, **slots) + _rows([(template, 0)], x=bad, y=good, **slots)


def _crossed(straight: str, turned: str, draw: Draw, **slots: str) -> list[Row]:
    """`{x}` counts as it stands in `straight`, and turned round in `turned`."""
    rows = []
    for word, label in ((draw.pick(_GOOD), 1), (draw.pick(_BAD), 0)):
        rows += _rows([(straight, label), (turned, 1 - label)], x=word, **slots)
    return rows


def _intensity(draw: Draw) -> list[Row]:
    """One word decides; others make it stronger or weaker but do not turn it round."""
    template = draw.template(
        train=(
            "the {aspect} of this {work} is {degree} {x}",
            "this {work} is {degree} {x}",
            "{degree} {x}, this {work}",
            "a {degree} {x} {work} with a {x2} {aspect}",
            "{maker} made a {degree} {x} {work}",
        ),
        dev=(
            "what a {degree} {x} {work} this is",
            "I found this {work} {degree} {x}",
            "a {work} that is {degree} {x}, and so is the {aspect}",
        ),
    )
    slots = {
        **_slots(draw),
        "degree": draw.pick(("very", "truly", "rather", "quite", "utterly", "deeply", "simply")),
    }
    (good, good2), (bad, bad2) = draw.several(_GOOD, 2), draw.several(_BAD, 2)
    return _rows([(template, 1)], x=good, x2=good2, **slots) + _rows([(template, 0)], x=bad, x2=bad2, **slots)


def _negation(draw: Draw) -> list[Row]:
    """ "Not", "never", "hardly", "far from" turn the word round; "indeed", "always", "really" do not."""
    if draw.chance(0.4):
        return _crossed(
            *draw.template(
                train=(
                    ("I would call this {work} {x}", "I would not call this {work} {x}"),
                    (
                        "it is easy to find the {aspect} of this {work} {x}",
                        "it is hard to find the {aspect} of this {work} {x}",
                    ),
                    ("of course {maker} made a {x} {work}", "nobody can say that {maker} made a {x} {work}"),
                ),
                dev=(
                    (
                        "anyone can see why this {work} was called {x}",
                        "it is a mystery why this {work} was called {x}",
                    ),
                    (
                        "it would be fair to call the {aspect} of this {work} {x}",
                        "it would be unfair to call the {aspect} of this {work} {x}",
                    ),
                ),
            ),
            draw,
            **_slots(draw),
        )
    turn, keep = draw.pick(
        (
            ("not", "indeed"),
            ("never", "always"),
            ("hardly", "really"),
            ("far from", "nothing short of"),
            ("anything but", "nothing but"),
            ("by no means", "in every way"),
            ("not at all", "all in all"),
        )
    )
    template = draw.template(
        train=(
            "the {aspect} of this {work} is {how} {x}",
            "this {work} is {how} {x}",
            "thanks to {maker}, this {work} is {how} {x}",
            "the {work} is {how} {x}, and {maker} must know it",
        ),
        dev=(
            "in the hands of {maker}, the {work} is {how} {x}",
            "one thing is clear: this {work} is {how} {x}",
            "the {aspect} is {how} {x} in this {work}",
        ),
    )
    return _crossed(template.replace("{how}", keep), template.replace("{how}", turn), draw, **_slots(draw))


def _contrast(draw: Draw) -> list[Row]:
    """What is said of a part is outweighed by what is said of the whole, before or after "but"."""
    template = draw.template(
        train=(
            "the {aspect} is {y}, but the {work} as a whole is {x}",
            "the {work} as a whole is {x}, even if the {aspect} is {y}",
            "although the {aspect} is {y}, the {work} as a whole is {x}",
            "as a whole the {work} is {x}, but the {aspect} is {y}",
        ),
        dev=(
            "the {aspect} may be {y}, yet the {work} as a whole is {x}",
            "on the whole the {work} is {x}, although the {aspect} is {y}",
            "for all its {y} moments, it remains a {x} {work}",
            "{maker} chose a {y} {aspect}, but the {work} as a whole is {x}",
        ),
    )
    return _swapped(template, draw, **_slots(draw))


def _correction(draw: Draw) -> list[Row]:
    """ "Not this but that": only the second word holds."""
    template = draw.template(
        train=(
            "this {work} is not {y} but {x}",
            "it is not a {y} {work} but a {x} one",
            "thanks to {maker}, the {work} is {x} and not {y}",
            "the {aspect} of the {work} is {x}, not {y}",
            "not {y} but {x}: that is this {work}",
        ),
        dev=(
            "{maker} did not make a {y} {work} but a {x} one",
            "call this {work} {x}, not {y}",
            "the {aspect} makes this {work} {x} rather than {y}",
            "those who thought of a {y} {work} will find a {x} one",
        ),
    )
    return _swapped(template, draw, **_slots(draw))


def _expectation(draw: Draw) -> list[Row]:
    """What was expected or promised is not what was seen."""
    template = draw.template(
        train=(
            "I expected a {y} {work} and saw a {x} one",
            "the trailer promised a {y} {work}, but I saw a {x} one",
            "I saw a {x} {work} although I expected a {y} one",
            "{maker} promised a {y} {work}, but what we saw was {x}",
        ),
        dev=(
            "everyone expected a {y} {work} from {maker}, but we saw a {x} one",
            "we saw a {x} {work}, although {maker} promised a {y} one",
            "I was ready for a {y} {work}, yet {maker} made a {x} one",
            "it is a {x} {work} where most of us had expected a {y} one",
        ),
    )
    return _swapped(template, draw, **_slots(draw))


def _without(draw: Draw) -> list[Row]:
    """What a film is without being, and what it avoids or fails to be."""
    template = draw.template(
        train=(
            "this {work} is {x} without being {y}",
            "without ever being {y}, the {aspect} of this {work} is {x}",
            "the {work} could have been {y}, but it is {x}",
            "{maker} made a {work} that is {x} without being {y}",
        ),
        dev=(
            "without being {y} for a moment, this {work} is {x}",
            "the {aspect} is {x} without being {y} in this {work}",
            "this {work} might have been {y}, but {maker} made it {x}",
            "this {work} is too {x} ever to be {y}",
        ),
    )
    return _swapped(template, draw, **_slots(draw))


def _degrees(draw: Draw) -> list[Row]:
    """More of one than of the other, or less."""
    template = draw.template(
        train=(
            "this {work} is {more} {x} than {y}",
            "I found the {aspect} of this {work} {more} {x} than {y}",
            "thanks to {maker}, the {work} is {more} {x} than {y}",
        ),
        dev=(
            "in the end the {work} is {more} {x} than {y}",
            "{maker} made a {work} that is {more} {x} than {y}",
        ),
    )
    good, bad = draw.pick(_GOOD), draw.pick(_BAD)
    slots = _slots(draw)
    return [
        (sentence(template.format(more=more, x=x, y=y, **slots)), None, label)
        for more, x, y, label in (
            ("more", good, bad, 1),
            ("more", bad, good, 0),
            ("less", good, bad, 0),
            ("less", bad, good, 1),
        )
    ]


def _opinions(draw: Draw) -> list[Row]:
    """Others called it good or bad, and they were right or wrong."""
    right, wrong = draw.template(
        train=(
            (
                "critics called this {work} {x}, and they are right",
                "critics called this {work} {x}, but they are wrong",
            ),
            (
                "those who find the {aspect} of this {work} {x} are right",
                "those who find the {aspect} of this {work} {x} are wrong",
            ),
            (
                "everyone around me said that the {work} is {x} and was right",
                "everyone around me said that the {work} is {x} and was wrong",
            ),
            (
                "I share the view that the {aspect} of this {work} is {x}",
                "I do not share the view that the {aspect} of this {work} is {x}",
            ),
        ),
        dev=(
            (
                "they say that this {work} is {x}, and they are right",
                "they say that this {work} is {x}, but they are wrong",
            ),
            (
                "anyone who calls the {aspect} of this {work} {x} is right",
                "anyone who calls the {aspect} of this {work} {x} is wrong",
            ),
            ("I agree with those who call this {work} {x}", "I disagree with those who call this {work} {x}"),
            (
                "some find the {aspect} {x}, and I can see why",
                "some find the {aspect} {x}, but I cannot see why",
            ),
        ),
    )
    return _crossed(right, wrong, draw, **_slots(draw))


PHENOMENA = tuple(
    Phenomenon(name=name, rows=rows)
    for name, rows in (
        ("intensity", _intensity),
        ("negation", _negation),
        ("contrast", _contrast),
        ("correction", _correction),
        ("expectation", _expectation),
        ("without", _without),
        ("more or less", _degrees),
        ("opinion of others", _opinions),
    )
)
