"""Every term that a page uses, explained in a sentence or two: what the hover shows."""

from kdviz.method.strategies import STAGED, STRATEGIES
from kdviz.method.terms import TERMS
from kdviz.metrics import METRIC_TITLES, METRICS, NO_ANSWER
from kdviz.palette import words_of
from kdviz.runs.reader import Run
from kdviz.tasks import TASKS
from kdviz.text import code


def term_words(name: str) -> str:
    """What a loss term is, from the registry."""
    return f"{TERMS[name].title}: {TERMS[name].words}"


WORDS = {
    "study": "A grid of runs that differ in a few settings only, each with several seeds: what a single run "
    "shows by chance is told from what holds.",
    "seeds": "The seed decides what is random in a run: the order of the examples, dropout, new weights. "
    "Runs of several seeds say how much a score moves by chance.",
    "distillation": "A large trained model, the **teacher**, trains a smaller one, the **student**. The "
    "paper's idea: the student copies not only the teacher's answers but also what happens inside it, "
    "layer by layer.",
    "attention": "Each row is one word (a token) looking at the others: how it shares out its attention. A "
    "row sums to 1. Every layer has several heads, each with a map of its own.",
    "difference": "Teacher minus student. Neutral: both look there equally. The teacher's colour: the "
    "teacher looks there more; blue: the student does.",
    "kl": term_words("kl"),
    "cls": term_words("cos"),
    "row_kl": "The attention KL of each row of the map on its own, in nats. The average of the bars is the "
    "number above.",
    "matching": "Which teacher layer each student layer is compared with, and learns from. Layer 1 is at the "
    "bottom. Click a line or a layer to choose the pair.",
    "head": "Each layer looks at the sentence through several heads at once. The average is for looking "
    "only: the loss compares head by head.",
    "moment": "Recorded moments of training, the first before any training. The arrow keys ← and → move too.",
    "run": "One training of one student. Own runs come first, then those of the stored demo.",
    "others": "Runs to lay over this one. Only runs of the same task can be compared.",
    "beside": "A second student of the same teacher in the same picture, on the same scales: soft labels "
    "beside an internal strategy shows how alike answers can be with another inside.",
    "sentence": "Presets are sentences written to show something; every run stores their maps. Or take an "
    "example of the evaluation set, or write your own.",
    "hide": "Takes the rows and columns of the tokens that stand for no word ([CLS] and [SEP], or <s> and "
    "</s>) out of sight. In many heads they take most of the attention.",
    "renormalise": "Scales what is left of each row to sum to 1 again. Off: rows sum to less than 1, and the "
    "missing part went to the special tokens.",
    "threshold": "Weaker links are left blank. The KL is always computed on all of them.",
    "stages": "Stretches of training with other active layers: "
    + " ".join(f"*{STRATEGIES[name].title}* (`{name}`): {STRATEGIES[name].words}" for name in STAGED)
    + " Lines mark where a stage begins.",
    "strategy": " ".join(
        f"*{each.title.capitalize()}* (`{name}`): {each.words}" for name, each in STRATEGIES.items()
    ),
    "head_matching": "Heads have no order: a student head may do the work of another head of the teacher. "
    "The best one-to-one assignment is the one with the lowest total KL.",
    "drift": "How many teacher heads changed their best partner since the moment before.",
    "cka": "Linear CKA compares what two layers represent over the evaluation set, blind to rotation: 1 is "
    "alike, 0 is unrelated. A bright cell says where in the teacher a student layer sits. Over few examples "
    "unrelated layers come out alike too: some 0.1 over 400, 0.4 over 50, 0.8 over 8.",
    "agreement": "Share of evaluation examples on which the student predicts what the teacher predicts, "
    "right or wrong.",
    "logit_kl": "KL between the predicted probabilities of teacher and student, in nats: the difference that "
    "can be seen from outside.",
    "inside": "Each dot is one evaluation example. To the right: the answers differ more. Upwards: the "
    "attention inside differs more. Soft labels alone make the answers alike and leave the inside "
    "free.",
    "interval": "95 % bootstrap interval over the evaluation examples: how much the number could change with "
    "other examples. It says nothing about other seeds. Where the intervals of two students overlap, that "
    "leaves open which is better: their answers are compared sentence by sentence.",
    "right_wrong": "Evaluation examples by whether teacher and student answer them rightly. A student that "
    "copies behaviour repeats the teacher's mistakes too.",
    "repeated": "Of the examples the teacher gets wrong, the share on which the student gives the same wrong "
    "answer.",
    "kept": "Of the examples the teacher gets right, the share that the student gets right too.",
    "cost": "Parameters (embeddings included), size of the weights file, and the median time for one "
    "sentence, measured on the machine that trained.",
    "bertviz": "The head view of BertViz (Vig, 2019), one layer at a time, and its model view, every head of "
    "every layer: lines between words instead of a grid.",
    "phenomenon": "What the sentence was generated to test. Only sample data has it.",
}

OVER = {"examples": "evaluation examples, each epoch", "presets": "presets, every moment"}
AXES = {"epoch": "epochs", "step": "training steps", "progress": "share of the training"}
CELLS = {
    "all": "All examples",
    "both-right": "Both right",
    "teacher-only": "Only the teacher right",
    "student-only": "Only the student right",
    "both-wrong": "Both wrong",
}


def in_words(strategy: str) -> str:
    """A strategy's words, its code behind them: soft labels (`soft`)."""
    words = words_of(strategy)
    return code(strategy) if words == strategy else f"{words} ({code(strategy)})"


def moment_words(epoch: int) -> str:
    """When an epoch's numbers were measured."""
    return f"after epoch {epoch}" if epoch else "before training"


def metric_title(name: str) -> str:
    return METRIC_TITLES.get(name, name)


def metric_words(name: str) -> str | None:
    """What a metric says, for a hover; None where this version does not know it."""
    return METRICS[name].words if name in METRICS else None


def primary_metric(run: Run) -> str:
    """The metric the task is judged by; the first recorded one for a task this version does not know."""
    if run.task in TASKS:
        return TASKS[run.task].primary_metric
    return next(iter(run.evals[-1]["metrics"]), "accuracy") if run.evals else "accuracy"


def label_name(run: Run, label: int) -> str:
    """The class of that id in words; a dash where a model gave no answer."""
    if label == NO_ANSWER:
        return "–"
    names = run.config.get("labels") or (TASKS[run.task].labels if run.task in TASKS else ())
    return str(names[label]) if 0 <= label < len(names) else f"class {label}"


def count(number: float) -> str:
    """A number of things: 2,000."""
    return f"{int(number):,}"
