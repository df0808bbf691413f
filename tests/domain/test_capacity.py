"""The arithmetic gives every golden value, and every buffer size that was measured in published logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kira.domain import capacity
from kira.domain.capacity import MIB, Layer, Shape

DATA = Path(__file__).parent / "data"
GOLDEN: dict[str, dict[str, float]] = json.loads((DATA / "vram-golden.json").read_text())
MEASURED: dict[str, float] = {
    each["name"]: each["measured_mib"] for each in json.loads((DATA / "vram-measured.json").read_text())
}
CARDS = {"16": 16_384, "24": 24_576, "48": 49_152, "80": 81_920}
CARDS |= {"T4 15360": 15_360, "L4 22888": 22_888, "L40S 45776": 45_776, "H100 81559": 81_559}

LLAMA = {"E": 4096, "L": 32, "H": 32, "KV": 8, "hd": 128, "FF": 14_336, "V": 128_256}
MODELS: dict[str, dict[str, Any]] = {
    "llama3.1:8b": {**LLAMA, "A": "llama"},
    "mistral:7b": {**LLAMA, "A": "llama", "V": 32_768},
    "qwen2.5:7b": {"A": "qwen2", "E": 3584, "L": 28, "H": 28, "KV": 4, "hd": 128, "FF": 18_944, "V": 152_064},
    "qwen3:8b": {"A": "qwen3", "E": 4096, "L": 36, "H": 32, "KV": 8, "hd": 128, "FF": 12_288, "V": 151_936},
    "gemma2:9b": {"A": "gemma2", "E": 3584, "L": 42, "H": 16, "KV": 8, "hd": 256, "FF": 14_336, "V": 256_000},
    "gemma3:4b": {"A": "gemma3", "E": 2560, "L": 34, "H": 8, "KV": 4, "hd": 256, "FF": 10_240, "V": 262_144},
    "gemma3:12b": {"A": "gemma3", "E": 3840, "L": 48, "H": 16, "KV": 8, "hd": 256, "FF": 15_360, "V": 262_144},
}
WINDOWS = {"gemma2": 4096, "gemma3": 1024}


def tensors_of(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Name every tensor of a Q4_K_M file: llama.cpp gives some layers of it six bits."""
    wide, key = model["H"] * model["hd"], model["KV"] * model["hd"]
    family, width, inner = model["A"], model["E"], model["FF"]
    tied = family.startswith("gemma")
    found = [("token_embd", "Q6_K" if tied else "Q4_K", [width, model["V"]]), ("output_norm", "F32", [width])]
    if not tied:
        found.append(("output", "Q6_K", [width, model["V"]]))
    for at in range(model["L"]):
        eighth = model["L"] // 8
        more = at < eighth or at >= 7 * model["L"] // 8 or (at - eighth) % 3 == 2
        six = "Q6_K" if more else "Q4_K"
        layer = [("attn_q", "Q4_K", [width, wide]), ("attn_k", "Q4_K", [width, key]), ("attn_v", six, [width, key])]
        layer += [("attn_output", "Q4_K", [wide, width]), ("ffn_down", six, [inner, width])]
        layer += [(name, "Q4_K", [width, inner]) for name in ("ffn_gate", "ffn_up")]
        layer += [(f"norm_{norm}", "F32", [width]) for norm in range(4 if tied else 2)]
        if family == "qwen2":
            layer += [("q.bias", "F32", [wide]), ("k.bias", "F32", [key]), ("v.bias", "F32", [key])]
        if family in ("qwen3", "gemma3"):
            layer += [("q_norm", "F32", [model["hd"]]), ("k_norm", "F32", [model["hd"]])]
        found += [(f"blk.{at}.{name}", kind, shape) for name, kind, shape in layer]
    return [{"name": f"{name}.weight", "type": kind, "shape": shape} for name, kind, shape in found]


def shown(model: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Describe a model as /api/show does."""
    info = {
        "block_count": model["L"],
        "embedding_length": model["E"],
        "context_length": 131_072,
        "attention.head_count": model["H"],
        "attention.head_count_kv": model["KV"],
        "attention.key_length": model["hd"],
        "attention.value_length": model["hd"],
    }
    if model["A"] in WINDOWS:
        info["attention.sliding_window"] = WINDOWS[model["A"]]
    family = model["A"]
    named = {f"{family}.{name}": value for name, value in {**info, **more}.items()}
    return {
        "model_info": {"general.architecture": family, **named},
        "tensors": tensors_of(model),
        "details": {"family": family, "families": [family]},
        "capabilities": ["completion"],
    }


def shape_of(model: dict[str, Any], **more: Any) -> Shape:
    """Read the shape of a model that tells enough."""
    found = capacity.read_shape(shown(model, **more))
    assert found is not None
    return found


SHAPES = {name: shape_of(model) for name, model in MODELS.items()}


@pytest.mark.parametrize("key", GOLDEN)
def test_every_golden_value(key: str) -> None:
    name, kv_type, context = key.split("|")
    shape, golden = SHAPES[name], GOLDEN[key]
    assert round(shape.gpu / MIB, 4) == golden["weights_mib"]
    assert round(capacity.kv_bytes(shape, int(context), kv_type) / MIB, 4) == golden["kv_slot_mib"]
    assert round(capacity.compute_bytes(shape, int(context)) / MIB, 4) == golden["compute_mib"]
    found = {card: capacity.slots_that_fit(shape, mib * MIB, int(context), kv_type) for card, mib in CARDS.items()}
    assert found == {card: golden[card] for card in CARDS}


def test_there_are_forty_two_golden_models_and_cards() -> None:
    assert len(GOLDEN) == 42
    assert {name.split("|")[0] for name in GOLDEN} == set(MODELS)


def layers(count: int, heads: int, key: int, value: int, window: int | None = None) -> Shape:
    """Return a shape of equal layers, for what logs say of the KV cache alone."""
    return Shape(1, 1, 1, (Layer(heads * (key + value), window),) * count, 0, 0)


def kv_mib(shape: Shape, context: int, kv_type: str = "f16", batch: int = 512) -> float:
    """Return the KV cache of one slot in MiB."""
    return capacity.kv_bytes(shape, context, kv_type, batch) / MIB


def shared_window_mib() -> float:
    """Return the KV cache of Gemma 4's windowed layers where four sequences share it."""
    cells = capacity.window_cells(8192, 1024, sequences=4)
    return cells * 40 * 8 * 512 * 34 / 32 / MIB


LOGS: dict[str, Callable[[], float]] = {
    "llama3.1:8b GPU weights MiB": lambda: SHAPES["llama3.1:8b"].gpu / MIB,
    "llama3.1:8b CPU (token_embd) MiB": lambda: SHAPES["llama3.1:8b"].cpu / MIB,
    "llama3.1:8b KV f16 total ctx 8192 MiB": lambda: kv_mib(SHAPES["llama3.1:8b"], 8192),
    "llama3.1:8b compute, FA off, total ctx 8192 MiB": lambda: (
        capacity.compute_bytes(SHAPES["llama3.1:8b"], 8192, flash_attention=False) / MIB
    ),
    "qwen3:8b GPU weights MiB": lambda: SHAPES["qwen3:8b"].gpu / MIB,
    "qwen3:8b CPU (token_embd) MiB": lambda: SHAPES["qwen3:8b"].cpu / MIB,
    "gpt-oss-20b full-attn KV f16, 131072 cells x 12 layers MiB": lambda: kv_mib(layers(12, 8, 64, 64), 131_072),
    "gpt-oss-20b SWA KV, n_swa 128 + ubatch 512 -> 768 cells x 12 MiB": lambda: kv_mib(
        layers(12, 8, 64, 64, 128), 131_072
    ),
    "gpt-oss-20b SWA KV, n_swa 128 + ubatch 2048 -> 2304 cells x 12 MiB": lambda: kv_mib(
        layers(12, 8, 64, 64, 128), 131_072, batch=2048
    ),
    "gemma4-12b KV q8_0 8192 cells x 8 layers x 1 head x (512+512) MiB": lambda: kv_mib(
        layers(8, 1, 512, 512), 8192, "q8_0"
    ),
    "gemma4-12b SWA KV q8_0 4x1024+512=4608 cells x 40 x 8 x (256+256) MiB (kv_unified, 4 seqs)": shared_window_mib,
    "Laguna q4_0 KV 1048576 cells x 12 layers x 2048 elements MiB": lambda: kv_mib(
        layers(12, 1, 1024, 1024), 1_048_576, "q4_0"
    ),
    "Laguna q4_0 SWA KV 1024 cells x 36 layers x 2048 elements MiB": lambda: kv_mib(
        layers(36, 1, 1024, 1024, 512), 1_048_576, "q4_0"
    ),
}


@pytest.mark.parametrize("name", MEASURED)
def test_every_measured_value(name: str) -> None:
    assert round(LOGS[name](), 2) == MEASURED[name]


def test_long_lists_that_show_leaves_out_are_read_from_the_tensors() -> None:
    emptied = shape_of(MODELS["qwen3:8b"], **{"attention.head_count_kv": []})
    assert emptied == SHAPES["qwen3:8b"]


def test_a_pattern_of_windows_is_read_layer_by_layer() -> None:
    model = {**MODELS["llama3.1:8b"], "L": 4}
    pattern = {"attention.sliding_window": 512, "attention.sliding_window_pattern": [True, False, True, True]}
    found = shape_of(model, **pattern)
    assert [layer.window for layer in found.layers] == [512, None, 512, 512]


def test_a_window_of_an_unknown_family_is_not_counted_on() -> None:
    found = shape_of(MODELS["llama3.1:8b"], **{"attention.sliding_window": 512})
    assert {layer.window for layer in found.layers} == {None}


def test_windowed_layers_may_have_their_own_length() -> None:
    model = {**MODELS["gemma3:4b"], "L": 6}
    own = {"attention.key_length_swa": 64, "attention.value_length_swa": 32}
    assert [layer.elements for layer in shape_of(model, **own).layers] == [4 * 96] * 5 + [4 * 512]


def test_latent_attention_keeps_keys_only() -> None:
    model = {**MODELS["llama3.1:8b"], "A": "deepseek2", "KV": 1, "hd": 576}
    found = shape_of(model, **{"attention.kv_lora_rank": 512, "attention.value_length": 512})
    assert {layer.elements for layer in found.layers} == {576}
    assert capacity.kv_bytes(found, 8192) == 32 * 8192 * 576 * 2


def test_recurrent_layers_keep_a_constant_state() -> None:
    model = {**MODELS["llama3.1:8b"], "A": "granitehybrid", "L": 2}
    ssm = {"ssm.inner_size": 3072, "ssm.state_size": 128, "ssm.conv_kernel": 4, "ssm.group_count": 1}
    found = shape_of(model, **{"attention.head_count_kv": [0, 8]}, **ssm)
    state = 4 * (3 * (3072 + 2 * 128) + 128 * 3072)
    assert found.layers == (Layer(0, None, state), Layer(8 * 256))
    assert capacity.kv_bytes(found, 8192) - capacity.kv_bytes(found, 4096) == 4096 * 8 * 256 * 2


def test_without_flash_attention_slots_are_fewer_and_the_whole_still_fits() -> None:
    shape, vram, context = SHAPES["llama3.1:8b"], 24_576 * MIB, 8192
    slots = capacity.slots_that_fit(shape, vram, context, flash_attention=False)

    def needed(count: int) -> int:
        compute = capacity.compute_bytes(shape, context, count, flash_attention=False)
        return shape.gpu + count * capacity.kv_bytes(shape, context) + compute

    assert 0 < slots < capacity.slots_that_fit(shape, vram, context)
    assert needed(slots) <= vram - capacity.RESERVE_BYTES < needed(slots + 1)


@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
def test_a_quantised_cache_switches_flash_attention_on(kv_type: str) -> None:
    shape = SHAPES["llama3.1:8b"]
    with_it, without = (
        capacity.slots_that_fit(shape, 24_576 * MIB, 8192, kv_type, flash_attention=flash) for flash in (True, False)
    )
    assert with_it == without


@pytest.mark.parametrize("family", sorted(capacity.FORCED_ONE))
def test_some_families_have_one_slot_on_any_card(family: str) -> None:
    found = shape_of({**MODELS["qwen3:8b"], "A": family})
    assert found.is_forced_one
    assert capacity.slots_that_fit(found, 81_920 * MIB, 4096) == 1
    assert capacity.slots_that_fit(found, 4_096 * MIB, 4096) == 0


def test_an_embedder_has_one_slot() -> None:
    told = {**shown(MODELS["llama3.1:8b"]), "capabilities": ["embedding"]}
    found = capacity.read_shape(told)
    assert found is not None
    assert capacity.slots_that_fit(found, 81_920 * MIB, 4096) == 1


def test_a_card_that_is_too_small_has_no_slot() -> None:
    assert capacity.slots_that_fit(SHAPES["llama3.1:8b"], 4_096 * MIB, 4096) == 0


def test_the_context_is_allocated_in_steps() -> None:
    shape = SHAPES["llama3.1:8b"]
    assert capacity.kv_bytes(shape, 4097) == capacity.kv_bytes(shape, 4352) > capacity.kv_bytes(shape, 4096)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"model_info": {"general.architecture": "llama"}, "tensors": []},
        {"model_info": {"general.architecture": "llama", "llama.block_count": "many"}, "tensors": []},
        {**shown(MODELS["llama3.1:8b"]), "tensors": [{"name": "x.weight", "type": "Q99_Z", "shape": [1]}]},
    ],
)
def test_what_tells_too_little_has_no_shape(told: dict[str, Any]) -> None:
    assert capacity.read_shape(told) is None
