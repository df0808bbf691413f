"""Settings of what is elsewhere: models that a provider runs, and the group of EC2 instances a computer belongs to."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, field_validator

from kira.domain.limits import HOSTED_SLOTS


class RemoteSettings(BaseModel):
    """What Kira is told of a hosted provider and of its fleet; the description of each is its documentation."""

    hosted: str | None = Field(
        None,
        description="Address of a provider that speaks OpenAI's chat completions, such as https://api.example.org/v1.",
    )
    hosted_key: str | None = Field(None, repr=False, description="Kira's key at that provider.")
    hosted_models: tuple[str, ...] = Field((), description="The provider's models, separated by commas.")
    hosted_slots: int = Field(HOSTED_SLOTS, ge=1, le=512, description="Most runs at once at the provider.")
    fleet: str | None = Field(
        None,
        description="Auto Scaling group of the EC2 instance that `kira worker` runs on; default: another computer. "
        "Its library: `pip install 'kira-assistant[aws]'`.",
    )
    lifecycle_hook: str | None = Field(
        None, description="Lifecycle hook of KIRA_FLEET that waits until the worker of an instance has left."
    )
    models: tuple[str, ...] = Field(
        (),
        description="Models, separated by commas, that `kira worker` loads before it takes runs, the first one last; "
        "one that does not fit on the card stops it. Default: none.",
    )
    metadata: str = Field(
        "http://169.254.169.254",
        validation_alias="AWS_EC2_METADATA_SERVICE_ENDPOINT",
        description="Where EC2 answers an instance about itself.",
    )

    @field_validator("hosted_models", "models", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
