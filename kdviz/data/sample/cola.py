"""CoLA-style sample data: acceptable (1) or not (0), by minimal pairs and by crossed groups of four.

The two sentences of a pair differ in a word or two; in a crossed group ("more ... than", "as ... as", and not
"more ... as", "as ... than") every word occurs as often in acceptable as in unacceptable sentences. What
decides is which words stand together, often at a distance.
"""

from kdviz.data.sample import words
from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import gerund, participle, past, plural, present, sentence, third
from kdviz.data.sample.words import Words

_FREQUENT_TIMES = Words(
    train=("on Sundays", "every summer", "in the evening", "most weekends"),
    dev=("on Thursdays", "every winter", "in the early morning"),
)


# How often a pair has the more frequent cue: a hint that counting words can find, without which a short
# fine-tuning does not begin to learn the structure behind it.
_LEAN = 0.8


def _pair(good: str, bad: str, end: str = ".") -> list[Row]:
    return [(sentence(good, end), None, 1), (sentence(bad, end), None, 0)]


def _number(noun: str, is_plural: bool) -> str:
    return plural(noun) if is_plural else noun


def _predicate(draw: Draw) -> tuple[str, str]:
    """A predicate in the present, (singular, plural): "has written poems", "is writing poems", "writes
    poems".
    """
    habit, form = draw.pick(words.HABITS), draw.pick(("progressive",) * 5 + ("perfect", "plain"))
    if form == "progressive":
        return f"is {gerund(habit)}", f"are {gerund(habit)}"
    if form == "perfect":
        return f"has {participle(habit)}", f"have {participle(habit)}"
    return third(habit), habit


def _subject(draw: Draw, noun: str, is_plural: bool) -> str:
    """ "every doctor", "these doctors", or "the doctor" with no number outside the noun."""
    determiners = (
        ("the", "these", "these", "these", "many") if is_plural else ("the", "this", "this", "this", "every")
    )
    return f"{draw.pick(determiners)} {_number(noun, is_plural)}"


def _agreement(draw: Draw) -> list[Row]:
    """The verb agrees with a subject that stands close to it."""
    is_plural = draw.chance(_LEAN)
    template = draw.template(
        train=(
            "{subject} {verb}",
            "{time} {subject} {verb}",
            "everyone says that {subject} {verb}",
            "{subject} {verb} {time}",
            "as far as we know, {subject} {verb}",
        ),
        dev=(
            "it is true that {subject} {verb}",
            "{time} it seems that {subject} {verb}",
            "the two of us think that {subject} {verb}",
        ),
    )
    slots = {
        "subject": _subject(draw, draw.pick(words.PEOPLE), is_plural),
        "time": draw.pick(_FREQUENT_TIMES),
    }
    predicates = _predicate(draw)
    return _pair(
        template.format(verb=predicates[is_plural], **slots),
        template.format(verb=predicates[not is_plural], **slots),
    )


def _agreement_across(draw: Draw) -> list[Row]:
    """The verb agrees with a subject beyond another noun, which mostly has the other number."""
    is_plural = draw.chance(_LEAN)
    attractor_is_plural = is_plural if draw.chance(0.2) else not is_plural
    template = draw.template(
        train=(
            "{subject} {beside} {attractor} {verb}",
            "{subject} who {like} {attractor} {verb}",
            "{subject} that {attractor} {liked} {verb}",
            "in the {place} {subject} {beside} {attractor} {verb}",
        ),
        dev=(
            "{subject} {beside} {attractor} in the {place} {verb}",
            "{subject} whom {attractor} {liked} {verb}",
            "we hear that {subject} who {liked} {attractor} {verb}",
        ),
    )
    subject, attractor = draw.several(words.PEOPLE, 2)
    social, predicates = draw.pick(words.SOCIAL_VERBS), _predicate(draw)
    slots = {
        "subject": _subject(draw, subject, is_plural),
        "attractor": _subject(draw, attractor, attractor_is_plural),
        "beside": draw.pick(("next to", "behind", "in front of", "opposite")),
        "place": draw.pick(words.PLACES),
        "like": present(social, is_plural),
        "liked": past(social),
    }
    return _pair(
        template.format(verb=predicates[is_plural], **slots),
        template.format(verb=predicates[not is_plural], **slots),
    )


_REFLEXIVE_ACTS = (
    "saw {} in the mirror",
    "hurt {} in the garden",
    "blamed {} for the accident",
    "bought {} a new coat",
    "introduced {} to the guests",
    "defended {} in court",
    "made {} a cup of tea",
    "cut {} while cooking",
    "prepared {} for the exam",
    "found {} alone on the island",
    "praised {} in the interview",
    "locked {} out of the house",
    "dressed {} for the wedding",
    "drew {} in pencil",
    "talked {} into a long trip",
    "asked {} the same question",
    "treated {} to a large dessert",
    "washed {} in the river",
)


def _reflexive(draw: Draw) -> list[Row]:
    """The pronoun agrees with the subject of its own clause, not with another noun of the sentence."""
    nouns = {
        "himself": f"the {draw.pick(words.MEN)}",
        "herself": f"the {draw.pick(words.WOMEN)}",
        "themselves": f"the {plural(draw.pick(draw.pick((words.MEN, words.WOMEN, words.PEOPLE))))}",
    }
    pronouns = {"himself": "he", "herself": "she", "themselves": "they"}
    right, wrong, other = draw.shuffled(tuple(nouns))
    if right != "themselves" and draw.chance(0.5):
        right, wrong = "themselves", wrong if wrong != "themselves" else other
    template = draw.template(
        train=(
            "{time} {pronoun} {act}",
            "{other} said that {pronoun} {act}",
            "everyone knows that {pronoun} {act}",
            "{subject} {act}",
            "{subject} {beside} {other} {act}",
        ),
        dev=(
            "{time} we heard that {pronoun} {act}",
            "{other} knew why {pronoun} {act}",
            "{other} was not there when {pronoun} {act}",
            "{time} {subject} {beside} {other} {act}",
        ),
    )
    act = draw.pick(_REFLEXIVE_ACTS)
    slots = {
        "subject": nouns[right],
        "pronoun": pronouns[right],
        "other": nouns[wrong],
        "beside": draw.pick(("next to", "near")),
        "time": draw.pick(words.TIMES),
    }
    return _pair(
        template.format(act=act.format(right), **slots), template.format(act=act.format(wrong), **slots)
    )


def _determiner(draw: Draw) -> list[Row]:
    """ "This" and "that" want a singular noun or "one", "these" and "those" a plural noun or "ones"."""
    singular, several = draw.pick(("this", "that")), draw.pick(("these", "those"))
    is_plural = draw.chance(_LEAN)
    template = draw.template(
        train=(
            "{time} {name} {acted} {determiner} {adjective} {thing}",
            "the {person} {acted} {determiner} {thing}",
            "{name} and the {person} {acted} {determiner} {thing} in the {place}",
        ),
        dev=(
            "did {name} ever tell you that the {person} {acted} {determiner} {adjective} {thing}",
            "the {person} and {name} both {acted} {determiner} {thing} {time}",
            "{name} saw how the {person} {acted} {determiner} {thing} from the {place}",
        ),
    )
    noun = draw.pick(words.THINGS)
    if draw.chance(0.5):
        template = draw.template(
            train=(
                "of all the {noun} the {person} liked only {determiner} {adjective} {thing}",
                "among the {noun} {name} {acted} {determiner} {adjective} {thing}",
            ),
            dev=("when {name} saw the {noun}, the {person} {acted} {determiner} {adjective} {thing}",),
        )
        thing = "one"
    else:
        thing = noun
    slots = {
        "person": draw.pick(words.PEOPLE),
        "acted": past(draw.pick(words.THING_VERBS)),
        "name": draw.pick(words.NAMES),
        "adjective": draw.pick(words.THING_ADJECTIVES),
        "noun": plural(noun),
        "thing": _number(thing, is_plural),
        "time": draw.pick(words.TIMES),
        "place": draw.pick(words.PLACES),
    }
    right, wrong = (several, singular) if is_plural else (singular, several)
    return _pair(
        template.format(determiner=right, **slots),
        template.format(determiner=wrong, **slots),
        "?" if template.startswith("did") else ".",
    )


def _negative_polarity(draw: Draw) -> list[Row]:
    """ "Ever" needs a "no" whose clause it is in; the same words in another order will not do."""
    template = draw.template(
        train=(
            "{first} {subject} that {second} {other} {liked} has ever {done}",
            "{first} {subject} who {liked} {second} {other} has ever {done}",
            "{first} {subject} {beside} {second} {other} has ever {done}",
            "{first} {subject} that {second} {adjective} {other} {liked} had any plans to {habit}",
        ),
        dev=(
            "{first} {subject} whom {second} {other} {liked} has ever {done}",
            "{first} {adjective} {subject} who {liked} {second} {other} will ever {habit}",
            "{first} {subject} behind {second} {other} had any wish to {habit}",
        ),
    )
    subject, other = draw.several(words.PEOPLE, 2)
    habit = draw.pick(words.HABITS)
    slots = {
        "subject": subject,
        "other": other,
        "liked": past(draw.pick(words.SOCIAL_VERBS)),
        "habit": habit,
        "done": participle(habit),
        "beside": draw.pick(("near", "in front of")),
        "adjective": draw.pick(words.PERSON_ADJECTIVES),
    }
    return _pair(
        template.format(first="no", second="the", **slots), template.format(first="the", second="no", **slots)
    )


# (verb and preposition, verb without, what follows either)
_PREPOSITION_PAIRS = (
    ("arrive at", "reach", "station, hotel, village, border, hut, airport"),
    ("listen to", "hear", "speech, concert, story, recording, sermon, orchestra"),
    ("look at", "examine", "painting, map, contract, photograph, ring, coin"),
)


def _argument_structure(draw: Draw) -> list[Row]:
    """Which verbs take an object, and which need a preposition before it."""
    template = draw.template(
        train=(
            "the {person} {predicate} {time}",
            "{time} the {adjective} {person} {predicate}",
            "we heard that the {person} {predicate} {time}",
            "{name} and the {person} {predicate} together {time}",
        ),
        dev=(
            "{name} remembers that the {person} {predicate} {time}",
            "{time} the {person} and {name} {predicate}",
            "the {adjective} {person} who met {name} {predicate} {time}",
        ),
    )
    with_preposition, without, objects = draw.pick(_PREPOSITION_PAIRS)
    verb, preposition = with_preposition.split()
    thing = "the " + draw.pick(objects.split(", "))
    good = (f"{past(verb)} {preposition} {thing}", f"{past(without)} {thing}")
    bad = (f"{past(verb)} {thing}", f"{past(without)} {preposition} {thing}")
    slots = {
        "person": draw.pick(words.PEOPLE),
        "name": draw.pick(words.NAMES),
        "time": draw.pick(words.TIMES),
        "adjective": draw.pick(words.PERSON_ADJECTIVES),
    }
    which = 0 if draw.chance(_LEAN) else 1
    return _pair(
        template.format(predicate=good[which], **slots), template.format(predicate=bad[which], **slots)
    )


_GAP_VERBS = ("bought", "found", "lost", "repaired", "stole", "borrowed", "damaged", "photographed")


def _wh_gap(draw: Draw) -> list[Row]:
    """ "What" needs a gap where the object would be; without "what" there must be an object."""
    template = draw.template(
        train=(
            "{name} knows {word} the {person} {verb} {thing}",
            "we forgot {word} the {person} {verb} {thing}",
            "it was clear {word} the {adjective} {person} {verb} {thing}",
            "{name} told us {word} the {person} {verb} {thing} {time}",
        ),
        dev=(
            "{name} discovered {word} the {adjective} {person} {verb} {thing}",
            "{time} we learned {word} the {person} {verb} {thing}",
            "nobody remembers {word} {name} and the {person} {verb} {thing}",
        ),
    )
    thing = draw.pick(("it", "it", f"the {draw.pick(words.THINGS)}"))
    slots = {
        "name": draw.pick(words.NAMES),
        "person": draw.pick(words.PEOPLE),
        "verb": draw.pick(_GAP_VERBS),
        "adjective": draw.pick(words.PERSON_ADJECTIVES),
        "time": draw.pick(words.TIMES),
    }
    word, right, wrong = ("what", "", thing) if draw.chance(_LEAN) else ("that", thing, "")
    return _pair(
        template.format(word=word, thing=right, **slots), template.format(word=word, thing=wrong, **slots)
    )


def _word_order(draw: Draw) -> list[Row]:
    """The same words; two of them, or two phrases, have changed places."""
    good, bad = draw.template(
        train=(
            (
                "the {person} {acted} the {adjective} {thing} in the {place}",
                "the {person} {acted} the {thing} {adjective} in the {place}",
            ),
            ("{name} {acted} the {thing} in the {place}", "{name} the {thing} {acted} in the {place}"),
            ("the very {mood} {person} {acted} the {thing}", "the {mood} very {person} {acted} the {thing}"),
            ("{name} took the {thing} from the {place}", "{name} took the {thing} the {place} from"),
            ("the {person} has not {done} the {thing}", "the {person} not has {done} the {thing}"),
        ),
        dev=(
            ("{time} the {mood} {person} {acted} a {thing}", "{time} the {person} {mood} {acted} a {thing}"),
            (
                "{time} the {person} from the {place} {acted} the {thing}",
                "{time} the {person} the {place} from {acted} the {thing}",
            ),
            (
                "{name} and the {person} {acted} some {adjective} {things}",
                "{name} and the {person} some {adjective} {things} {acted}",
            ),
            (
                "{time} {name} {acted} a very {adjective} {thing}",
                "{time} {name} {acted} a {adjective} very {thing}",
            ),
            (
                "{name} and the {person} have not {done} the {thing}",
                "{name} and the {person} not have {done} the {thing}",
            ),
        ),
    )
    verb, thing = draw.pick(words.THING_VERBS), draw.pick(words.THINGS)
    slots = {
        "person": draw.pick(words.PEOPLE),
        "name": draw.pick(words.NAMES),
        "acted": past(verb),
        "done": participle(verb),
        "thing": thing,
        "things": plural(thing),
        "place": draw.pick(words.PLACES),
        "mood": draw.pick(words.PERSON_ADJECTIVES),
        "adjective": draw.pick(words.THING_ADJECTIVES),
        "time": draw.pick(words.TIMES),
    }
    return _pair(good.format(**slots), bad.format(**slots))


def _inversion(draw: Draw) -> list[Row]:
    """The auxiliary stands before the subject in a question, after it in a clause inside another."""
    wh, auxiliary = draw.pick(("where", "when", "why", "how")), draw.pick(("will", "should", "must", "would"))
    opening = draw.template(
        train=("{name} wonders", "nobody knows", "it is not clear", "we asked", "{name} has no idea"),
        dev=("{name} will soon find out", "they would like to know", "it is hard to say"),
    )
    opening = opening.format(name=draw.pick(words.NAMES))
    subject = draw.template(
        train=("the {p}", "the {a} {p}", "the {p} from the {place}"),
        dev=("the {p} near the {place}", "the {a} {p} from the {place}"),
    )
    subject = subject.format(
        p=draw.pick(words.PEOPLE), a=draw.pick(words.PERSON_ADJECTIVES), place=draw.pick(words.PLACES)
    )
    habit = draw.pick(words.HABITS)
    inverted, straight = f"{wh} {auxiliary} {subject} {habit}", f"{wh} {subject} {auxiliary} {habit}"
    return _pair(inverted, straight, "?") + _pair(f"{opening} {straight}", f"{opening} {inverted}")


_IRREGULAR_ACTS = (
    "take the early bus",
    "write a long letter",
    "break the window",
    "steal the necklace",
    "eat the last cake",
    "forget the password",
    "wear a blue hat",
    "see the comet",
    "drink the cold tea",
    "draw a map",
)


def _verb_form(draw: Draw) -> list[Row]:
    """ "Has" wants the participle, "is" the -ing form, "will" the bare verb."""
    template = draw.template(
        train=(
            "the {person} {verb}",
            "{name} told us that the {person} {verb}",
            "the {adjective} {person} in the {place} {verb}",
            "I believe that {name} {verb}",
        ),
        dev=(
            "the {person} near the {place} {verb}",
            "we think that the {adjective} {person} {verb}",
            "it is said that {name} {verb}",
        ),
    )
    slots = {
        "person": draw.pick(words.PEOPLE),
        "name": draw.pick(words.NAMES),
        "place": draw.pick(words.PLACES),
        "adjective": draw.pick(words.PERSON_ADJECTIVES),
    }
    act = draw.pick(_IRREGULAR_ACTS)
    forms = (("has", participle(act)), ("is", gerund(act)), ("will", act))
    (auxiliary, right), (_, wrong) = draw.several(forms, 2)
    if auxiliary != "has" and draw.chance(0.5):
        (auxiliary, right), (_, wrong) = forms[0], draw.pick(forms[1:])
    return _pair(
        template.format(verb=f"{auxiliary} {right}", **slots),
        template.format(verb=f"{auxiliary} {wrong}", **slots),
    )


_LONG_ADJECTIVES = (
    "careful with money",
    "interested in music",
    "afraid of the dark",
    "patient with children",
    "famous abroad",
    "honest about mistakes",
    "nervous before exams",
    "popular in the village",
    "generous to strangers",
    "fond of animals",
    "curious about history",
    "active in politics",
    "skilled at cards",
    "talkative at dinner",
)


def _comparison(draw: Draw) -> list[Row]:
    """ "More" goes with "than" and "as" with "as", however far apart."""
    template = draw.template(
        train=(
            "the {first} is {degree} {adjective} {link} the {second}",
            "{name} was {degree} {adjective} {link} the {second}",
            "the {first} from the {place} seems {degree} {adjective} {link} {name}",
        ),
        dev=(
            "they say that the {first} is {degree} {adjective} {link} {name}",
            "{name} has always been {degree} {adjective} {link} the {second}",
            "the {first} became {degree} {adjective} {link} the {second}",
        ),
    )
    first, second = draw.several(words.PEOPLE, 2)
    slots = {
        "first": first,
        "second": second,
        "name": draw.pick(words.NAMES),
        "place": draw.pick(words.PLACES),
        "adjective": draw.pick(_LONG_ADJECTIVES),
    }
    rows = []
    for degree, right, wrong in (("more", "than", "as"), ("as", "as", "than")):
        rows += _pair(
            template.format(degree=degree, link=right, **slots),
            template.format(degree=degree, link=wrong, **slots),
        )
    return rows


def _conjunctions(draw: Draw) -> list[Row]:
    """ "Both" goes with "and", "either" with "or", "neither" with "nor"."""
    template = draw.template(
        train=(
            "{first} the {one} {second} the {two} {acted} the {thing}",
            "{time} {first} {name} {second} the {adjective} {one} {acted} the {thing}",
            "the {one} {acted} {first} the {thing} {second} the {other}",
        ),
        dev=(
            "we think that {first} the {adjective} {one} {second} {name} {acted} the {thing}",
            "{name} {acted} {first} the {thing} {second} the {other} {time}",
            "{time} {first} the {one} from the {place} {second} the {two} {acted} the {thing}",
        ),
    )
    (one, two), (thing, other) = draw.several(words.PEOPLE, 2), draw.several(words.THINGS, 2)
    slots = {
        "one": one,
        "two": two,
        "thing": thing,
        "other": other,
        "name": draw.pick(words.NAMES),
        "acted": past(draw.pick(words.THING_VERBS)),
        "adjective": draw.pick(words.PERSON_ADJECTIVES),
        "time": draw.pick(words.TIMES),
        "place": draw.pick(words.PLACES),
    }
    (first, second), (other_first, other_second) = draw.several(
        (("both", "and"), ("either", "or"), ("neither", "nor")), 2
    )
    return _pair(
        template.format(first=first, second=second, **slots),
        template.format(first=first, second=other_second, **slots),
    ) + _pair(
        template.format(first=other_first, second=other_second, **slots),
        template.format(first=other_first, second=second, **slots),
    )


PHENOMENA = tuple(
    Phenomenon(name=name, rows=rows)
    for name, rows in (
        ("agreement", _agreement),
        ("agreement across an attractor", _agreement_across),
        ("reflexive", _reflexive),
        ("determiner and noun", _determiner),
        ("negative polarity", _negative_polarity),
        ("argument structure", _argument_structure),
        ("wh-gap", _wh_gap),
        ("word order", _word_order),
        ("question inversion", _inversion),
        ("verb form", _verb_form),
        ("comparison", _comparison),
        ("paired conjunctions", _conjunctions),
    )
)
