"""What differs between encoder families, in one place: a row, or a small class, a family.

Nothing else in kdviz names a family. A family says where embeddings, layers and head of its classifier sit,
how a layer is called, what its config.json calls things, and which of its parameters all layers share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from kdviz.compat import ATTENTION, classifier_class, mpnet_position_bias, run_layer, run_mpnet_layer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdviz.models.trace import Recorder

EMBEDDINGS, POOLER, CLASSIFIER = "embeddings", "pooler", "classifier"


class EncoderConfig(Protocol):
    """What kdviz reads of a config of transformers, whatever a family's config.json calls it."""

    model_type: str
    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    type_vocab_size: int
    num_labels: int
    initializer_range: float
    problem_type: str

    def to_dict(self) -> dict[str, Any]: ...


class Classifier(Protocol):
    """What kdviz reads of a classifier of transformers, beside what every `nn.Module` has. `base_model` is
    the encoder, whose parts a family names.
    """

    config: EncoderConfig
    base_model: Any
    classifier: Callable[[Tensor], Tensor]
    dropout: Callable[[Tensor], Tensor]
    pre_classifier: Callable[[Tensor], Tensor]

    def get_input_embeddings(self) -> nn.Embedding: ...
    def set_input_embeddings(self, value: nn.Module) -> None: ...


def as_classifier(model: nn.Module) -> Classifier:
    """The same model, seen as the classifier of transformers that it is."""
    return cast(Classifier, model)


@dataclass(frozen=True, kw_only=True)
class Family:
    """An encoder family that is built like BERT; what is not is overridden in a subclass.

    `class_name`: its classifier in transformers, of the module `transformers.models.<module>`. `base`: the
    classifier's attribute that holds the encoder. `layers`: where the list of layers sits below the encoder;
    `query`: the projection to queries below a layer. `output`: the linear map to the logits.
    `num_layers_name`, `num_heads_name`, `width_name`, `inner_width_name`: what config.json calls these
    numbers. `counts_from_padding`: whether positions begin behind the padding token's number. `attention`:
    the implementation that transformers is asked for.
    """

    model_type: str
    title: str
    class_name: str
    module: str
    base: str
    layers: str = "encoder.layer"
    query: str = "attention.self.query"
    output: str = "classifier"
    num_layers_name: str = "num_hidden_layers"
    num_heads_name: str = "num_attention_heads"
    width_name: str = "hidden_size"
    inner_width_name: str = "intermediate_size"
    has_token_types: bool = True
    counts_from_padding: bool = False
    attention: str = ATTENTION

    def classifier_class(self) -> Any:
        return classifier_class(self.module, self.class_name)

    # What config.json and the names in a weights file say; nothing here needs torch.

    def reserved_positions(self, config: Mapping[str, Any]) -> int:
        """Rows of the position table that no token of a text can use."""
        return 0

    def table_width(self, config: Mapping[str, Any]) -> int:
        """The width of the embeddings' tables."""
        return int(config[self.width_name])

    def expected_shapes(self, config: Mapping[str, Any]) -> dict[str, list[int]]:
        """Some parameters that a checkpoint of `config` must have, by their names below the encoder."""
        width = config[self.width_name]
        table_width = self.table_width(config)
        return {
            "embeddings.word_embeddings.weight": [config["vocab_size"], table_width],
            "embeddings.position_embeddings.weight": [config["max_position_embeddings"], table_width],
            **{
                f"{self.layers}.{layer}.{self.query}.weight": [width, width]
                for layer in range(config[self.num_layers_name])
            },
        }

    # Running a model.

    def part_of(self, name: str) -> int | str:
        """The part a parameter of the classifier belongs to: a layer (0-based), EMBEDDINGS (and whatever else
        of the encoder lies under every layer), POOLER or CLASSIFIER.
        """
        if not name.startswith(self.base + "."):
            return CLASSIFIER
        inside = name[len(self.base) + 1 :]
        if inside.startswith("pooler."):
            return POOLER
        if inside.startswith(self.layers + "."):
            return int(inside[len(self.layers) + 1 :].split(".")[0])
        return EMBEDDINGS

    def layer_list(self, model: nn.Module) -> nn.ModuleList:
        layers: nn.ModuleList = as_classifier(model).base_model.get_submodule(self.layers)
        return layers

    def embed(self, model: nn.Module, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """The input of the first layer, (batch, seq, hidden)."""
        given, parts = {"input_ids": input_ids}, as_classifier(model)
        if self.has_token_types:
            # Of a model with one type for all tokens, every type is 0.
            has_types = parts.config.type_vocab_size > 1
            given["token_type_ids"] = (
                token_type_ids if has_types else token_type_ids.new_zeros(token_type_ids.shape)
            )
        hidden: Tensor = parts.base_model.embeddings(**given)
        return hidden

    def shared(self, model: nn.Module, hidden: Tensor) -> dict[str, Tensor]:
        """What every layer is given beside its input, computed once a pass."""
        return {}

    def run_layer(
        self, layer: nn.Module, hidden: Tensor, mask: Tensor | None, recorder: Recorder, **shared: Tensor
    ) -> Tensor:
        """The layer's output; `mask` (batch, 1, 1, key), True where a key is real, or None. `shared`: see
        there.
        """
        return run_layer(layer, hidden, mask, recorder)

    def classify(self, model: nn.Module, last: Tensor) -> Tensor:
        """Logits (batch, classes) from the output of the last layer."""
        parts = as_classifier(model)
        return parts.classifier(parts.dropout(parts.base_model.pooler(last)))


class RoBERTa(Family):
    """Positions begin after the padding token's; no pooler: the head itself looks at the first token."""

    def reserved_positions(self, config: Mapping[str, Any]) -> int:
        padding = config.get("pad_token_id")
        return 2 if padding is None else padding + 1

    def classify(self, model: nn.Module, last: Tensor) -> Tensor:
        return as_classifier(model).classifier(last)


class ELECTRA(Family):
    """Embeddings may be narrower than the layers, with a projection between them; the head is RoBERTa's."""

    def expected_shapes(self, config: Mapping[str, Any]) -> dict[str, list[int]]:
        width, table_width = config[self.width_name], self.table_width(config)
        projection = {} if width == table_width else {"embeddings_project.weight": [width, table_width]}
        return super().expected_shapes(config) | projection

    def table_width(self, config: Mapping[str, Any]) -> int:
        return int(config.get("embedding_size", 128) or config[self.width_name])

    def embed(self, model: nn.Module, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        hidden = super().embed(model, input_ids, token_type_ids)
        project = getattr(as_classifier(model).base_model, "embeddings_project", None)
        return hidden if project is None else cast("Tensor", project(hidden))

    def classify(self, model: nn.Module, last: Tensor) -> Tensor:
        return as_classifier(model).classifier(last)


class DistilBERT(Family):
    """Its head is a layer of its own over the first token."""

    def classify(self, model: nn.Module, last: Tensor) -> Tensor:
        parts = as_classifier(model)
        return parts.classifier(parts.dropout(parts.pre_classifier(last[:, 0]).relu()))


class MPNet(RoBERTa):
    """Like RoBERTa, with a bias by relative position, made once and added to the scores of every layer. Its
    attention does not ask transformers for an implementation, so the layer is run here.
    """

    def reserved_positions(self, config: Mapping[str, Any]) -> int:
        return 2  # whatever its config says of padding

    def expected_shapes(self, config: Mapping[str, Any]) -> dict[str, list[int]]:
        buckets = config.get("relative_attention_num_buckets", 32)
        return super().expected_shapes(config) | {
            "encoder.relative_attention_bias.weight": [buckets, config[self.num_heads_name]]
        }

    def shared(self, model: nn.Module, hidden: Tensor) -> dict[str, Tensor]:
        return {"bias": mpnet_position_bias(as_classifier(model).base_model.encoder, hidden)}

    def run_layer(
        self, layer: nn.Module, hidden: Tensor, mask: Tensor | None, recorder: Recorder, **shared: Tensor
    ) -> Tensor:
        from kdviz.models.trace import attend

        return run_mpnet_layer(
            layer,
            hidden,
            lambda query, key, value, dropout: attend(
                query, key, value, mask, bias=shared["bias"], dropout=dropout, recorder=recorder
            ),
        )


FAMILIES: dict[str, Family] = {}


def register(*families: Family) -> None:
    for family in families:
        FAMILIES[family.model_type] = family


register(
    Family(
        model_type="bert",
        title="BERT",
        module="bert",
        class_name="BertForSequenceClassification",
        base="bert",
    ),
    *(
        RoBERTa(
            model_type=model_type,
            title=title,
            module=model_type.replace("-", "_"),
            class_name=f"{name}ForSequenceClassification",
            base="roberta",
            output="classifier.out_proj",
            counts_from_padding=True,
        )
        for model_type, title, name in (
            ("roberta", "RoBERTa", "Roberta"),
            ("xlm-roberta", "XLM-RoBERTa", "XLMRoberta"),
            ("camembert", "CamemBERT", "Camembert"),
        )
    ),
    ELECTRA(
        model_type="electra",
        title="ELECTRA",
        module="electra",
        class_name="ElectraForSequenceClassification",
        base="electra",
        output="classifier.out_proj",
    ),
    DistilBERT(
        model_type="distilbert",
        title="DistilBERT",
        module="distilbert",
        class_name="DistilBertForSequenceClassification",
        base="distilbert",
        layers="transformer.layer",
        query="attention.q_lin",
        num_layers_name="n_layers",
        num_heads_name="n_heads",
        width_name="dim",
        inner_width_name="hidden_dim",
        has_token_types=False,
    ),
    MPNet(
        model_type="mpnet",
        title="MPNet",
        module="mpnet",
        class_name="MPNetForSequenceClassification",
        base="mpnet",
        query="attention.attn.q",
        output="classifier.out_proj",
        has_token_types=False,
        attention="eager",
    ),
)


def takes_token_types(config: Mapping[str, Any]) -> bool:
    """Whether a tokenizer may hand the model of a config.json token types 0 and 1."""
    return FAMILIES[config["model_type"]].has_token_types and config.get("type_vocab_size", 2) > 1


def family_of(model: nn.Module) -> Family:
    """The family of a classifier."""
    return FAMILIES[as_classifier(model).config.model_type]


def known_families() -> str:
    """Their names, for messages and help."""
    return ", ".join(family.title for family in FAMILIES.values())
