"""The engine over Ollama's HTTP API: any number of servers, slots found out, faults in plain words."""

from kira.adapters.engine.ollama.config import Findings, OllamaConfig
from kira.adapters.engine.ollama.engine import OllamaEngine

__all__ = ["Findings", "OllamaConfig", "OllamaEngine"]
