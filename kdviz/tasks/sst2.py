"""SST-2: the Stanford Sentiment Treebank, two classes (Socher et al., 2013)."""

from kdviz.task import Preset, Task

TASK = Task(
    name="sst2",
    title="SST-2",
    question="Is this opinion positive?",
    labels=("negative", "positive"),
    metrics=("accuracy",),
    folder="SST-2",
    folder_columns=("sentence",),
    label_column="label",
    hub_columns=("sentence",),
    synonyms=(("negative", "neg", "bad"), ("positive", "pos", "good")),
    presets=(
        Preset(
            id="plain",
            title="Plain praise",
            reason="sentiment word",
            text_a="A warm and funny film.",
            label=1,
            look_for="Does [CLS] look at 'warm' and 'funny'?",
        ),
        Preset(
            id="negation",
            title="Not funny",
            reason="negation",
            text_a="The jokes are not funny at all.",
            label=0,
            look_for="In the row of 'funny': does it look at 'not'?",
        ),
        Preset(
            id="contrast",
            title="Slow, but moving",
            reason="contrast",
            text_a="The story is slow, but the ending is deeply moving.",
            label=1,
            look_for="Which half gets the weight of [CLS], before or after 'but'?",
        ),
        Preset(
            id="contrast-bad",
            title="Moving, but slow",
            reason="contrast",
            text_a="The ending is deeply moving, but the story is painfully slow.",
            label=0,
            look_for="The halves are exchanged. Does the weight of [CLS] move with 'but'?",
        ),
        Preset(
            id="intensity",
            title="Barely watchable",
            reason="intensity",
            text_a="A barely watchable remake.",
            label=0,
            look_for="Does 'watchable' look at 'barely', which turns it around?",
        ),
        Preset(
            id="double",
            title="Never dull",
            reason="negation of a negative word",
            text_a="Two long hours, and never dull.",
            label=1,
            look_for="Follow 'dull' and 'never': a negative word made positive.",
        ),
    ),
)
