"""RTE: Recognizing Textual Entailment, of several years' challenges."""

from kdviz.task import Preset, Task

TASK = Task(
    name="rte",
    title="RTE",
    question="Does the first text entail the second?",
    labels=("entailment", "not entailment"),
    metrics=("accuracy",),
    folder="RTE",
    folder_columns=("sentence1", "sentence2"),
    label_column="label",
    label_names=("entailment", "not_entailment"),
    hub_columns=("sentence1", "sentence2"),
    synonyms=(
        ("entailment", "entailed", "entails"),
        ("not entailment",),
    ),
    presets=(
        Preset(
            id="negation",
            title="Opened, not opened",
            reason="negation",
            text_a="The new bridge did not open in May.",
            text_b="The new bridge opened in May.",
            label=1,
            look_for="Does the second 'bridge opened' look back at 'not'?",
        ),
        Preset(
            id="passive",
            title="Wrote, was written by",
            reason="passive",
            text_a="The novel was written by a young doctor.",
            text_b="A young doctor wrote the novel.",
            label=0,
            look_for="In the row of 'wrote': does it find 'written', and 'doctor' as the one who did it?",
        ),
        Preset(
            id="hypernym",
            title="Dogs and animals",
            reason="hypernym",
            text_a="Two dogs slept in the garden.",
            text_b="Two animals slept in the garden.",
            label=0,
            look_for="Does 'animals' look at 'dogs'?",
        ),
        Preset(
            id="overlap",
            title="The same words, turned",
            reason="lexical overlap",
            text_a="The lawyer thanked the actor.",
            text_b="The actor thanked the lawyer.",
            label=1,
            look_for="All words occur twice. If each only finds its twin, nothing shows that the roles"
            " were exchanged.",
        ),
        Preset(
            id="subsequence",
            title="A piece of the sentence",
            reason="subsequence",
            text_a="The manager near the singer left the hall.",
            text_b="The singer left the hall.",
            label=1,
            look_for="The second text stands in the first word for word, and yet does not follow. "
            "Where does 'left' look?",
        ),
        Preset(
            id="quantifier",
            title="Some and all",
            reason="quantifier",
            text_a="Some of the students passed the test.",
            text_b="All of the students passed the test.",
            label=1,
            look_for="Follow the row of 'all': does it look at 'some'?",
        ),
        Preset(
            id="constituent",
            title="If it rains",
            reason="constituent",
            text_a="If the rain stops, the game will begin.",
            text_b="The rain stops.",
            label=1,
            look_for="Does the second text look back at 'if', which takes its certainty away?",
        ),
    ),
)
