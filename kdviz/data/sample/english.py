"""Inflection, articles and capitals: the little English grammar that every generator shares."""

import re

_PLURALS = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "wife": "wives",
    "knife": "knives",
    "thief": "thieves",
    "person": "people",
    "mouse": "mice",
    "shelf": "shelves",
    "loaf": "loaves",
    "leaf": "leaves",
    "scarf": "scarves",
    "sheep": "sheep",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "hero": "heroes",
    "calf": "calves",
    "goose": "geese",
    "policeman": "policemen",
    "fisherman": "fishermen",
    "saleswoman": "saleswomen",
}
# base: (past, past participle)
_VERBS = {
    "be": ("was", "been"),
    "beat": ("beat", "beaten"),
    "begin": ("began", "begun"),
    "bite": ("bit", "bitten"),
    "blow": ("blew", "blown"),
    "break": ("broke", "broken"),
    "bring": ("brought", "brought"),
    "build": ("built", "built"),
    "buy": ("bought", "bought"),
    "catch": ("caught", "caught"),
    "choose": ("chose", "chosen"),
    "come": ("came", "come"),
    "cut": ("cut", "cut"),
    "do": ("did", "done"),
    "draw": ("drew", "drawn"),
    "drink": ("drank", "drunk"),
    "drive": ("drove", "driven"),
    "eat": ("ate", "eaten"),
    "fall": ("fell", "fallen"),
    "feed": ("fed", "fed"),
    "feel": ("felt", "felt"),
    "find": ("found", "found"),
    "fly": ("flew", "flown"),
    "forget": ("forgot", "forgotten"),
    "freeze": ("froze", "frozen"),
    "get": ("got", "got"),
    "give": ("gave", "given"),
    "go": ("went", "gone"),
    "grow": ("grew", "grown"),
    "have": ("had", "had"),
    "hear": ("heard", "heard"),
    "hide": ("hid", "hidden"),
    "hit": ("hit", "hit"),
    "hold": ("held", "held"),
    "hurt": ("hurt", "hurt"),
    "keep": ("kept", "kept"),
    "know": ("knew", "known"),
    "lead": ("led", "led"),
    "leave": ("left", "left"),
    "lend": ("lent", "lent"),
    "lose": ("lost", "lost"),
    "make": ("made", "made"),
    "meet": ("met", "met"),
    "pay": ("paid", "paid"),
    "read": ("read", "read"),
    "ride": ("rode", "ridden"),
    "ring": ("rang", "rung"),
    "run": ("ran", "run"),
    "say": ("said", "said"),
    "see": ("saw", "seen"),
    "sell": ("sold", "sold"),
    "send": ("sent", "sent"),
    "shake": ("shook", "shaken"),
    "show": ("showed", "shown"),
    "shut": ("shut", "shut"),
    "sing": ("sang", "sung"),
    "sit": ("sat", "sat"),
    "sleep": ("slept", "slept"),
    "speak": ("spoke", "spoken"),
    "spend": ("spent", "spent"),
    "steal": ("stole", "stolen"),
    "swim": ("swam", "swum"),
    "take": ("took", "taken"),
    "teach": ("taught", "taught"),
    "tear": ("tore", "torn"),
    "tell": ("told", "told"),
    "think": ("thought", "thought"),
    "throw": ("threw", "thrown"),
    "wake": ("woke", "woken"),
    "wear": ("wore", "worn"),
    "win": ("won", "won"),
    "write": ("wrote", "written"),
    "overtake": ("overtook", "overtaken"),
    "forgive": ("forgave", "forgiven"),
    "understand": ("understood", "understood"),
    "knit": ("knitted", "knitted"),
    "seek": ("sought", "sought"),
}
_DOUBLED = {
    "plan",
    "hug",
    "stop",
    "wrap",
    "drop",
    "grab",
    "chat",
    "jog",
    "admit",
    "stun",
    "beg",
    "nod",
    "spot",
    "ship",
    "trap",
    "scrub",
    "skip",
    "mop",
}
_AN_DESPITE_CONSONANT = ("hour", "honest", "honor", "heir")
_A_DESPITE_VOWEL = ("uni", "use", "usu", "euro", "one", "once", "ukulele")


def plural(noun: str) -> str:
    """`noun` in the plural; the last word carries the ending."""
    *before, last = noun.split(" ")
    if last in _PLURALS:
        ending = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        ending = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        ending = last[:-1] + "ies"
    else:
        ending = last + "s"
    return " ".join([*before, ending])


def third(phrase: str) -> str:
    """The third person singular present of a verb phrase such as "sell used books"."""
    verb, rest = _split(phrase)
    if verb in ("be", "have"):
        return {"be": "is", "have": "has"}[verb] + rest
    if verb.endswith(("s", "x", "ch", "sh", "z", "o")):
        return verb + "es" + rest
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies" + rest
    return verb + "s" + rest


def present(phrase: str, is_plural: bool) -> str:
    """The present tense of a verb phrase, agreeing with a third-person subject."""
    if not is_plural:
        return third(phrase)
    verb, rest = _split(phrase)
    return ("are" if verb == "be" else verb) + rest


def past(phrase: str) -> str:
    """The past tense of a verb phrase (singular for "be")."""
    verb, rest = _split(phrase)
    return (_VERBS[verb][0] if verb in _VERBS else _regular_past(verb)) + rest


def participle(phrase: str) -> str:
    """The past participle of a verb phrase."""
    verb, rest = _split(phrase)
    return (_VERBS[verb][1] if verb in _VERBS else _regular_past(verb)) + rest


def gerund(phrase: str) -> str:
    """The -ing form of a verb phrase."""
    verb, rest = _split(phrase)
    if verb in _DOUBLED or verb in (
        "begin",
        "run",
        "swim",
        "win",
        "sit",
        "cut",
        "hit",
        "get",
        "shut",
        "knit",
        "forget",
    ):
        return verb + verb[-1] + "ing" + rest
    if verb.endswith("e") and not verb.endswith("ee") and verb != "be":
        return verb[:-1] + "ing" + rest
    return verb + "ing" + rest


def sentence(text: str, end: str = ".") -> str:
    """`text` with its articles set right, a capital first letter and its end mark; runs of spaces become
    one.
    """
    text = re.sub(r"\s+", " ", text).strip().replace(" ,", ",")
    text = re.sub(r"\b([Aa]) (?=(\w+))", lambda m: _article(m.group(2), m.group(1)) + " ", text)
    return text[0].upper() + text[1:] + end


def _article(following: str, article: str = "a") -> str:
    word = following.lower()
    starts_with_vowel = word[0] in "aeiou" and not word.startswith(_A_DESPITE_VOWEL)
    return article + "n" if starts_with_vowel or word.startswith(_AN_DESPITE_CONSONANT) else article


def _regular_past(verb: str) -> str:
    if verb in _DOUBLED:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + "ed"


def _split(phrase: str) -> tuple[str, str]:
    verb, space, rest = phrase.partition(" ")
    return verb, space + rest
