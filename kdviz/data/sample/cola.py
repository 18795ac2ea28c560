"""CoLA-style sample data: acceptable (1) or not (0), by minimal pairs and by crossed groups of four.

In a crossed group every word occurs as often in acceptable as in unacceptable sentences: "has taken", "took", and not
"has took", "taken". What decides is which words stand together, often at a distance.
"""

from kdviz.data.sample import words
from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import past, participle, plural, present, sentence, third
from kdviz.data.sample.words import Words

_ADVERBS = ("often", "always", "rarely", "usually", "sometimes", "never")
_FREQUENT_TIMES = Words(train=("on Sundays", "every summer", "in the evening", "most weekends"),
                        dev=("on Thursdays", "every winter", "in the early morning"))


def _pair(good: str, bad: str, end: str = ".") -> list[Row]:
    return [(sentence(good, end), None, 1), (sentence(bad, end), None, 0)]


def _number(noun: str, is_plural: bool) -> str:
    return plural(noun) if is_plural else noun


def _agreement(draw: Draw) -> list[Row]:
    """The verb agrees with a subject that stands close to it."""
    is_plural = draw.chance(0.5)
    template = draw.template(
        train=("the {adjective} {subject} {adverb} {verb}", "{time} the {subject} {adverb} {verb}",
               "everyone says that the {subject} {adverb} {verb}", "the {subject} {verb} {time}",
               "as far as we know, the {adjective} {subject} {verb}"),
        dev=("it is true that the {adjective} {subject} {verb}", "{time} the {adjective} {subject} {verb}",
             "the two of us think that the {subject} {adverb} {verb}"))
    slots = {"subject": _number(draw.pick(words.PEOPLE), is_plural), "adverb": draw.pick(_ADVERBS),
             "adjective": draw.pick(words.PERSON_ADJECTIVES), "time": draw.pick(_FREQUENT_TIMES)}
    habit = draw.pick(words.HABITS)
    return _pair(template.format(verb=present(habit, is_plural), **slots),
                 template.format(verb=present(habit, not is_plural), **slots))


def _agreement_across(draw: Draw) -> list[Row]:
    """The verb agrees with a subject beyond another noun, which mostly has the other number."""
    is_plural = draw.chance(0.5)
    attractor_is_plural = is_plural if draw.chance(0.2) else not is_plural
    template = draw.template(
        train=("the {subject} {beside} the {attractor} {verb}", "the {subject} who {like} the {attractor} {verb}",
               "the {subject} that the {attractor} {liked} {verb}",
               "the {subject} {beside} the {adjective} {attractor} {adverb} {verb}",
               "the {adjective} {subject} who {liked} the {attractor} {adverb} {verb}",
               "the {subject} that no {attractor} {liked} {verb}"),
        dev=("the {subject} {beside} the {attractor} in the {place} {verb}",
             "the {subject} whom the {adjective} {attractor} {liked} {adverb} {verb}",
             "we hear that the {subject} who {liked} the {attractor} {verb}"))
    subject, attractor = draw.several(words.PEOPLE, 2)
    social, habit = draw.pick(words.SOCIAL_VERBS), draw.pick(words.HABITS)
    slots = {"subject": _number(subject, is_plural), "attractor": _number(attractor, attractor_is_plural),
             "beside": draw.pick(("next to", "behind", "in front of", "opposite")), "adverb": draw.pick(_ADVERBS),
             "like": present(social, is_plural), "liked": past(social), "place": draw.pick(words.PLACES),
             "adjective": draw.pick(words.PERSON_ADJECTIVES)}
    return _pair(template.format(verb=present(habit, is_plural), **slots),
                 template.format(verb=present(habit, not is_plural), **slots))


_REFLEXIVE_ACTS = Words(
    train=("saw {} in the mirror", "hurt {} in the garden", "blamed {} for the accident", "bought {} a new coat",
           "introduced {} to the guests", "defended {} in court", "made {} a cup of tea", "cut {} while cooking",
           "prepared {} for the exam", "found {} alone on the island", "praised {} in the interview"),
    dev=("locked {} out of the house", "dressed {} for the wedding", "drew {} in pencil", "talked {} into a long trip",
         "asked {} the same question", "treated {} to a large dessert", "washed {} in the river"))


def _reflexive(draw: Draw) -> list[Row]:
    """The pronoun agrees with the subject of its own clause, not with another noun of the sentence."""
    nouns = {"himself": draw.pick(words.MEN), "herself": draw.pick(words.WOMEN),
             "themselves": plural(draw.pick(draw.pick((words.MEN, words.WOMEN, words.PEOPLE))))}
    right, wrong, _ = draw.shuffled(tuple(nouns))
    template = draw.template(
        train=("the {subject} {beside} the {other} {act}", "the {other} said that the {subject} {act}",
               "the {subject} who {liked} the {other} {act}", "{time} the {subject} that the {other} {liked} {act}",
               "before the {other} arrived, the {subject} {act}"),
        dev=("the {other} knew why the {subject} {act}", "the {subject} whom the {other} {liked} {act}",
             "{time} the {subject} behind the {other} {act}"))
    act = draw.pick(_REFLEXIVE_ACTS)
    slots = {"subject": nouns[right], "other": nouns[wrong], "liked": past(draw.pick(words.SOCIAL_VERBS)),
             "beside": draw.pick(("next to", "near")), "time": draw.pick(words.TIMES)}
    return _pair(template.format(act=act.format(right), **slots), template.format(act=act.format(wrong), **slots))


def _determiner(draw: Draw) -> list[Row]:
    """"This" and "every" want a singular noun, "these" and "several" a plural one."""
    singular, several = draw.pick(("this", "that", "every", "each", "another")), \
        draw.pick(("these", "those", "several", "many", "both"))
    is_plural = draw.chance(0.5)
    template = draw.template(
        train=("the {person} {acted} {determiner} {adjective} {thing} {time}",
               "{time} {name} {acted} {determiner} {adjective} {thing}",
               "{name} and the {person} {acted} {determiner} {thing} in the {place}",
               "the {person} in the {place} {acted} {determiner} very {adjective} {thing}"),
        dev=("did {name} ever tell you that the {person} {acted} {determiner} {adjective} {thing}",
             "the {person} and {name} both {acted} {determiner} {adjective} {thing} {time}",
             "{name} saw how the {person} {acted} {determiner} {thing} from the {place}"))
    slots = {"person": draw.pick(words.PEOPLE), "acted": past(draw.pick(words.THING_VERBS)),
             "name": draw.pick(words.NAMES), "adjective": draw.pick(words.THING_ADJECTIVES),
             "thing": _number(draw.pick(words.THINGS), is_plural), "time": draw.pick(words.TIMES),
             "place": draw.pick(words.PLACES)}
    right, wrong = (several, singular) if is_plural else (singular, several)
    return _pair(template.format(determiner=right, **slots), template.format(determiner=wrong, **slots),
                 "?" if template.startswith("did") else ".")


def _negative_polarity(draw: Draw) -> list[Row]:
    """"Ever" needs a "no" whose clause it is in; the same words in another order will not do."""
    template = draw.template(
        train=("{first} {subject} that {second} {other} {liked} has ever {done}",
               "{first} {subject} who {liked} {second} {other} has ever {done}",
               "{first} {subject} {beside} {second} {other} has ever {done}",
               "{first} {subject} that {second} {adjective} {other} {liked} had any plans to {habit}"),
        dev=("{first} {subject} whom {second} {other} {liked} has ever {done}",
             "{first} {adjective} {subject} who {liked} {second} {other} will ever {habit}",
             "{first} {subject} behind {second} {other} had any wish to {habit}"))
    subject, other = draw.several(words.PEOPLE, 2)
    habit = draw.pick(words.HABITS)
    slots = {"subject": subject, "other": other, "liked": past(draw.pick(words.SOCIAL_VERBS)), "habit": habit,
             "done": participle(habit), "beside": draw.pick(("near", "in front of")),
             "adjective": draw.pick(words.PERSON_ADJECTIVES)}
    return _pair(template.format(first="no", second="the", **slots), template.format(first="the", second="no", **slots))


# (verb and preposition, verb without, what follows either)
_PREPOSITION_PAIRS = Words(
    train=(("arrive at", "reach", "station, hotel, village, border, hut"),
           ("listen to", "hear", "speech, concert, story, recording, sermon"),
           ("look at", "examine", "painting, map, contract, photograph, ring"),
           ("complain about", "criticize", "service, food, decision, new rules, film"),
           ("laugh at", "mock", "hat, accent, speech, plan, costume"),
           ("smile at", "greet", "children, guests, visitors, twins, queen"),
           ("rely on", "use", "map, compass, dictionary, guidebook, radio"),
           ("belong to", "join", "club, choir, orchestra, team, party"),
           ("object to", "reject", "plan, offer, proposal, design, idea")),
    dev=(("stare at", "inspect", "statue, document, coin, trophy, scratch"),
         ("talk about", "discuss", "budget, election, holiday, weather, exam"),
         ("apologize to", "thank", "hosts, passengers, crew, jury, audience"),
         ("participate in", "attend", "debate, workshop, ceremony, meeting, contest"),
         ("insist on", "demand", "refund, discount, replacement, new trial, vote")))
# verbs that take no object, verbs that need one, with fitting objects
_NO_OBJECT = Words(train=("sneeze", "yawn", "cough", "vanish", "faint", "arrive", "smile", "laugh", "wait"),
                   dev=("hesitate", "blush", "disappear", "shiver", "giggle"))
_NEEDS_OBJECT = Words(
    train=(("lock", "door, gate, drawer"), ("devour", "cake, soup, pie"), ("fix", "bicycle, roof, radio"),
           ("buy", "newspaper, lamp, scarf"), ("find", "wallet, ring, key"), ("carry", "suitcase, box, baby")),
    dev=(("repair", "fence, engine, violin"), ("fetch", "ladder, towel, doctor"), ("hide", "letter, bottle, gift"),
         ("borrow", "umbrella, pencil, shovel")))


def _argument_structure(draw: Draw) -> list[Row]:
    """Which verbs take an object, which need one, and which need a preposition."""
    template = draw.template(
        train=("the {person} {predicate} {time}", "{time} the {adjective} {person} {predicate}",
               "we heard that the {person} {predicate} {time}",
               "{name} and the {person} {predicate} together {time}"),
        dev=("{name} remembers that the {person} {predicate} {time}",
             "{time} the {person} and {name} {predicate}",
             "the {adjective} {person} who met {name} {predicate} {time}"))
    if draw.chance(0.5):
        with_preposition, without, objects = draw.pick(_PREPOSITION_PAIRS)
        verb, preposition = with_preposition.split()
        thing = "the " + draw.pick(objects.split(", "))
        good = (f"{past(verb)} {preposition} {thing}", f"{past(without)} {thing}")
        bad = (f"{past(verb)} {thing}", f"{past(without)} {preposition} {thing}")
    else:
        alone, (needing, objects) = draw.pick(_NO_OBJECT), draw.pick(_NEEDS_OBJECT)
        thing = "the " + draw.pick(objects.split(", "))
        good = (past(alone), f"{past(needing)} {thing}")
        bad = (f"{past(alone)} {thing}", past(needing))
    slots = {"person": draw.pick(words.PEOPLE), "name": draw.pick(words.NAMES), "time": draw.pick(words.TIMES),
             "adjective": draw.pick(words.PERSON_ADJECTIVES)}
    rows = []
    for right, wrong in zip(good, bad):
        rows += _pair(template.format(predicate=right, **slots), template.format(predicate=wrong, **slots))
    return rows


_GAP_VERBS = Words(train=("bought", "found", "lost", "repaired", "hid", "stole", "sold", "brought"),
                   dev=("borrowed", "dropped", "left", "damaged", "photographed"))


def _wh_gap(draw: Draw) -> list[Row]:
    """"What" needs a gap where the object would be; without "what" there must be an object."""
    template = draw.template(
        train=("{name} knows {word} the {person} {verb} {thing} in the {place}",
               "we forgot {word} the {person} {verb} {thing} {time}",
               "it was clear {word} the {adjective} {person} {verb} {thing} {time}",
               "{name} told us {word} the {person} {verb} {thing} near the {place}"),
        dev=("{name} discovered {word} the {adjective} {person} {verb} {thing} {time}",
             "{time} we learned {word} the {person} {verb} {thing} at the {place}",
             "nobody remembers {word} {name} and the {person} {verb} {thing} {time}"))
    thing = f"the {draw.pick(words.THINGS)}"
    slots = {"name": draw.pick(words.NAMES), "person": draw.pick(words.PEOPLE), "verb": draw.pick(_GAP_VERBS),
             "adjective": draw.pick(words.PERSON_ADJECTIVES), "place": draw.pick(words.PLACES),
             "time": draw.pick(words.TIMES)}
    rows = []
    for word, right, wrong in (("what", "", thing), ("that", thing, "")):
        rows += _pair(template.format(word=word, thing=right, **slots), template.format(word=word, thing=wrong, **slots))
    return rows


def _word_order(draw: Draw) -> list[Row]:
    """The same words; two of them, or two phrases, have changed places."""
    good, bad = draw.template(
        train=(("the {person} {acted} the {adjective} {thing} in the {place}",
                "the {person} {acted} the {thing} {adjective} in the {place}"),
               ("{name} {acted} a {thing} in the {place} {time}", "{name} a {thing} {acted} in the {place} {time}"),
               ("the very {mood} {person} {acted} the {thing}", "the {mood} very {person} {acted} the {thing}"),
               ("{name} took the {thing} from the {place} to the {person}",
                "{name} took the {thing} the {place} from to the {person}"),
               ("the {person} has not {done} the {thing} yet", "the {person} not has {done} the {thing} yet"),
               ("the {person} {acted} all of the {things} {time}", "the {person} {acted} of all the {things} {time}")),
        dev=(("{time} the {mood} {person} {acted} a {thing} for {name}",
              "{time} the {person} {mood} {acted} a {thing} for {name}"),
             ("{time} the {person} from the {place} {acted} the {thing}",
              "{time} the {person} the {place} from {acted} the {thing}"),
             ("{name} and the {person} {acted} some {adjective} {things}",
              "{name} and the {person} some {adjective} {things} {acted}"),
             ("the {person} {acted} a rather {adjective} {thing}", "the {person} {acted} a {adjective} rather {thing}")))
    verb, thing = draw.pick(words.THING_VERBS), draw.pick(words.THINGS)
    slots = {"person": draw.pick(words.PEOPLE), "name": draw.pick(words.NAMES), "acted": past(verb),
             "done": participle(verb), "thing": thing, "things": plural(thing), "place": draw.pick(words.PLACES),
             "mood": draw.pick(words.PERSON_ADJECTIVES), "adjective": draw.pick(words.THING_ADJECTIVES),
             "time": draw.pick(words.TIMES)}
    return _pair(good.format(**slots), bad.format(**slots))


def _inversion(draw: Draw) -> list[Row]:
    """The auxiliary stands before the subject in a question, after it in a clause inside another."""
    wh, auxiliary = draw.pick(("where", "when", "why", "how")), draw.pick(("will", "can", "should", "must", "would"))
    opening = draw.template(
        train=("{name} wonders", "nobody knows", "it is not clear", "we asked", "{name} has no idea"),
        dev=("{name} will soon find out", "they would like to know", "it is hard to say"))
    opening = opening.format(name=draw.pick(words.NAMES))
    subject = draw.template(train=("the {p}", "the {a} {p}", "the {p} from the {place}"),
                            dev=("the {p} near the {place}", "the {a} {p} from the {place}"))
    subject = subject.format(p=draw.pick(words.PEOPLE), a=draw.pick(words.PERSON_ADJECTIVES),
                             place=draw.pick(words.PLACES))
    habit = draw.pick(words.HABITS)
    inverted, straight = f"{wh} {auxiliary} {subject} {habit}", f"{wh} {subject} {auxiliary} {habit}"
    return _pair(inverted, straight, "?") + _pair(f"{opening} {straight}", f"{opening} {inverted}")


_IRREGULAR_ACTS = Words(
    train=("take the early bus", "write a long letter", "break the window", "steal the necklace", "eat the last cake",
           "choose the red curtains", "throw the ball over the wall", "forget the password", "wear a blue hat",
           "draw a map", "see the comet", "ride the gray horse", "drink the cold tea", "give a short speech",
           "grow a beard", "drive to the coast"),
    dev=("fly to Lisbon", "sing a duet", "swim across the bay", "shake the bottle", "wake the baby", "tear the dress",
         "bite into the apple", "go to the bank", "fall off the ladder", "hide the key"))


def _verb_form(draw: Draw) -> list[Row]:
    """"Has" wants the participle, and without it there must be the past tense."""
    template = draw.template(
        train=("the {person} {has} finally {verb}", "{name} and the {person} {have} already {verb}",
               "the {adjective} {person} in the {place} {has} just {verb}",
               "I believe that the {person} {has} once {verb}"),
        dev=("the {person} near the {place} {has} never {verb}", "the {adjective} {person} {has} recently {verb}",
             "{name} told us that the {person} {has} twice {verb}"))
    slots = {"person": draw.pick(words.PEOPLE), "name": draw.pick(words.NAMES), "place": draw.pick(words.PLACES),
             "adjective": draw.pick(words.PERSON_ADJECTIVES)}
    act = draw.pick(_IRREGULAR_ACTS)
    full, bare = {"has": "has", "have": "have", **slots}, {"has": "", "have": "", **slots}
    return (_pair(template.format(verb=participle(act), **full), template.format(verb=past(act), **full))
            + _pair(template.format(verb=past(act), **bare), template.format(verb=participle(act), **bare)))


_LONG_ADJECTIVES = Words(
    train=("careful with money", "interested in music", "afraid of the dark", "patient with children", "famous abroad",
           "honest about mistakes", "nervous before exams", "popular in the village", "generous to strangers"),
    dev=("fond of animals", "curious about history", "active in politics", "skilled at cards", "talkative at dinner"))


def _comparison(draw: Draw) -> list[Row]:
    """"More" goes with "than" and "as" with "as", however far apart."""
    template = draw.template(
        train=("the {first} is {degree} {adjective} {link} the {second}", "{name} was {degree} {adjective} {link} the {second}",
               "the {first} from the {place} seems {degree} {adjective} {link} {name}"),
        dev=("they say that the {first} is {degree} {adjective} {link} {name}",
             "{name} has always been {degree} {adjective} {link} the {second}",
             "the {first} became {degree} {adjective} {link} the {second}"))
    first, second = draw.several(words.PEOPLE, 2)
    slots = {"first": first, "second": second, "name": draw.pick(words.NAMES), "place": draw.pick(words.PLACES),
             "adjective": draw.pick(_LONG_ADJECTIVES)}
    rows = []
    for degree, right, wrong in (("more", "than", "as"), ("as", "as", "than")):
        rows += _pair(template.format(degree=degree, link=right, **slots),
                      template.format(degree=degree, link=wrong, **slots))
    return rows


def _conjunctions(draw: Draw) -> list[Row]:
    """"Both" goes with "and", "either" with "or", "neither" with "nor"."""
    template = draw.template(
        train=("{first} the {one} {second} the {two} {acted} the {thing}",
               "{time} {first} {name} {second} the {adjective} {one} {acted} the {thing}",
               "the {one} {acted} {first} the {thing} {second} the {other}"),
        dev=("we think that {first} the {adjective} {one} {second} {name} {acted} the {thing}",
             "{name} {acted} {first} the {adjective} {thing} {second} the {other}",
             "{time} {first} the {one} from the {place} {second} the {two} {acted} the {thing}"))
    (one, two), (thing, other) = draw.several(words.PEOPLE, 2), draw.several(words.THINGS, 2)
    slots = {"one": one, "two": two, "thing": thing, "other": other, "name": draw.pick(words.NAMES),
             "acted": past(draw.pick(words.THING_VERBS)), "adjective": draw.pick(words.PERSON_ADJECTIVES),
             "time": draw.pick(words.TIMES), "place": draw.pick(words.PLACES)}
    (first, second), (other_first, other_second) = draw.several((("both", "and"), ("either", "or"), ("neither", "nor")), 2)
    return (_pair(template.format(first=first, second=second, **slots),
                  template.format(first=first, second=other_second, **slots))
            + _pair(template.format(first=other_first, second=other_second, **slots),
                    template.format(first=other_first, second=second, **slots)))


PHENOMENA = tuple(Phenomenon(name=name, rows=rows) for name, rows in (
    ("agreement", _agreement), ("agreement across an attractor", _agreement_across), ("reflexive", _reflexive),
    ("determiner and noun", _determiner), ("negative polarity", _negative_polarity),
    ("argument structure", _argument_structure), ("wh-gap", _wh_gap), ("word order", _word_order),
    ("question inversion", _inversion), ("verb form", _verb_form), ("comparison", _comparison),
    ("paired conjunctions", _conjunctions)))
