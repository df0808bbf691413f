"""What moto cannot make, as written down in moto_lacks.txt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent.parent / "moto_lacks.txt"


@dataclass(frozen=True)
class Lacks:
    """Types that are left out of what is deployed into moto, and attributes that it does not tell."""

    types: frozenset[str]
    attributes: frozenset[tuple[str, str]]

    def has_type(self, name: str) -> bool:
        """Say whether resources of this type are left out."""
        return name in self.types

    def has_attribute(self, type_name: str, attribute: str) -> bool:
        """Say whether moto makes the type and does not tell this of it."""
        return (type_name, attribute) in self.attributes


def lacks() -> Lacks:
    """Read the file."""
    names = [line.partition(" ")[0] for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    attributes = [(name.partition(".")[0], name.partition(".")[2]) for name in names if "." in name]
    return Lacks(frozenset(name for name in names if "." not in name), frozenset(attributes))
