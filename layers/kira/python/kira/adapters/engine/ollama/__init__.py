"""The engine over Ollama's HTTP API: any number of servers, slots found out, faults in plain words."""

from kira.adapters.engine.ollama.config import OllamaConfig
from kira.adapters.engine.ollama.engine import OllamaEngine
from kira.adapters.engine.ollama.findings import Findings

__all__ = ["Findings", "OllamaConfig", "OllamaEngine"]
