"""A model server for tests: speaks Ollama's HTTP protocol, answers without a model, and fails on demand."""

from kira.testing.model_server.behaviour import Behaviour, Fault
from kira.testing.model_server.models import FakeModel
from kira.testing.model_server.server import ModelServer
from kira.testing.model_server.stats import Stats

__all__ = ["Behaviour", "FakeModel", "Fault", "ModelServer", "Stats"]
