"""The models that the test server claims to have, described as Ollama describes models."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

PULLED_AT = "2026-11-01T10:00:00Z"
EXPIRES_AT = "2099-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class FakeModel:
    """A model by name; `family` and `capabilities` as `/api/show` gives them."""

    name: str
    family: str = "llama"
    capabilities: tuple[str, ...] = ("completion", "tools")
    trained: int = 131_072
    size: int = 2_019_393_189

    @property
    def digest(self) -> str:
        """A digest that follows from what the model is."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    @property
    def details(self) -> dict[str, Any]:
        """What every list says about the model."""
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": "3.2B",
            "quantization_level": "Q4_K_M",
        }

    def tag(self) -> dict[str, Any]:
        """Return its entry of `/api/tags`."""
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": PULLED_AT,
            "size": self.size,
            "digest": self.digest,
            "details": self.details,
        }

    def loaded(self, context: int, gpu_share: float) -> dict[str, Any]:
        """Return its entry of `/api/ps`; `context` in tokens per slot."""
        size = self.size + context * 57_344
        return {
            **{name: value for name, value in self.tag().items() if name != "modified_at"},
            "size": size,
            "size_vram": int(size * gpu_share),
            "expires_at": EXPIRES_AT,
            "context_length": context,
        }

    def shown(self) -> dict[str, Any]:
        """Return the answer of `/api/show`: a Llama 3.2 3B in shape."""
        family = self.family
        info = {
            "general.architecture": family,
            "general.parameter_count": 3_212_749_888,
            f"{family}.block_count": 28,
            f"{family}.context_length": self.trained,
            f"{family}.embedding_length": 3072,
            f"{family}.attention.head_count": 24,
            f"{family}.attention.head_count_kv": 8,
            f"{family}.attention.key_length": 128,
            f"{family}.attention.value_length": 128,
            f"{family}.vocab_size": 128_256,
        }
        return {
            "modelfile": f"FROM {self.name}",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": self.details,
            "model_info": info,
            "tensors": _tensors(),
            "capabilities": list(self.capabilities),
            "modified_at": PULLED_AT,
        }


def _tensors() -> list[dict[str, Any]]:
    embedding = {"name": "token_embd.weight", "type": "Q6_K", "shape": [3072, 128_256]}
    shapes = {"attn_q": [3072, 3072], "attn_k": [3072, 1024], "attn_output": [3072, 3072], "ffn_up": [3072, 8192]}
    return [
        embedding,
        *(
            {"name": f"blk.{layer}.{name}.weight", "type": "Q4_K", "shape": shape}
            for layer in range(28)
            for name, shape in shapes.items()
        ),
    ]
