"""CoLA: the Corpus of Linguistic Acceptability (Warstadt et al., 2019)."""

from kdviz.task import Preset, Task

TASK = Task(
    name="cola",
    title="CoLA",
    question="Is this an acceptable English sentence?",
    labels=("unacceptable", "acceptable"),
    metrics=("matthews", "accuracy"),
    folder="CoLA",
    folder_columns=(3,),
    label_column=1,
    num_columns=4,
    hub_columns=("sentence",),
    synonyms=(
        ("unacceptable", "ungrammatical", "incorrect"),
        ("acceptable", "grammatical", "correct"),
    ),
    presets=(
        Preset(
            id="attractor-good",
            title="The keys to the cabinet",
            reason="agreement across an attractor",
            text_a="The keys to the old cabinet are on the table.",
            label=1,
            look_for="In the row of 'are': does the weight reach back to 'keys', or stop at the nearer"
            " 'cabinet'?",
        ),
        Preset(
            id="attractor-bad",
            title="The keys, but is",
            reason="agreement across an attractor",
            text_a="The keys to the old cabinet is on the table.",
            label=0,
            look_for="One word differs from the preset before. Which heads change, and does the "
            "student's change with the teacher's?",
        ),
        Preset(
            id="reflexive-good",
            title="She saw herself",
            reason="reflexive",
            text_a="The girl in the boat saw herself in the water.",
            label=1,
            look_for="In the row of 'herself': does some head point to 'girl'?",
        ),
        Preset(
            id="reflexive-bad",
            title="She saw himself",
            reason="reflexive",
            text_a="The girl in the boat saw himself in the water.",
            label=0,
            look_for="Compare the row of 'himself' with that of 'herself' in the preset before.",
        ),
        Preset(
            id="polarity-good",
            title="Nobody ever",
            reason="negative polarity",
            text_a="Nobody in the office has ever met the director.",
            label=1,
            look_for="In the row of 'ever': is there weight on the word that allows it, 'nobody'?",
        ),
        Preset(
            id="polarity-bad",
            title="Somebody ever",
            reason="negative polarity",
            text_a="Somebody in the office has ever met the director.",
            label=0,
            look_for="'ever' has lost the word that allows it. Where does its row look now?",
        ),
        Preset(
            id="gap",
            title="What did she buy",
            reason="wh-gap",
            text_a="What did the neighbours buy at the market?",
            label=1,
            look_for="In the row of 'buy': does 'what', its object, get weight although it stands far "
            "in front?",
        ),
        Preset(
            id="order",
            title="Words out of order",
            reason="word order",
            text_a="The slept cat on warm the windowsill.",
            label=0,
            look_for="Many heads look at the next or the last word. What do they do when the order is "
            "broken?",
        ),
    ),
)
