"""MRPC-style sample data: do two sentences, as in the news, say the same (1) or not (0)?

The second sentences of a group use the same words, or words that occur as often in paraphrases as in the
others. What decides is who did it to whom, which word belongs to which, and whether a name, a number or a
negation has changed.
"""

from kdviz.data.sample import words
from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import participle, past, sentence
from kdviz.data.sample.words import Words

_CITIES = Words(
    train=("Boston", "Chicago", "Denver", "London", "Madrid", "Paris", "Rome", "Vienna", "Toronto", "Berlin"),
    dev=("Dublin", "Oslo", "Prague", "Seattle", "Sydney", "Athens"),
)
_FIRMS = Words(
    train=(
        "the bank",
        "the airline",
        "the city council",
        "the newspaper",
        "the union",
        "the university",
        "the hospital",
        "the railway company",
        "the ministry",
        "the insurance company",
    ),
    dev=(
        "the brewery",
        "the steel company",
        "the parliament",
        "the broadcaster",
        "the phone company",
        "the museum",
    ),
)
_DAYS = Words(
    train=("on Monday", "on Tuesday", "on Friday", "last week", "in March", "in October"),
    dev=("on Wednesday", "on Thursday", "last month", "in April"),
)
_DEEDS = (
    "sue",
    "warn",
    "criticize",
    "praise",
    "invite",
    "accuse",
    "thank",
    "blame",
    "contact",
    "support",
    "visit",
    "mock",
    "consult",
    "defend",
    "ignore",
    "beat",
)


def _row(first: str, second: str, label: int) -> Row:
    return sentence(first), sentence(second), label


# How often a pair begins with the more frequent of two opposite words, a hint that counting words can find:
# without it a short fine-tuning does not begin to compare the sentences.
_LEAN = 0.85


def _same_or_not(first: str, same: str, other: str) -> list[Row]:
    return [_row(first, same, 1), _row(first, other, 0)]


def _parties(draw: Draw, count: int) -> list[str]:
    """Some that can do the same things to each other."""
    kind = draw.pick(("names", "people", "firms"))
    if kind == "names":
        return draw.several(words.NAMES, count)
    if kind == "people":
        return [f"the {noun}" for noun in draw.several(words.PEOPLE, count)]
    return draw.several(_FIRMS, count)


def _swap_or_stranger(draw: Draw, a: str, b: str, c: str) -> dict[str, str]:
    """The two in each other's role, or somebody else in the place of one."""
    return draw.pick(({"a": b, "b": a}, {"a": c, "b": b}, {"a": a, "b": c}))


def _passive(draw: Draw) -> list[Row]:
    """The passive keeps the roles only if the names change places."""
    active, passive = draw.template(
        train=(
            ("{time} {a} {did} {b}", "{time} {b} was {done} by {a}"),
            ("{a} {did} {b} in {city} {time}", "{b} was {done} by {a} in {city} {time}"),
            ("officials said that {a} {did} {b}", "officials said that {b} was {done} by {a}"),
        ),
        dev=(
            (
                "according to reports from {city}, {a} {did} {b}",
                "according to reports from {city}, {b} was {done} by {a}",
            ),
            ("{a} publicly {did} {b} {time}", "{b} was publicly {done} by {a} {time}"),
        ),
    )
    if draw.chance(0.5):
        active, passive = passive, active
    a, b, c = _parties(draw, 3)
    deed = draw.pick(_DEEDS)
    slots = {
        "did": past(deed),
        "done": participle(deed),
        "city": draw.pick(_CITIES),
        "time": draw.pick(_DAYS),
    }
    return _same_or_not(
        active.format(a=a, b=b, **slots),
        passive.format(a=a, b=b, **slots),
        passive.format(**_swap_or_stranger(draw, a, b, c), **slots),
    )


def _cleft(draw: Draw) -> list[Row]:
    """ "It was A who ..." and "it was A whom ..." differ by a letter and in who did it."""
    opening = draw.template(
        train=("", "according to the report, ", "{time} ", "officials in {city} said that "),
        dev=("the court heard that ", "sources in {city} say that "),
    )
    opening = opening.format(time=draw.pick(_DAYS), city=draw.pick(_CITIES))
    a, b, c = _parties(draw, 3)
    did = past(draw.pick(_DEEDS))
    cleft, other = draw.pick(
        (
            ("it was {a} that {did} {b}", "it was {a} that {b} {did}"),
            ("it was {b} that {a} {did}", "it was {b} that {did} {a}"),
        )
    )
    other, names = (cleft, {"a": a, "b": c}) if draw.chance(0.6) else (other, {"a": a, "b": b})
    return _same_or_not(
        opening + f"{a} {did} {b}",
        opening + cleft.format(a=a, b=b, did=did),
        opening + other.format(did=did, **names),
    )


_MORE_OR_LESS = (
    ("rose", "fell"),
    ("increased", "decreased"),
    ("went up", "went down"),
    ("climbed", "declined"),
    ("grew", "shrank"),
)
_FIGURES = Words(
    train=(
        "profits at {firm}",
        "the price of bread",
        "ticket sales",
        "the number of visitors",
        "the cost of rent",
        "exports of steel",
        "the price of oil",
        "the number of strikes",
        "traffic in {city}",
        "wages at {firm}",
    ),
    dev=(
        "the price of coffee",
        "the number of students",
        "sales at {firm}",
        "tourism in {city}",
        "demand for timber",
    ),
)


def _synonym(draw: Draw) -> list[Row]:
    """Another verb with the same meaning, or one with the opposite meaning."""
    first, second = draw.template(
        train=(
            ("{figure} {verb} by {n} percent {time}", "{time} {figure} {verb} by {n} percent"),
            ("analysts said that {figure} {verb} {time}", "{figure} {verb} {time}, analysts said"),
            ("{figure} {verb} sharply {time}", "{time} {figure} {verb} sharply"),
        ),
        dev=(
            (
                "experts in {city} say that {figure} {verb} {time}",
                "{figure} {verb} {time}, experts in {city} say",
            ),
            ("{time} {figure} {verb} by nearly {n} percent", "{figure} {verb} by nearly {n} percent {time}"),
        ),
    )
    slots = {
        "n": draw.pick(range(3, 40)),
        "time": draw.pick(_DAYS),
        "city": draw.pick(_CITIES),
        "figure": draw.pick(_FIGURES).format(firm=draw.pick(_FIRMS), city=draw.pick(_CITIES)),
    }
    (up, down), (up_again, down_again) = draw.several(_MORE_OR_LESS, 2)
    if not draw.chance(_LEAN):
        up, up_again, down_again = down, down_again, up_again
    return _same_or_not(
        first.format(verb=up, **slots),
        second.format(verb=up_again, **slots),
        second.format(verb=down_again, **slots),
    )


def _dative(draw: Draw) -> list[Row]:
    """Giving B the book is giving the book to B, not to A."""
    double, prepositional = draw.template(
        train=(
            ("{a} {gave} {b} the {thing} {time}", "{a} {gave} the {thing} to {b} {time}"),
            ("{time} {a} {gave} {b} a {adjective} {thing}", "{time} {a} {gave} a {adjective} {thing} to {b}"),
        ),
        dev=(
            (
                "in {city} {a} {gave} {b} the {adjective} {thing}",
                "in {city} {a} {gave} the {adjective} {thing} to {b}",
            ),
            ("{time} {a} secretly {gave} {b} the {thing}", "{time} {a} secretly {gave} the {thing} to {b}"),
        ),
    )
    if draw.chance(0.5):
        double, prepositional = prepositional, double
    a, b, c = _parties(draw, 3)
    slots = {
        "gave": past(draw.pick(("give", "send", "sell", "lend", "show"))),
        "thing": draw.pick(words.THINGS),
        "adjective": draw.pick(words.THING_ADJECTIVES),
        "city": draw.pick(_CITIES),
        "time": draw.pick(_DAYS),
    }
    return _same_or_not(
        double.format(a=a, b=b, **slots),
        prepositional.format(a=a, b=b, **slots),
        prepositional.format(**_swap_or_stranger(draw, a, b, c), **slots),
    )


def _word_order(draw: Draw) -> list[Row]:
    """The same words: two phrases in another order, or the adjectives of the two exchanged."""
    template = draw.template(
        train=(
            "the police found {first} and {second} in {city}",
            "{name} lost {first} and {second} {time}",
            "{time} thieves took {first} and {second}",
        ),
        dev=(
            "{name} hopes to sell {first} and {second} in {city}",
            "{time} workers discovered {first} and {second}",
        ),
    )
    thing, other, third = draw.several(words.THINGS, 3)
    adjective, other_adjective = draw.several(words.THING_ADJECTIVES, 2)
    slots = {"name": draw.pick(words.NAMES), "city": draw.pick(_CITIES), "time": draw.pick(_DAYS)}
    first, second = f"a {adjective} {thing}", f"a {other_adjective} {other}"
    different = draw.pick(
        (
            (f"a {adjective} {other}", f"a {other_adjective} {thing}"),
            (second, f"a {adjective} {third}"),
            (f"a {other_adjective} {third}", first),
        )
    )
    return _same_or_not(
        template.format(first=first, second=second, **slots),
        template.format(first=second, second=first, **slots),
        template.format(first=different[0], second=different[1], **slots),
    )


def _changed_detail(draw: Draw) -> list[Row]:
    """A number, a day, a city or a name has changed, or nothing but the order of the phrases."""
    first, second = draw.template(
        train=(
            ("{time} {firm} sold {n} houses in {city}", "{firm} sold {n} houses in {city} {time}"),
            (
                "{name} paid {n} dollars for the painting in {city}",
                "in {city} {name} paid {n} dollars for the painting",
            ),
            ("police in {city} arrested {n} people {time}", "{time} police in {city} arrested {n} people"),
        ),
        dev=(
            (
                "{firm} will close {n} shops in {city}, {name} said",
                "{name} said that {firm} will close {n} shops in {city}",
            ),
            ("{time} a storm in {city} damaged {n} homes", "a storm in {city} damaged {n} homes {time}"),
        ),
    )
    slots = {
        "time": draw.pick(_DAYS),
        "n": draw.pick(_NUMBERS),
        "name": draw.pick(words.NAMES),
        "city": draw.pick(_CITIES),
        "firm": draw.pick(_FIRMS),
    }
    used = [name for name in slots if "{" + name + "}" in first]
    changed = draw.pick(used)
    choices = {"time": _DAYS, "n": _NUMBERS, "name": words.NAMES, "city": _CITIES, "firm": _FIRMS}[changed]
    choices = choices.of(draw.split) if isinstance(choices, Words) else choices
    new = {**slots, changed: draw.pick([choice for choice in choices if choice != slots[changed]])}
    return _same_or_not(first.format(**slots), second.format(**slots), second.format(**new))


_NUMBERS = (12, 15, 20, 30, 40, 60, 80, 120, 200, 300, 500)
# (said of a plan that goes on, said of one that does not); all take the bare verb
_PLANS = (
    ("will", "will not"),
    ("agreed to", "refused to"),
    ("decided to", "decided not to"),
    ("promised to", "declined to"),
)
_PLAN_VERBS = Words(
    train=(
        "raise the rent",
        "close the factory",
        "build a new bridge",
        "hire more nurses",
        "sell the old stadium",
        "cut the budget",
        "open a second office",
        "repair the roads",
        "move to {city}",
        "ban cars in {city}",
    ),
    dev=(
        "lower the fares",
        "extend the tunnel",
        "publish the letters",
        "plant more trees",
        "lift the ban in {city}",
        "renovate the theater",
    ),
)


def _negation(draw: Draw) -> list[Row]:
    """ "Refused to" agrees with "will not" and contradicts "agreed to"."""
    first, second = draw.template(
        train=(
            (
                "{time} a spokesman said that {who} {will} {act}",
                "{who} {will} {act}, a spokesman said {time}",
            ),
            ("{who} in {city} {will} {act}", "in {city} {who} {will} {act}"),
            ("{who} {will} {act}, officials said {time}", "officials said {time} that {who} {will} {act}"),
        ),
        dev=(
            (
                "reports from {city} say that {who} {will} {act}",
                "{who} {will} {act}, reports from {city} say",
            ),
            (
                "a witness confirmed {time} that {who} {will} {act}",
                "{who} {will} {act}, a witness confirmed {time}",
            ),
        ),
    )
    city = draw.pick(_CITIES)
    slots = {
        "who": draw.pick(_FIRMS),
        "city": city,
        "time": draw.pick(_DAYS),
        "act": draw.pick(_PLAN_VERBS).format(city=city),
    }
    (go, stop), (go_again, stop_again) = draw.several(_PLANS, 2)
    if not draw.chance(_LEAN):
        go, go_again, stop_again = stop, stop_again, go_again
    return _same_or_not(
        first.format(will=go, **slots),
        second.format(will=go_again, **slots),
        second.format(will=stop_again, **slots),
    )


_EVENTS = Words(
    train=(
        "left the meeting",
        "called the police",
        "signed the contract",
        "met the press",
        "read the letter",
        "sold the shares",
        "returned to {city}",
        "spoke to the crowd",
        "saw the fire",
        "resigned",
    ),
    dev=(
        "left the stage",
        "flew to {city}",
        "warned the crew",
        "heard the verdict",
        "paid the fine",
        "apologized",
    ),
)


def _clause_order(draw: Draw) -> list[Row]:
    """P before Q is Q after P, in whichever order the clauses stand."""
    opening = draw.template(
        train=("", "police said that ", "it is reported that "),
        dev=("witnesses remember that ", "the lawyers claim that "),
    )
    a, b = _parties(draw, 2)
    p, q = (
        f"{who} {event}".format(city=draw.pick(_CITIES))
        for who, event in zip((a, b), draw.several(_EVENTS, 2))
    )
    before, after = f"{p} before {q}", f"{q} after {p}"
    first, same, other = (
        (before, after, f"{q} before {p}") if draw.chance(_LEAN) else (after, before, f"{p} after {q}")
    )
    return _same_or_not(opening + first, opening + same, opening + other)


PHENOMENA = tuple(
    Phenomenon(name=name, rows=rows)
    for name, rows in (
        ("passive and role swap", _passive),
        ("cleft", _cleft),
        ("synonym", _synonym),
        ("dative shift", _dative),
        ("word-order swap", _word_order),
        ("changed detail", _changed_detail),
        ("negation", _negation),
        ("clause order", _clause_order),
    )
)
