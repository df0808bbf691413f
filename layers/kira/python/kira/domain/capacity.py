"""How many slots of a model fit on a card: arithmetic on what `/api/show` tells, nothing is asked or loaded.

All sizes are bytes unless a name says MiB. The formulas are those of llama.cpp, which Ollama runs; each function
names its source. They were checked against buffer sizes in published logs, see tests/domain/test_capacity.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

MIB = 1 << 20
BATCH = 512
"""Tokens that are computed at once (num_batch); Kira always asks for this many, so that memory is predictable."""

RESERVE_BYTES = (1024 + 512) * MIB
"""What must stay free: llama.cpp's margin of 1,024 MiB per card (common/fit.cpp) and 512 MiB for the CUDA context."""

CELLS_PADDED = 256
"""Cells of the KV cache are allocated in steps of this many (llama.cpp src/llama-kv-cache.cpp)."""

FORCED_ONE = frozenset(
    {
        *("mllama", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe"),
        *("nemotron_h", "nemotron_h_moe", "nemotron_h_omni"),
    }
)
"""Families that Ollama gives one slot whatever is set (server/sched.go)."""

_TYPES = (
    "F64 8/1, F32 4/1, F16 2/1, BF16 2/1, I8 1/1, I16 2/1, I32 4/1, I64 8/1, Q4_0 18/32, Q4_1 20/32, Q5_0 22/32,"
    "Q5_1 24/32, Q8_0 34/32, Q8_1 36/32, Q2_K 84/256, Q3_K 110/256, Q4_K 144/256, Q5_K 176/256, Q6_K 210/256,"
    "Q8_K 292/256, IQ1_S 50/256, IQ1_M 56/256, IQ2_XXS 66/256, IQ2_XS 74/256, IQ2_S 82/256, IQ3_XXS 98/256,"
    "IQ3_S 110/256, IQ4_NL 18/32, IQ4_XS 136/256, TQ1_0 54/256, TQ2_0 66/256, MXFP4 17/32"
)
TENSOR_BYTES = {name: Fraction(size) for name, size in (entry.split() for entry in _TYPES.split(","))}
"""Bytes per element of each tensor type: block size over elements in a block (ggml/src/ggml-common.h)."""

KV_BYTES = {"f16": Fraction(2), "q8_0": Fraction(34, 32), "q4_0": Fraction(18, 32)}
"""Bytes per element of the KV cache by OLLAMA_KV_CACHE_TYPE."""

_GLOBAL_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gptoss": 2, "gpt-oss": 2}
"""Every n-th layer sees the whole context, the others a window (llama.cpp src/llama-model.cpp, set_swa_pattern)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer keeps: elements per cell, its window in tokens (None: the whole context), bytes per slot."""

    elements: int
    window: int | None = None
    state: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the arithmetic needs of a model; `gpu` and `cpu` are bytes of weights, `context` is the trained one."""

    embedding: int
    heads: int
    vocabulary: int
    layers: tuple[Layer, ...]
    gpu: int
    cpu: int
    context: int | None = None
    is_forced_one: bool = False


def padded(cells: int) -> int:
    """Return `cells` rounded up to what is allocated."""
    return -(-cells // CELLS_PADDED) * CELLS_PADDED


def window_cells(context: int, window: int, batch: int = BATCH, sequences: int = 1) -> int:
    """Return the cells of a layer with a sliding window.

    PAD256(min(context * sequences, window * sequences + batch)); `sequences` above 1 only where slots share one
    cache (kv_unified). Source: llama.cpp src/llama-kv-cache-iswa.cpp.
    """
    return padded(min(context * sequences, window * sequences + batch))


def weight_bytes(tensors: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the bytes of weights on the card and in host memory when all layers are on the card.

    All tensors go to the card but `token_embd.weight`, which stays in host memory; where there is no
    `output.weight` the output is tied to it, and the card gets a copy. Source: llama.cpp src/llama-model.cpp.
    Raises KeyError for a tensor type that is not known.
    """
    sizes = {str(each["name"]): _tensor_bytes(each) for each in tensors}
    embedding = sizes.get("token_embd.weight", 0)
    total = sum(sizes.values())
    return (total - embedding if "output.weight" in sizes else total), embedding


def kv_bytes(shape: Shape, context: int, kv_type: str = "f16", batch: int = BATCH) -> int:
    """Return the bytes of KV cache of one slot of `context` tokens.

    Sum over layers of cells * elements * bytes per element, where cells are PAD256(context) or those of the window,
    and elements are n_head_kv * (key_length + value_length); recurrent layers add a constant state.
    """
    each = KV_BYTES[kv_type]
    total = Fraction(0)
    for layer in shape.layers:
        cells = padded(context) if layer.window is None else window_cells(context, layer.window, batch)
        total += cells * layer.elements * each + layer.state
    return math.ceil(total)


def compute_bytes(
    shape: Shape, context: int, slots: int = 1, *, flash_attention: bool = True, batch: int = BATCH
) -> int:
    """Return an upper bound of the compute buffer.

    With flash attention 4 * batch * max(n_embd + n_vocab, 1 + 4 * n_embd + context). Without it the attention
    matrix over all slots is kept as well: 4 * batch * (1 + 4 * n_embd + context * slots * (1 + n_head)).
    Source: llama.cpp's graph reservation; newer builds measured less.
    """
    output = shape.embedding + shape.vocabulary
    if flash_attention:
        return 4 * batch * max(output, 1 + 4 * shape.embedding + context)
    return 4 * batch * max(output, 1 + 4 * shape.embedding + context * slots * (1 + shape.heads))


def slots_that_fit(
    shape: Shape,
    vram: int,
    context: int,
    kv_type: str = "f16",
    *,
    flash_attention: bool = True,
    batch: int = BATCH,
    reserve: int = RESERVE_BYTES,
) -> int:
    """Return how many slots of `context` tokens fit on a card with `vram` bytes; 0 when the weights do not.

    The largest n with weights + n * KV + compute(n) <= vram - reserve; at most 1 for families that Ollama gives one
    slot. A quantised KV cache switches flash attention on, as llama.cpp does.
    """
    free = vram - reserve - shape.gpu
    each = kv_bytes(shape, context, kv_type, batch)
    with_flash = flash_attention or kv_type != "f16"
    if each <= 0:
        most = 1 if free >= compute_bytes(shape, context, flash_attention=with_flash, batch=batch) else 0
    elif with_flash:
        most = (free - compute_bytes(shape, context, batch=batch)) // each
    else:
        # Both bounds of the maximum must hold; each is linear in the number of slots.
        output = 4 * batch * (shape.embedding + shape.vocabulary)
        base, per_slot = 4 * batch * (1 + 4 * shape.embedding), 4 * batch * context * (1 + shape.heads)
        most = min((free - output) // each, (free - base) // (each + per_slot))
    return max(0, min(most, 1) if shape.is_forced_one else most)


def read_shape(shown: Mapping[str, Any]) -> Shape | None:
    """Read the shape of a model from an answer of `/api/show`; None when it tells too little."""
    info, tensors = shown.get("model_info") or {}, shown.get("tensors") or []
    name = str(info.get("general.architecture", ""))
    try:
        own = {key.removeprefix(f"{name}."): value for key, value in info.items()}
        gpu, cpu = weight_bytes(tensors)
        embedding, heads = int(own["embedding_length"]), _most(own["attention.head_count"])
        vocabulary = _vocabulary(own, tensors)
        layers = tuple(_layers(name, own, tensors))
    except (KeyError, TypeError, ValueError):
        return None
    context = own.get("context_length")
    forced = is_forced_one(shown)
    return Shape(embedding, heads, vocabulary, layers, gpu, cpu, int(context) if context else None, forced)


def is_forced_one(shown: Mapping[str, Any]) -> bool:
    """Say whether Ollama gives this model one slot whatever is set: some families, and all that cannot chat."""
    details = shown.get("details") or {}
    families = {str(details.get("family") or ""), *(details.get("families") or ())}
    families.add(str((shown.get("model_info") or {}).get("general.architecture", "")))
    capabilities = shown.get("capabilities")
    return bool(families & FORCED_ONE) or (capabilities is not None and "completion" not in capabilities)


def _tensor_bytes(tensor: Mapping[str, Any]) -> int:
    elements = math.prod(int(each) for each in tensor["shape"])
    return math.ceil(elements * TENSOR_BYTES[str(tensor["type"]).upper()])


def _vocabulary(own: Mapping[str, Any], tensors: Sequence[Mapping[str, Any]]) -> int:
    for tensor in tensors:
        if tensor["name"] == "token_embd.weight":
            return int(tensor["shape"][-1])
    return int(own["vocab_size"])


def _layers(name: str, own: Mapping[str, Any], tensors: Sequence[Mapping[str, Any]]) -> list[Layer]:
    widths = _key_widths(tensors)
    latent = bool(own.get("attention.kv_lora_rank")) and _of(own["attention.head_count_kv"], 0) == 1
    found = []
    for at in range(int(own["block_count"])):
        window = _window(name, own, at)
        key, value = (_length(own, each, windowed=window is not None) for each in ("key", "value"))
        # Multi-head latent attention keeps keys only: the values are a view of them.
        elements = _kv_heads(own, widths, at, key) * (key if latent else key + value)
        found.append(Layer(elements, window) if elements else Layer(0, None, _state_bytes(own)))
    return found


def _length(own: Mapping[str, Any], part: str, *, windowed: bool) -> int:
    """Return key_length or value_length of a layer; windowed layers of some families have their own."""
    heads = max(1, _most(own["attention.head_count"]))
    swa = own.get(f"attention.{part}_length_swa") if windowed else None
    return int(swa or own.get(f"attention.{part}_length") or int(own["embedding_length"]) // heads)


def _kv_heads(own: Mapping[str, Any], widths: Mapping[str, int], at: int, key: int) -> int:
    """Return the KV heads of a layer; from its key tensor where `/api/show` left out a long list."""
    stated = own.get("attention.head_count_kv")
    if stated:
        return _of(stated, at)
    return widths.get(f"blk.{at}.attn_k.weight", 0) // key if widths else _of(own["attention.head_count"], at)


def _key_widths(tensors: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {str(each["name"]): int(each["shape"][-1]) for each in tensors if ".attn_k.weight" in str(each["name"])}


def _window(name: str, own: Mapping[str, Any], at: int) -> int | None:
    window = own.get("attention.sliding_window")
    pattern = own.get("attention.sliding_window_pattern") or _GLOBAL_EVERY.get(name)
    if not window or not pattern:
        return None  # a window of a family that is not known is not counted on
    if isinstance(pattern, Sequence):
        return int(window) if pattern[at] else None
    return int(window) if at % int(pattern) != int(pattern) - 1 else None


def _state_bytes(own: Mapping[str, Any]) -> int:
    """Return the constant f32 state of a recurrent layer per slot (llama.cpp src/llama-hparams.cpp)."""
    inner, size = int(own.get("ssm.inner_size") or 0), int(own.get("ssm.state_size") or 0)
    kernel, groups = int(own.get("ssm.conv_kernel") or 1), int(own.get("ssm.group_count") or 0)
    return 4 * ((kernel - 1) * (inner + 2 * groups * size) + size * inner)


def _of(value: Any, at: int) -> int:
    return int(value[at]) if isinstance(value, Sequence) else int(value)


def _most(value: Any) -> int:
    return max(map(int, value)) if isinstance(value, Sequence) else int(value)
