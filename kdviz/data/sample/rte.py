"""RTE-style sample data: does the first sentence entail the second (0) or not (1)?

Groups are crossed: each hypothesis form, each function word and each order of the names occurs with both
labels, so that shared words and shared stretches of words (the traps of lexical overlap, subsequence and
constituent) decide nothing.
"""

from kdviz.data.sample import words
from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import participle, past, plural, sentence
from kdviz.data.sample.words import Words

ENTAILMENT, NOT_ENTAILMENT = 0, 1


def _row(premise: str, hypothesis: str, label: int) -> Row:
    return sentence(premise), sentence(hypothesis), label


# How often a pair has the more frequent premise, a hint that counting words can find: without it a short
# fine-tuning does not begin to compare the sentences.
_LEAN = 0.75


def _leaning(draw: Draw, premises: tuple[str, str], hypotheses: tuple[str, str]) -> list[Row]:
    """One premise, mostly the first, with the hypothesis in its own place and the other one."""
    which = 0 if draw.chance(_LEAN) else 1
    return [
        _row(premises[which], hypotheses[which], ENTAILMENT),
        _row(premises[which], hypotheses[1 - which], NOT_ENTAILMENT),
    ]


def _roles(draw: Draw, premises: tuple[str, str], hypotheses: tuple[str, str], stranger: str) -> list[Row]:
    """One premise with the roles kept, and with the roles exchanged or somebody who was not spoken of."""
    which = draw.pick((0, 1))
    other = stranger if draw.chance(0.6) else hypotheses[1 - which]
    return [
        _row(premises[which], hypotheses[which], ENTAILMENT),
        _row(premises[which], other, NOT_ENTAILMENT),
    ]


def _people(draw: Draw, count: int) -> list[str]:
    if draw.chance(0.5):
        return draw.several(words.NAMES, count)
    return [f"the {noun}" for noun in draw.several(words.PEOPLE, count)]


def _lexical_overlap(draw: Draw) -> list[Row]:
    """Who did it to whom: the same words, the roles kept or exchanged."""
    premise = draw.template(
        train=("{time} {a} {acted} {b}", "in the {place} {a} {acted} {b}", "{a} {acted} {b} {time}"),
        dev=("as planned, {a} {acted} {b}", "{time}, we know, {a} {acted} {b}"),
    )
    a, b, c = _people(draw, 3)
    slots = {
        "acted": past(draw.pick(words.SOCIAL_VERBS)),
        "time": draw.pick(words.TIMES),
        "place": draw.pick(words.PLACES),
    }
    hypothesis = "{a} {acted} {b}"
    return _roles(
        draw,
        (premise.format(a=a, b=b, **slots), premise.format(a=b, b=a, **slots)),
        (hypothesis.format(a=a, b=b, **slots), hypothesis.format(a=b, b=a, **slots)),
        hypothesis.format(a=draw.pick((a, b)), b=c, **slots),
    )


def _passive(draw: Draw) -> list[Row]:
    """Active and passive: "by" says who did it."""
    verb = draw.pick(words.SOCIAL_VERBS)
    active, passive = draw.template(
        train=(
            ("{time} {a} {acted} {b}", "{time} {b} was {done} by {a}"),
            ("{a} {acted} {b} in the {place}", "{b} was {done} by {a} in the {place}"),
        ),
        dev=(
            ("we heard that {a} {acted} {b}", "we heard that {b} was {done} by {a}"),
            ("near the {place} {a} {acted} {b}", "near the {place} {b} was {done} by {a}"),
        ),
    )
    a, b, c = _people(draw, 3)
    slots = {
        "acted": past(verb),
        "done": participle(verb),
        "time": draw.pick(words.TIMES),
        "place": draw.pick(words.PLACES),
    }
    premise, hypothesis = draw.pick(((active, "{b} was {done} by {a}"), (passive, "{a} {acted} {b}")))
    return _roles(
        draw,
        (premise.format(a=a, b=b, **slots), premise.format(a=b, b=a, **slots)),
        (hypothesis.format(a=a, b=b, **slots), hypothesis.format(a=b, b=a, **slots)),
        hypothesis.format(a=c, b=draw.pick((a, b)), **slots),
    )


def _subsequence(draw: Draw) -> list[Row]:
    """A stretch of words from the premise that looks like a sentence, with another subject than the real
    one.
    """
    premise = draw.template(
        train=(
            "{a} {beside} {b} {acted} {time}",
            "{a}, who {liked} {b}, {acted}",
            "{a} {beside} {b} {acted}",
        ),
        dev=("{time} {a} {beside} {b} {acted}", "{time} {a}, who {liked} {b}, {acted}"),
    )
    a, b, c = (f"the {noun}" for noun in draw.several(words.PEOPLE, 3))
    slots = {
        "beside": draw.pick(("next to", "behind", "opposite")),
        "acted": past(draw.pick(words.HABITS)),
        "liked": past(draw.pick(words.SOCIAL_VERBS)),
        "time": draw.pick(words.TIMES),
    }
    return _roles(
        draw,
        (premise.format(a=a, b=b, **slots), premise.format(a=b, b=a, **slots)),
        (f"{a} {slots['acted']}", f"{b} {slots['acted']}"),
        f"{c} {slots['acted']}",
    )


def _constituent(draw: Draw) -> list[Row]:
    """A clause is entailed as a whole after "although", but not after "if" or "perhaps"."""
    factual, open_ = draw.template(
        train=(
            ("because {p}, {q}", "if {p}, {q}"),
            ("although {p}, {q}", "unless {p}, {q}"),
            ("{q}, and of course {p}", "{q}, and perhaps {p}"),
        ),
        dev=(
            ("{q} because {p}", "{q} if {p}"),
            ("as we know, although {p}, {q}", "as we know, unless {p}, {q}"),
            ("as we know, {q}, and of course {p}", "as we know, {q}, and perhaps {p}"),
        ),
    )
    a, b = _people(draw, 2)
    act_a, act_b = (past(habit) for habit in draw.several(words.HABITS, 2))
    p, q = f"{a} {act_a}", f"{b} {act_b}"
    if draw.chance(0.4):
        return [
            _row(factual.format(p=p, q=q), draw.pick((p, q)), ENTAILMENT),
            _row(factual.format(p=p, q=q), draw.pick((f"{a} {act_b}", f"{b} {act_a}")), NOT_ENTAILMENT),
        ]
    rows = [_row(factual.format(p=p, q=q), p, ENTAILMENT), _row(open_.format(p=p, q=q), p, NOT_ENTAILMENT)]
    if "and" in factual:
        return rows + [
            _row(open_.format(p=p, q=q), q, ENTAILMENT),
            _row(factual.format(p=p, q=q), f"{b} {act_a}", NOT_ENTAILMENT),
        ]
    return rows


def _implicative(draw: Draw) -> list[Row]:
    """ "Managed to" and "remembered to" say that it was done, "failed to" and "forgot to" that it was not."""
    done, not_done = draw.pick(
        (
            ("managed to", "failed to"),
            ("remembered to", "forgot to"),
            ("did not forget to", "did not remember to"),
        )
    )
    premise = draw.template(
        train=(
            "{time} {a} {implied} {act}",
            "{a} {implied} {act} {time}",
            "{a}, who was in a hurry, {implied} {act}",
        ),
        dev=("we heard that {a} {implied} {act} {time}", "{time} {a}, who was tired, {implied} {act}"),
    )
    slots = {"a": _people(draw, 1)[0], "act": draw.pick(_SINGLE_ACTS), "time": draw.pick(words.TIMES)}
    return _leaning(
        draw,
        (premise.format(implied=done, **slots), premise.format(implied=not_done, **slots)),
        (f"{slots['a']} {past(slots['act'])}", f"{slots['a']} did not {slots['act']}"),
    )


_SINGLE_ACTS = (
    "lock the front door",
    "call the bank",
    "finish the report",
    "pay the bill",
    "water the plants",
    "win the race",
    "repair the roof",
    "catch the train",
    "open the safe",
    "sign the contract",
    "bring the tickets",
    "answer the letter",
    "feed the cat",
    "sell the car",
    "find the keys",
)


def _negation(draw: Draw) -> list[Row]:
    """What was not done, never done, or done."""
    yes, no = draw.template(
        train=(
            ("{time} {a} {acted}", "{time} {a} did not {act}"),
            ("{a} {acted} {time}", "{a} did not {act} {time}"),
            ("{a} really {acted}", "{a} never {acted}"),
        ),
        dev=(
            ("as expected, {a} {acted}", "as expected, {a} did not {act}"),
            ("in the end {a} {acted} after all", "in the end {a} never {acted}"),
        ),
    )
    act = draw.pick(_SINGLE_ACTS)
    a, stranger = _people(draw, 2)
    slots = {"a": a, "act": act, "acted": past(act), "time": draw.pick(words.TIMES)}
    if draw.chance(0.4):
        premise, said = draw.pick(((yes, past(act)), (no, f"did not {act}")))
        return [
            _row(premise.format(**slots), f"{a} {said}", ENTAILMENT),
            _row(premise.format(**slots), f"{stranger} {said}", NOT_ENTAILMENT),
        ]
    return _leaning(
        draw, (yes.format(**slots), no.format(**slots)), (f"{a} {past(act)}", f"{a} did not {act}")
    )


def _quantifier(draw: Draw) -> list[Row]:
    """From "every" follows "some", and from "no" follows "not every"; the reverse does not hold."""
    strong, weak = draw.pick((("all of the", "some of the"), ("none of the", "not all of the")))
    opening = draw.template(
        train=("", "{time} ", "it is certain that "), dev=("we know that ", "as far as we know, ")
    )
    opening = opening.format(time=draw.pick(words.TIMES))
    people, act = plural(draw.pick(words.PEOPLE)), past(draw.pick(words.HABITS))
    other = past(draw.pick([habit for habit in words.HABITS if past(habit) != act]))
    claims = {word: f"{word} {people} {act}" for word in (strong, weak)}
    return [
        _row(opening + claims[strong], claims[weak], ENTAILMENT),
        _row(opening + claims[weak], claims[strong], NOT_ENTAILMENT),
        _row(
            opening + f"{strong} {people} {act} and {other}"
            if "none" not in strong
            else opening + f"{strong} {people} {act} or {other}",
            claims[strong],
            ENTAILMENT,
        ),
        _row(opening + claims[strong], f"{weak} {people} {other}", NOT_ENTAILMENT),
    ]


# (the more special, the more general)
_HYPERNYMS = Words(
    train=(
        ("rose", "flower"),
        ("poodle", "dog"),
        ("hammer", "tool"),
        ("novel", "book"),
        ("trumpet", "instrument"),
        ("apple", "fruit"),
        ("carrot", "vegetable"),
        ("sofa", "piece of furniture"),
        ("truck", "vehicle"),
        ("eagle", "bird"),
        ("salmon", "fish"),
        ("necklace", "piece of jewelry"),
    ),
    dev=(
        ("tulip", "flower"),
        ("spaniel", "dog"),
        ("screwdriver", "tool"),
        ("cookbook", "book"),
        ("flute", "instrument"),
        ("pear", "fruit"),
        ("onion", "vegetable"),
        ("motorcycle", "vehicle"),
        ("sparrow", "bird"),
        ("trout", "fish"),
    ),
)


def _hypernym(draw: Draw) -> list[Row]:
    """A rose is a flower; under negation the inference runs the other way."""
    special, general = draw.pick(_HYPERNYMS)
    yes, no = draw.template(
        train=(
            ("{a} bought a {x} {time}", "{a} did not buy a {x} {time}"),
            ("{time} {a} saw a {x} in the {place}", "{time} {a} never saw a {x} in the {place}"),
        ),
        dev=(
            ("{a} found a {x} near the {place}", "{a} did not find a {x} near the {place}"),
            ("{time} {a} painted a {x}", "{time} {a} never painted a {x}"),
        ),
    )
    slots = {"a": _people(draw, 1)[0], "time": draw.pick(words.TIMES), "place": draw.pick(words.PLACES)}
    template, (narrow, wide) = (no, (general, special)) if draw.chance(0.25) else (yes, (special, general))
    narrow, wide = (template.format(x=x, **slots) for x in (narrow, wide))
    return [_row(narrow, wide, ENTAILMENT), _row(wide, narrow, NOT_ENTAILMENT)]


def _conjunction(draw: Draw) -> list[Row]:
    """From "and" follows either part; from one part follows "or"."""
    opening = draw.template(
        train=("", "{time} ", "everyone knows that "), dev=("it is true that ", "we are sure that ")
    )
    opening = opening.format(time=draw.pick(words.TIMES))
    a, b, c = _people(draw, 3)
    act = past(draw.pick(words.HABITS))
    single = f"{draw.pick((a, b))} {act}"
    both, either = f"{a} and {b} {act}", f"{a} or {b} {act}"
    return [
        _row(opening + both, single, ENTAILMENT),
        _row(opening + either, single, NOT_ENTAILMENT),
        _row(opening + single, either, ENTAILMENT),
        _row(opening + both, f"{c} {act}", NOT_ENTAILMENT),
    ]


PHENOMENA = tuple(
    Phenomenon(name=name, rows=rows)
    for name, rows in (
        ("lexical overlap", _lexical_overlap),
        ("passive", _passive),
        ("subsequence", _subsequence),
        ("constituent", _constituent),
        ("implicative", _implicative),
        ("negation", _negation),
        ("quantifier", _quantifier),
        ("hypernym", _hypernym),
        ("conjunction", _conjunction),
    )
)
