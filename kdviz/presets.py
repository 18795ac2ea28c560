"""The presets: sentences and pairs of our own, each with the reason to look at it. They are the probes of
every run.
"""

from dataclasses import dataclass

from kdviz.tasks import task_named


@dataclass(frozen=True, kw_only=True)
class Preset:
    """`label` is the expected class id; `look_for` says what to look for in the maps."""

    id: str
    title: str
    reason: str
    text_a: str
    text_b: str | None
    label: int
    look_for: str


def presets(task: str) -> tuple[Preset, ...]:
    """The presets of a task, in the order in which they are shown. RequestError for an unknown task."""
    return _PRESETS[task_named(task).name]


def _single(*rows: tuple[str, str, str, str, int, str]) -> tuple[Preset, ...]:
    return tuple(
        Preset(id=id, title=title, reason=reason, text_a=text, text_b=None, label=label, look_for=look_for)
        for id, title, reason, text, label, look_for in rows
    )


def _pairs(*rows: tuple[str, str, str, str, str, int, str]) -> tuple[Preset, ...]:
    return tuple(
        Preset(
            id=id, title=title, reason=reason, text_a=text_a, text_b=text_b, label=label, look_for=look_for
        )
        for id, title, reason, text_a, text_b, label, look_for in rows
    )


_PRESETS: dict[str, tuple[Preset, ...]] = {
    "cola": _single(
        (
            "attractor-good",
            "The keys to the cabinet",
            "agreement across an attractor",
            "The keys to the old cabinet are on the table.",
            1,
            "In the row of 'are': does the weight reach back to 'keys', or stop at the nearer 'cabinet'?",
        ),
        (
            "attractor-bad",
            "The keys, but is",
            "agreement across an attractor",
            "The keys to the old cabinet is on the table.",
            0,
            "One word differs from the preset before. Which heads change, and does the student's change "
            "with the teacher's?",
        ),
        (
            "reflexive-good",
            "She saw herself",
            "reflexive",
            "The girl in the boat saw herself in the water.",
            1,
            "In the row of 'herself': does some head point to 'girl'?",
        ),
        (
            "reflexive-bad",
            "She saw himself",
            "reflexive",
            "The girl in the boat saw himself in the water.",
            0,
            "Compare the row of 'himself' with that of 'herself' in the preset before.",
        ),
        (
            "polarity-good",
            "Nobody ever",
            "negative polarity",
            "Nobody in the office has ever met the director.",
            1,
            "In the row of 'ever': is there weight on the word that allows it, 'nobody'?",
        ),
        (
            "polarity-bad",
            "Somebody ever",
            "negative polarity",
            "Somebody in the office has ever met the director.",
            0,
            "'ever' has lost the word that allows it. Where does its row look now?",
        ),
        (
            "gap",
            "What did she buy",
            "wh-gap",
            "What did the neighbours buy at the market?",
            1,
            "In the row of 'buy': does 'what', its object, get weight although it stands far in front?",
        ),
        (
            "order",
            "Words out of order",
            "word order",
            "The slept cat on warm the windowsill.",
            0,
            "Many heads look at the next or the last word. What do they do when the order is broken?",
        ),
    ),
    "mrpc": _pairs(
        (
            "passive",
            "Active and passive",
            "paraphrase by passive",
            "The committee approved the plan on Monday.",
            "The plan was approved by the committee on Monday.",
            1,
            "Do the words of one sentence look at their counterparts in the other?",
        ),
        (
            "role-swap",
            "Who sued whom",
            "role swap",
            "The bank sued the builder last year.",
            "The builder sued the bank last year.",
            0,
            "The same words, the roles exchanged. Does any head tell the two apart, or does each word just "
            "find its twin?",
        ),
        (
            "number",
            "Four and nine",
            "changed number",
            "Four people were hurt in the storm.",
            "Nine people were hurt in the storm.",
            0,
            "In the rows of 'four' and 'nine': do they look at each other?",
        ),
        (
            "synonym",
            "Bought and purchased",
            "synonym",
            "The museum bought the painting in March.",
            "The museum purchased the painting in March.",
            1,
            "Does 'purchased' look at 'bought' across the border?",
        ),
        (
            "negation",
            "Did and did not",
            "negation",
            "The minister answered the letter.",
            "The minister did not answer the letter.",
            0,
            "Which layer gives 'not' the most weight, and does the student's matched layer do the same?",
        ),
        (
            "dative",
            "Gave her the prize",
            "dative shift",
            "The jury gave Anna the prize.",
            "The jury gave the prize to Anna.",
            1,
            "The order of 'Anna' and 'prize' changes, the meaning does not. Follow both words across.",
        ),
        (
            "name",
            "Oslo and Lima",
            "changed name",
            "The talks in Oslo ended early.",
            "The talks in Lima ended early.",
            0,
            "In the rows of the two names: do they find each other?",
        ),
    ),
    "rte": _pairs(
        (
            "negation",
            "Opened, not opened",
            "negation",
            "The new bridge did not open in May.",
            "The new bridge opened in May.",
            1,
            "Does the second 'bridge opened' look back at 'not'?",
        ),
        (
            "passive",
            "Wrote, was written by",
            "passive",
            "The novel was written by a young doctor.",
            "A young doctor wrote the novel.",
            0,
            "In the row of 'wrote': does it find 'written', and 'doctor' as the one who did it?",
        ),
        (
            "hypernym",
            "Dogs and animals",
            "hypernym",
            "Two dogs slept in the garden.",
            "Two animals slept in the garden.",
            0,
            "Does 'animals' look at 'dogs'?",
        ),
        (
            "overlap",
            "The same words, turned",
            "lexical overlap",
            "The lawyer thanked the actor.",
            "The actor thanked the lawyer.",
            1,
            "All words occur twice. If each only finds its twin, nothing shows that the roles were "
            "exchanged.",
        ),
        (
            "subsequence",
            "A piece of the sentence",
            "subsequence",
            "The manager near the singer left the hall.",
            "The singer left the hall.",
            1,
            "The second text stands in the first word for word, and yet does not follow. Where does 'left' "
            "look?",
        ),
        (
            "quantifier",
            "Some and all",
            "quantifier",
            "Some of the students passed the test.",
            "All of the students passed the test.",
            1,
            "Follow the row of 'all': does it look at 'some'?",
        ),
        (
            "constituent",
            "If it rains",
            "constituent",
            "If the rain stops, the game will begin.",
            "The rain stops.",
            1,
            "Does the second text look back at 'if', which takes its certainty away?",
        ),
    ),
    "qqp": _pairs(
        (
            "same",
            "The same question",
            "duplicate",
            "How can I learn to swim as an adult?",
            "What is the best way for adults to learn swimming?",
            1,
            "Do 'swim' and 'swimming' find each other across the border?",
        ),
        (
            "topic",
            "Another city",
            "near duplicate, other place",
            "What is the best time to visit Rome?",
            "What is the best time to visit Cairo?",
            0,
            "One word differs. Which layer lets 'Rome' and 'Cairo' look at each other?",
        ),
        (
            "direction",
            "From and to",
            "role swap",
            "How do I get from Lyon to Paris by train?",
            "How do I get from Paris to Lyon by train?",
            0,
            "The same words, the direction exchanged. Do 'from' and 'to' look at their cities?",
        ),
        (
            "negation",
            "Should and should not",
            "negation",
            "Why should I drink coffee?",
            "Why should I not drink coffee?",
            0,
            "Follow 'not': who looks at it?",
        ),
        (
            "paraphrase",
            "Lose weight",
            "duplicate, other words",
            "How can I lose weight before my wedding?",
            "What should I do to get thinner in time to marry?",
            1,
            "Few words are shared. Which rows cross the border between the questions at all?",
        ),
        (
            "scope",
            "Learn and teach",
            "near duplicate, other act",
            "How do I learn chess?",
            "How do I teach chess?",
            0,
            "Do 'learn' and 'teach' look at each other, or at 'chess'?",
        ),
        (
            "quantity",
            "First and second",
            "near duplicate, other number",
            "What happens in the first week of school?",
            "What happens in the last week of school?",
            0,
            "In the rows of 'first' and 'last': how strong is the link between them?",
        ),
    ),
    "sst2": _single(
        (
            "plain",
            "Plain praise",
            "sentiment word",
            "A warm and funny film.",
            1,
            "Does [CLS] look at 'warm' and 'funny'?",
        ),
        (
            "negation",
            "Not funny",
            "negation",
            "The jokes are not funny at all.",
            0,
            "In the row of 'funny': does it look at 'not'?",
        ),
        (
            "contrast",
            "Slow, but moving",
            "contrast",
            "The story is slow, but the ending is deeply moving.",
            1,
            "Which half gets the weight of [CLS], before or after 'but'?",
        ),
        (
            "contrast-bad",
            "Moving, but slow",
            "contrast",
            "The ending is deeply moving, but the story is painfully slow.",
            0,
            "The halves are exchanged. Does the weight of [CLS] move with 'but'?",
        ),
        (
            "intensity",
            "Barely watchable",
            "intensity",
            "A barely watchable remake.",
            0,
            "Does 'watchable' look at 'barely', which turns it around?",
        ),
        (
            "double",
            "Never dull",
            "negation of a negative word",
            "Two long hours, and never dull.",
            1,
            "Follow 'dull' and 'never': a negative word made positive.",
        ),
    ),
    "mnli": _pairs(
        (
            "hypernym",
            "Dogs and animals",
            "hypernym",
            "Two dogs slept in the garden.",
            "Two animals slept in the garden.",
            0,
            "Does 'animals' look at 'dogs'?",
        ),
        (
            "negation",
            "Opened, not opened",
            "negation",
            "The shop opened at nine.",
            "The shop did not open at nine.",
            2,
            "Who looks at 'not'?",
        ),
        (
            "open",
            "A detail is added",
            "added detail",
            "A man is reading on a bench.",
            "A man is reading a letter on a bench.",
            1,
            "Where does 'letter' look, which has no counterpart?",
        ),
        (
            "quantifier",
            "All and some",
            "quantifier",
            "All the windows are closed.",
            "Some windows are closed.",
            0,
            "Follow 'some' to 'all'.",
        ),
        (
            "number",
            "Three and four",
            "changed number",
            "Exactly three boats came back.",
            "Four boats came back.",
            2,
            "Do the two numbers look at each other?",
        ),
        (
            "cause",
            "Perhaps because",
            "unstated cause",
            "The child is crying.",
            "The child has lost a toy.",
            1,
            "Which words of the second text find something to look at in the first?",
        ),
    ),
    "qnli": _pairs(
        (
            "who",
            "Who painted it",
            "who",
            "Who painted the ceiling?",
            "The ceiling was painted by a local artist.",
            0,
            "Does 'who' look at 'artist'?",
        ),
        (
            "when",
            "When it opened",
            "when",
            "When did the station open?",
            "The station opened in 1912.",
            0,
            "Does 'when' look at the year?",
        ),
        (
            "near-miss",
            "Right topic, no answer",
            "no answer",
            "When did the station open?",
            "The station is built of red brick.",
            1,
            "The topic is shared. Does 'when' find anything to look at?",
        ),
        (
            "where",
            "Where they live",
            "where",
            "Where do these birds live?",
            "These birds live on steep cliffs.",
            0,
            "Does 'where' look at 'cliffs'?",
        ),
        (
            "other-one",
            "Another person",
            "other subject",
            "Where was the singer born?",
            "The painter was born in Lima.",
            1,
            "Do 'singer' and 'painter' look at each other?",
        ),
        (
            "why",
            "A reason",
            "why",
            "Why was the bridge closed?",
            "The bridge was closed because of ice.",
            0,
            "Does 'why' look at 'because'?",
        ),
    ),
    "wnli": _pairs(
        (
            "big",
            "It was too big",
            "pronoun",
            "The box did not fit in the car because it was too big.",
            "The box was too big.",
            1,
            "In the row of 'it': 'box' or 'car'?",
        ),
        (
            "small",
            "It was too small",
            "pronoun",
            "The box did not fit in the car because it was too small.",
            "The box was too small.",
            0,
            "One word differs from the preset before. Does the row of 'it' change?",
        ),
        (
            "thanked",
            "Who helped",
            "pronoun",
            "Ann thanked Ruth because she had helped.",
            "Ruth had helped.",
            1,
            "In the row of 'she': 'Ann' or 'Ruth'?",
        ),
        (
            "asked",
            "Who needed help",
            "pronoun",
            "Ann asked Ruth because she needed help.",
            "Ruth needed help.",
            0,
            "Compare the row of 'she' with the preset before.",
        ),
        (
            "stronger",
            "Who was stronger",
            "pronoun",
            "Tom lost to Paul because he was stronger.",
            "Paul was stronger.",
            1,
            "In the row of 'he': 'Tom' or 'Paul'?",
        ),
        (
            "tired",
            "Who was tired",
            "pronoun",
            "Tom lost to Paul because he was tired.",
            "Paul was tired.",
            0,
            "One word differs from the preset before. Does the row of 'he' change?",
        ),
    ),
}
