"""QQP-style sample data: do two questions ask for the same (1) or not (0)?

Every question of a group stands in a pair of duplicates as often as in a pair of near-duplicates that ask for
something else: another reason, another direction, another role, the opposite.
"""

from kdviz.data.sample import words
from kdviz.data.sample.engine import Draw, Phenomenon, Row
from kdviz.data.sample.english import participle, sentence, third
from kdviz.data.sample.words import Words

_ACTS = Words(
    train=(
        "learn {language}",
        "bake bread",
        "build a small house",
        "train for a marathon",
        "grow tomatoes indoors",
        "renovate a bathroom",
        "sail across the Atlantic",
        "open a restaurant",
        "brew beer at home",
        "write a children's book",
        "become a pilot",
        "move to {country}",
        "visit {country} in winter",
        "keep bees",
        "restore an old car",
        "start a podcast",
        "paint a portrait",
        "adopt a dog",
        "repair a leaking roof",
        "study medicine in {country}",
        "record an album",
        "plant an apple tree",
    ),
    dev=(
        "play the {instrument}",
        "knit a sweater",
        "dig a well",
        "get a visa for {country}",
        "publish a novel",
        "drive through {country}",
        "install solar panels",
        "teach {language} online",
        "climb Mount Kenya",
    ),
)
_LANGUAGES = Words(
    train=("French", "Spanish", "Russian", "Arabic", "German", "Italian", "Turkish", "Chinese", "Latin"),
    dev=("Korean", "Swedish", "Polish", "Hindi", "Dutch", "Greek"),
)
_COUNTRIES = Words(
    train=("Canada", "Japan", "Brazil", "France", "India", "Spain", "Mexico", "Italy", "Sweden", "Kenya"),
    dev=("Norway", "Australia", "Vietnam", "Portugal", "Ireland", "Peru"),
)
_INSTRUMENTS = Words(train=("guitar", "violin"), dev=("cello", "trumpet", "flute"))
_CITIES = Words(
    train=(
        "Boston",
        "Chicago",
        "Denver",
        "London",
        "Madrid",
        "Paris",
        "Rome",
        "Vienna",
        "Toronto",
        "Berlin",
        "Lisbon",
        "Cairo",
        "Tokyo",
        "Lima",
        "Milan",
    ),
    dev=("Dublin", "Oslo", "Prague", "Seattle", "Sydney", "Athens", "Warsaw", "Geneva"),
)
_HOW = Words(
    train=(
        "",
        "as a beginner",
        "at my age",
        "on my own",
        "with little money",
        "as a single parent",
        "as a foreigner",
        "with a bad knee",
        "as a young woman",
        "with a small family",
        "after a divorce",
        "as an artist",
    ),
    dev=("", "as a student", "without any help", "with two children", "as a tourist", "with a full-time job"),
)


def _row(first: str, second: str, label: int) -> Row:
    return sentence(first, "?"), sentence(second, "?"), label


def _grid(first: tuple[str, str], second: tuple[str, str]) -> list[Row]:
    """Two questions, each with its own duplicate, in all four combinations."""
    return [_row(one, two, int(i == j)) for i, one in enumerate(first) for j, two in enumerate(second)]


# How often a pair begins with the more frequent of two opposite words, a hint that counting words can find:
# without it a short fine-tuning does not begin to compare the questions.
_LEAN = 0.8


def _leaning(draw: Draw, first: tuple[str, str], second: tuple[str, str]) -> list[Row]:
    """One question, its duplicate and the near-duplicate; mostly the first of the two."""
    which = 0 if draw.chance(_LEAN) else 1
    return [_row(first[which], second[which], 1), _row(first[which], second[1 - which], 0)]


def _roles(first: str, second: str, draw: Draw, a: str, b: str, c: str, **slots: str) -> list[Row]:
    """The roles kept, and the roles exchanged or somebody or somewhere else."""
    other = {"a": b, "b": a} if draw.chance(0.25) else draw.pick(({"a": c, "b": b}, {"a": a, "b": c}))
    one = first.format(a=a, b=b, **slots)
    return [_row(one, second.format(a=a, b=b, **slots), 1), _row(one, second.format(**other, **slots), 0)]


def _act(draw: Draw) -> str:
    act = draw.pick(_ACTS).format(
        language=draw.pick(_LANGUAGES), country=draw.pick(_COUNTRIES), instrument=draw.pick(_INSTRUMENTS)
    )
    return f"{act} {draw.pick(_HOW)}".strip()


def _intent(draw: Draw) -> list[Row]:
    """How, why, how long, how much, is it safe: the same words about the matter, another question."""
    frames = draw.template(
        train=(
            {
                "how": ("how do I {act}", "how can I {act}"),
                "why": ("why do people {act}", "why would anyone {act}"),
                "time": ("how long does it take to {act}", "how long would it take me to {act}"),
                "cost": ("how much does it cost to {act}", "what would it cost me to {act}"),
                "risk": ("is it dangerous to {act}", "could it be dangerous to {act}"),
            },
            {
                "how": ("what is the best way to {act}", "what is a good way to {act}"),
                "why": ("what is the reason to {act}", "what reason do people have to {act}"),
                "time": ("how many months does it take to {act}", "how many months do I need to {act}"),
                "cost": ("how expensive is it to {act}", "is it expensive to {act}"),
                "risk": ("is it risky to {act}", "how risky is it to {act}"),
            },
        ),
        dev=(
            {
                "how": ("how should I {act}", "how do people {act}"),
                "why": ("why does anyone {act}", "why should I {act}"),
                "time": ("how much time does it take to {act}", "how much time do I need to {act}"),
                "cost": ("would it be expensive to {act}", "how expensive would it be to {act}"),
                "risk": ("how dangerous is it to {act}", "is it really dangerous to {act}"),
            },
        ),
    )
    act = _act(draw)
    one, two = draw.several(tuple(frames), 2)
    first, second = (tuple(frames[intent][i].format(act=act) for intent in (one, two)) for i in (0, 1))
    return _grid(first, second) if draw.chance(0.5) else _grid(second, first)


def _changed_detail(draw: Draw) -> list[Row]:
    """The same question about another language, country or city."""
    first, second = draw.template(
        train=(
            (
                "how do I learn {language} in {month} {how}",
                "what is the best way to learn {language} in {month} {how}",
            ),
            (
                "what should I see in {city} in {month} {how}",
                "which places in {city} are worth a visit in {month} {how}",
            ),
            (
                "is it hard to find a job in {country} in {month} {how}",
                "how difficult is it to get a job in {country} in {month} {how}",
            ),
            ("how safe is {city} in {month} {how}", "is {city} a safe place in {month} {how}"),
        ),
        dev=(
            (
                "what does a flat in {city} cost in {month} {how}",
                "how much is the rent for a flat in {city} in {month} {how}",
            ),
            (
                "do I need a coat in {country} in {month} {how}",
                "is a coat necessary in {country} in {month} {how}",
            ),
            (
                "where can I study {language} in {month} {how}",
                "which school teaches {language} in {month} {how}",
            ),
        ),
    )
    month, how = (
        draw.pick(("January", "March", "April", "May", "July", "August", "October", "December")),
        "" if draw.chance(0.6) else draw.pick(_HOW),
    )
    languages, countries, cities = (draw.several(kind, 2) for kind in (_LANGUAGES, _COUNTRIES, _CITIES))
    fills = [
        {"language": language, "country": country, "city": city, "month": month, "how": how}
        for language, country, city in zip(languages, countries, cities)
    ]
    return _grid(
        tuple(first.format(**fill) for fill in fills), tuple(second.format(**fill) for fill in fills)
    )


def _direction(draw: Draw) -> list[Row]:
    """From A to B, or from B to A."""
    first, second = draw.template(
        train=(
            ("how do I get from {a} to {b} {by}", "what is the best way to travel from {a} to {b} {by}"),
            (
                "how long is the trip from {a} to {b} {by}",
                "how many hours does it take to go from {a} to {b} {by}",
            ),
            ("should I move to {a} from {b}", "is it a good idea to leave {b} and move to {a}"),
        ),
        dev=(
            ("how much is a ticket from {a} to {b} {by}", "what do I pay to travel from {a} to {b} {by}"),
            ("is it possible to commute from {a} to {b} {by}", "can anyone commute to {b} from {a} {by}"),
        ),
    )
    places = draw.pick((_CITIES, _COUNTRIES))
    a, b, c = draw.several(places, 3)
    by = draw.pick(("by train", "by car", "by bus", "by plane", "with a dog", "with children"))
    return _roles(first, second, draw, a, b, c, by=by)


_SIDES = Words(
    train=(
        ("landlord", "tenant"),
        ("teacher", "student"),
        ("doctor", "patient"),
        ("buyer", "seller"),
        ("manager", "employee"),
        ("driver", "passenger"),
        ("mother", "daughter"),
        ("lawyer", "client"),
    ),
    dev=(
        ("father", "son"),
        ("writer", "publisher"),
        ("coach", "player"),
        ("host", "guest"),
        ("banker", "customer"),
    ),
)
_SIDE_VERBS = (
    "sue",
    "contact",
    "record",
    "ignore",
    "insult",
    "replace",
    "blame",
    "report",
    "follow",
    "judge",
    "fire",
    "trust",
    "visit",
    "photograph",
)


def _role_swap(draw: Draw) -> list[Row]:
    """Who may do it to whom."""
    first, second = draw.template(
        train=(
            ("can a {a} {verb} a {b} {where}", "is it possible for a {a} to {verb} a {b} {where}"),
            ("why would a {a} {verb} a {b} {where}", "what could make a {a} {verb} a {b} {where}"),
            ("when may a {a} {verb} a {b} {where}", "when is a {a} allowed to {verb} a {b} {where}"),
        ),
        dev=(
            ("is a {a} allowed to {verb} a {b} {where}", "may a {a} {verb} a {b} {where}"),
            (
                "what happens if a {a} {does} a {b} {where}",
                "what follows if {where} a {b} is {done} by a {a}",
            ),
        ),
    )
    verb = draw.pick(_SIDE_VERBS)
    (a, b), (c, _) = draw.several(_SIDES, 2)
    slots = {
        "verb": verb,
        "does": third(verb),
        "done": participle(verb),
        "where": f"in {draw.pick(_COUNTRIES)}",
    }
    return _roles(first, second, draw, a, b, c, **slots)


_BETTER = (
    ("better", "worse"),
    ("cheaper", "more expensive"),
    ("safer", "more dangerous"),
    ("easier", "harder"),
    ("larger", "smaller"),
    ("older", "younger"),
    ("faster", "slower"),
)


def _comparison(draw: Draw) -> list[Row]:
    """Is A better than B, or is B, or is it worse, or is somewhere else?"""
    first, second = draw.template(
        train=(
            ("is {a} {degree} than {b} {how}", "would you say that {a} is {degree} than {b} {how}"),
            ("why is {a} {degree} than {b} {how}", "what makes {a} {degree} than {b} {how}"),
        ),
        dev=(
            (
                "do you think that {a} is {degree} than {b} {how}",
                "is it true that {a} is {degree} than {b} {how}",
            ),
            (
                "can you explain why {a} is {degree} than {b} {how}",
                "could you tell me why {a} is {degree} than {b} {how}",
            ),
        ),
    )
    a, b, c = draw.several(draw.pick((_CITIES, _COUNTRIES)), 3)
    how = draw.pick(
        Words(
            train=("for a family", "for a student", "in summer", "for a short trip", "in your opinion"),
            dev=("for tourists", "in winter", "for an artist"),
        )
    )
    degree, reverse = draw.pick(_BETTER)
    if not draw.chance(_LEAN):
        degree, reverse = reverse, degree
    slots = {
        "a": a,
        "b": b,
        "degree": degree,
        "how": "" if degree in ("older", "younger", "faster", "slower") or draw.chance(0.5) else how,
    }
    other = draw.pick(({"a": b, "b": a}, {"degree": reverse}, {"degree": reverse}, {"b": c}))
    question = first.format(**slots)
    return [_row(question, second.format(**slots), 1), _row(question, second.format(**{**slots, **other}), 0)]


_HABITS = Words(
    train=(
        "eat",
        "drink coffee",
        "run",
        "stretch",
        "shower",
        "study",
        "sleep",
        "swim",
        "do homework",
        "read",
        "take a pill",
        "go for a walk",
        "drink water",
        "clean the house",
        "lift weights",
        "shave",
    ),
    dev=(
        "exercise",
        "meditate",
        "check the news",
        "walk the dog",
        "drink milk",
        "take a nap",
        "do yoga",
        "cook dinner",
    ),
)
_SITUATIONS = Words(
    train=(
        "",
        "in the morning",
        "in the evening",
        "in winter",
        "in summer",
        "on a long trip",
        "after an illness",
    ),
    dev=("", "in hot weather", "on weekends", "at the age of sixty"),
)


def _order(draw: Draw) -> list[Row]:
    """P before Q is not P after Q, nor Q before P, nor P before something else."""
    first, second = draw.template(
        train=(
            ("is it good to {p} {when} I {q} {at}", "is it a good idea to {p} {when} I {q} {at}"),
            ("should I {p} {when} I {q} {at}", "is it better to {p} {when} I {q} {at}"),
            ("why should nobody {p} {when} they {q} {at}", "why is it wrong to {p} {when} we {q} {at}"),
        ),
        dev=(
            ("is it healthy to {p} {when} I {q} {at}", "does it help to {p} {when} I {q} {at}"),
            (
                "do doctors tell us to {p} {when} we {q} {at}",
                "do doctors say that we should {p} {when} we {q} {at}",
            ),
        ),
    )
    p, q, r = draw.several(_HABITS, 3)
    when, reverse = ("before", "after") if draw.chance(_LEAN) else ("after", "before")
    slots = {"p": p, "q": q, "when": when, "at": draw.pick(_SITUATIONS)}
    other = draw.pick(({"p": q, "q": p}, {"when": reverse}, {"when": reverse}, {"q": r}))
    question = first.format(**slots)
    return [_row(question, second.format(**slots), 1), _row(question, second.format(**{**slots, **other}), 0)]


# (two ways to say one thing), (two ways to say the opposite)
_OPPOSITES = (
    (("gain weight", "gain a few pounds"), ("lose weight", "lose a few pounds")),
    (("fall asleep", "fall into sleep"), ("stay awake", "keep awake")),
    (("save money", "save more money"), ("spend money", "spend more money")),
    (
        ("make my computer faster", "get a faster computer"),
        ("make my computer slower", "get a slower computer"),
    ),
    (
        ("raise my blood pressure", "get my blood pressure up"),
        ("lower my blood pressure", "get my blood pressure down"),
    ),
    (("start smoking", "start to smoke"), ("stop smoking", "quit smoking")),
    (("win an argument", "win more arguments"), ("lose an argument", "lose more arguments")),
    (("remember my dreams", "remember more dreams"), ("forget my dreams", "forget more dreams")),
)


_WHEN = Words(
    train=(
        "before a wedding",
        "in summer",
        "after an illness",
        "during exams",
        "at night",
        "on holiday",
        "after work",
        "this year",
        "without medicine",
    ),
    dev=("in two weeks", "while traveling", "in the evening", "after a long day", "at home"),
)


def _opposite(draw: Draw) -> list[Row]:
    """The same goal in other words, or the opposite goal."""
    first, second = draw.template(
        train=(
            ("how can I {act} {how}", "what helps to {act} {how}"),
            ("is it normal to {act} {how}", "would it be normal to {act} {how}"),
            ("how do I {act} {how}", "what is a simple way to {act} {how}"),
        ),
        dev=(
            ("what would make me {act} {how}", "what could I do to {act} {how}"),
            ("is it a bad idea to {act} {how}", "would it be unwise to {act} {how}"),
        ),
    )
    how = f"{draw.pick(_WHEN)} {draw.pick(_HOW)}"
    sides = draw.shuffled(draw.pick(_OPPOSITES))
    return _grid(
        tuple(first.format(act=side[0], how=how) for side in sides),
        tuple(second.format(act=side[1], how=how) for side in sides),
    )


_LIMITS = (("under", "less than"), ("over", "more than"))


def _limit(draw: Draw) -> list[Row]:
    """Below a limit or above it."""
    first, second = draw.template(
        train=(
            (
                "what is the best {thing} {limit} {n} dollars",
                "which {thing} is the best for {limit} {n} dollars",
            ),
            (
                "where can I buy a {thing} for {limit} {n} dollars",
                "which shop sells a {thing} for {limit} {n} dollars",
            ),
            (
                "is there a good {thing} for {limit} {n} dollars",
                "can I get a good {thing} for {limit} {n} dollars",
            ),
        ),
        dev=(
            (
                "do you know a good {thing} for {limit} {n} dollars",
                "could you name a good {thing} for {limit} {n} dollars",
            ),
            (
                "how do I find a {thing} for {limit} {n} dollars",
                "what is the best way to find a {thing} for {limit} {n} dollars",
            ),
        ),
    )
    slots = {"thing": draw.pick(words.THINGS), "n": draw.pick((20, 30, 50, 80, 100, 150, 200, 300, 500))}
    return _leaning(
        draw,
        tuple(first.format(limit=limit[0], **slots) for limit in _LIMITS),
        tuple(second.format(limit=limit[1], **slots) for limit in _LIMITS),
    )


PHENOMENA = tuple(
    Phenomenon(name=name, rows=rows)
    for name, rows in (
        ("intent", _intent),
        ("changed detail", _changed_detail),
        ("direction", _direction),
        ("role swap", _role_swap),
        ("comparison", _comparison),
        ("order of events", _order),
        ("opposite", _opposite),
        ("limit", _limit),
    )
)
