"""MRPC: the Microsoft Research Paraphrase Corpus (Dolan and Brockett, 2005)."""

from kdviz.task import Preset, Task

TASK = Task(
    name="mrpc",
    title="MRPC",
    question="Do these two sentences say the same?",
    labels=("not equivalent", "equivalent"),
    metrics=("accuracy", "f1", "f1_weighted"),
    folder="MRPC",
    folder_columns=("#1 String", "#2 String"),
    label_column="Quality",
    hub_columns=("sentence1", "sentence2"),
    synonyms=(
        ("not equivalent", "different"),
        ("equivalent", "paraphrase", "semantically equivalent", "same", "duplicate"),
    ),
    presets=(
        Preset(
            id="passive",
            title="Active and passive",
            reason="paraphrase by passive",
            text_a="The committee approved the plan on Monday.",
            text_b="The plan was approved by the committee on Monday.",
            label=1,
            look_for="Do the words of one sentence look at their counterparts in the other?",
        ),
        Preset(
            id="role-swap",
            title="Who sued whom",
            reason="role swap",
            text_a="The bank sued the builder last year.",
            text_b="The builder sued the bank last year.",
            label=0,
            look_for="The same words, the roles exchanged. Does any head tell the two apart, or does "
            "each word just find its twin?",
        ),
        Preset(
            id="number",
            title="Four and nine",
            reason="changed number",
            text_a="Four people were hurt in the storm.",
            text_b="Nine people were hurt in the storm.",
            label=0,
            look_for="In the rows of 'four' and 'nine': do they look at each other?",
        ),
        Preset(
            id="synonym",
            title="Bought and purchased",
            reason="synonym",
            text_a="The museum bought the painting in March.",
            text_b="The museum purchased the painting in March.",
            label=1,
            look_for="Does 'purchased' look at 'bought' across the border?",
        ),
        Preset(
            id="negation",
            title="Did and did not",
            reason="negation",
            text_a="The minister answered the letter.",
            text_b="The minister did not answer the letter.",
            label=0,
            look_for="Which layer gives 'not' the most weight, and does the student's matched layer do"
            " the same?",
        ),
        Preset(
            id="dative",
            title="Gave her the prize",
            reason="dative shift",
            text_a="The jury gave Anna the prize.",
            text_b="The jury gave the prize to Anna.",
            label=1,
            look_for="The order of 'Anna' and 'prize' changes, the meaning does not. Follow both words"
            " across.",
        ),
        Preset(
            id="name",
            title="Oslo and Lima",
            reason="changed name",
            text_a="The talks in Oslo ended early.",
            text_b="The talks in Lima ended early.",
            label=0,
            look_for="In the rows of the two names: do they find each other?",
        ),
    ),
)
