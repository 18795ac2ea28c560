"""A BERT of a million random weights with a real tokenizer: a whole run of it takes seconds."""

from pathlib import Path

SETTINGS = {
    "source": "sample",
    "student_layers": 2,
    "strategy": "sid",
    "epochs": 4,
    "train_size": 128,
    "eval_size": 48,
    "batch_size": 16,
    "teacher_epochs": 2,
    "snapshots": 6,
    "max_length": 32,
    "learning_rate": 1e-3,
    "teacher_learning_rate": 1e-3,
}


def make_teacher(folder: Path, num_layers: int = 4, hidden_size: int = 32, num_heads: int = 2) -> Path:
    """Write the checkpoint into `folder` (once) and return it."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from kdviz.data.tokenizer_files import copy_tokenizer
    from kdviz.models.checkpoint import resolve

    torch.manual_seed(0)
    source = resolve("minilm-l6").folder
    config = BertConfig(
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=128,
        num_labels=2,
        initializer_range=0.3,
    )
    folder.mkdir(parents=True, exist_ok=True)
    copy_tokenizer(source, folder, model_type="bert", token_types=True)
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    return folder
