"""The words of the Learn page, in the order in which one meets them."""

from kdviz.ui.frame.words import WORDS

TITLES = {
    "distillation": "Knowledge distillation",
    "attention": "Attention map",
    "head": "Head",
    "matching": "Matched layers",
    "kl": "Attention KL",
    "cls": "[CLS] distance",
    "strategy": "Strategy",
    "stages": "Stage",
    "agreement": "Agreement",
    "logit_kl": "Output KL",
    "inside": "Same answer, different inside",
    "interval": "Interval",
    "moment": "Moment",
    "run": "Run",
    "cka": "CKA",
    "phenomenon": "Phenomenon",
}


def glossary() -> str:
    """Every word with its explanation, as Markdown."""
    return "\n\n".join(f"**{title}.** {WORDS[name]}" for name, title in TITLES.items() if name in WORDS)
