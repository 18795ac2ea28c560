"""Tiny random checkpoints of every family, as published, with a real tokenizer of its kind."""

import json
import shutil
import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, AutoTokenizer

FAMILY_NAMES = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet")
WORDS = (
    "The dog sees the cat today.",
    "Again and again the old horse near the river likes what the doctor and the artist know.",
    "The child helps the lawyer slowly, in the old garden near the river.",
    "A teacher chases a horse; why does the artist like cats and dogs? Because (it seems) she can!",
)
ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CAMEMBERT_SPECIAL = ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>")
LAYERS = 4


def byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        WORDS,
        trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=[*ROBERTA_SPECIAL],
            initial_alphabet=sorted(alphabet),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def unigram(special: tuple[str, ...]) -> Tokenizer:
    """What SentencePiece's unigram models become."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.train_from_iterator(
        WORDS,
        trainers.UnigramTrainer(
            vocab_size=140,
            special_tokens=[*special],
            unk_token="<unk>",
            initial_alphabet=[*string.ascii_letters, *string.punctuation],
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(name, special.index(name)) for name in ("<s>", "</s>")],
    )
    return tokenizer


def mpnet_wordpiece(bert: dict) -> dict:
    """BERT's WordPiece with RoBERTa's special tokens in front, and its pairs, as MPNet has it: what is
    unknown is BERT's [UNK] there, and <unk> a word that stands beside it.
    """
    words = [word for word in bert["model"]["vocab"] if word == "[UNK]" or not word.startswith("[")]
    vocabulary = {word: number for number, word in enumerate((*ROBERTA_SPECIAL[:4], *words, "<mask>"))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens([*ROBERTA_SPECIAL])
    return json.loads(tokenizer.to_str())


def write_tokenizer(family: str, folder: Path, bert_folder: Path) -> None:
    """The tokenizer files of a checkpoint of `family`; `bert_folder` holds BERT's own."""
    folder.mkdir(parents=True, exist_ok=True)
    if family not in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            shutil.copyfile(bert_folder / name, folder / name)
        return
    if family == "mpnet":
        bert = json.loads((bert_folder / "tokenizer.json").read_text(encoding="utf-8"))
        (folder / "tokenizer.json").write_text(json.dumps(mpnet_wordpiece(bert)), encoding="utf-8")
    else:
        special = CAMEMBERT_SPECIAL if family == "camembert" else ROBERTA_SPECIAL
        (byte_level_bpe() if family == "roberta" else unigram(special)).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 62}')


def write_family_checkpoint(
    folder: Path, family: str, bert_folder: Path, *, seed: int = 0, **settings: object
) -> Path:
    """A random encoder of 4 layers × 4 heads × 32 (or as `settings` say) whose attention is not flat."""
    write_tokenizer(family, folder, bert_folder)
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    shape = dict(num_hidden_layers=LAYERS, num_attention_heads=4, hidden_size=32, max_position_embeddings=64)
    shape |= {"hidden_dim": 64} if family == "distilbert" else {"intermediate_size": 64}
    if family == "electra":
        shape |= {"embedding_size": 24}
    if family in ("roberta", "xlm-roberta", "camembert"):
        shape |= {"type_vocab_size": 1}
    config = AutoConfig.for_model(
        family, **{**shape, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **settings}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name.lower():
                    continue
                if "relative_attention_bias" in name:
                    parameter.normal_(0, 1.0)
                elif name.endswith("bias"):
                    parameter.normal_(0, 0.05)
                elif "embeddings." not in name:
                    parameter.normal_(0, 0.25)
    model.save_pretrained(folder)
    return folder
