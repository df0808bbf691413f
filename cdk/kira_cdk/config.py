"""One typed configuration of a Kira on AWS; `dev`, `small` and `large` are the three that are kept cheap and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

LOG_DAYS = (30, 90, 365)


class WrongConfiguration(Exception):
    """The configuration cannot work; the message says what to change in cdk.json."""


@dataclass(frozen=True)
class Fleet:
    """The GPU instances. None costs anything while it is not running, so `least` is what decides the price."""

    least: int = 0  # g6.xlarge on demand: $588 a month for each that always runs
    most: int = 1
    on_demand: int = 1  # above it spot: about half of the price, and two minutes' notice
    types: tuple[str, ...] = ("g6.xlarge", "g6.2xlarge", "g5.xlarge")  # $0.8048, $0.9776, $1.006 an hour
    image: str = ""  # an AMI id pins the machine image; empty: the newest driver image that AWS publishes
    models: tuple[str, ...] = ("llama3.1:8b",)
    ollama: str = "0.33.0"
    disk_gb: int = 100  # $8 a month while it runs; weights lie on the instance's own NVMe
    utilisation: int = 70  # percent of the slots that are taken before another instance starts


@dataclass(frozen=True)
class Config:
    """What can be chosen. The price beside a choice is a list price of us-east-1 (cdk/kira_cdk/prices.json)."""

    size: str
    name: str = "kira"
    region: str = "us-east-1"

    # Who comes in, and where
    accounts: str = "invite"
    domain: str = ""  # a custom domain; the certificate (free) must lie in us-east-1
    certificate: str = ""
    mail_from: str = ""  # a sender that SES has verified; $0.10 for 1,000 letters

    # The database. From 0 ACU it sleeps after `pause_minutes` and costs only its storage; it then takes 15 s to wake.
    database_floor: float = 0  # 0.5 ACU always awake: $43.80 a month
    database_ceiling: float = 2  # $0.12 for an ACU hour that is used
    database_proxy: bool = False  # $87.60 a month, and it keeps the database awake
    database_readers: int = 0  # a reader costs as much again as the writer
    database_sign_in: str = "secret"  # or "iam": no password, $0 either way
    pause_minutes: int = 10
    backup_days: int = 7  # free up to the size of the database

    # What stands in front
    firewall: bool = False  # WAF: $7 a month and $0.60 for a million requests
    requests_per_address: int = 2000  # in 5 minutes, before the firewall refuses an address
    requests_per_second: int = 50
    price_class: str = "PRICE_CLASS_100"  # "PRICE_CLASS_ALL" is nearer to Asia and South America, and dearer there

    # What it may grow to. Reserved concurrency is free, but a new account has 10 in all: raise that limit first.
    reserved: bool = False
    python: str = ""  # a runtime other than the Python that synthesises; then there is no bytecode in the layers
    adapter: int = 27  # version of the layer LambdaAdapterLayerArm64

    # Hosted models beside the fleet, or instead of it
    hosted: str = ""  # the address of an OpenAI-compatible provider; it must speak IPv6, or:
    nat: bool = False  # a NAT gateway for providers without IPv6: $32.85 a month
    hosted_models: tuple[str, ...] = ()
    stream: str = "table"  # or rediss://...: Valkey serverless from $6 a month

    # Watching
    alarms_to: str = ""  # an e-mail address; without one the alarms are only seen in the console
    board: bool = False  # a dashboard in CloudWatch: $3 a month
    budget: int = 50  # dollars a month; letters at 80 % and 100 %
    log_days: int = 30  # $0.50 for a GB written, $0.03 for a GB and month kept

    fleet: Fleet = field(default_factory=Fleet)

    def __post_init__(self) -> None:
        """Refuse what cannot work; raises WrongConfiguration."""
        for refused, told in _refusals(self):
            if refused:
                raise WrongConfiguration(told)

    @property
    def address(self) -> str:
        """The custom address, or nothing where CloudFront's own name is used."""
        return f"https://{self.domain}" if self.domain else ""


def _refusals(config: Config) -> list[tuple[bool, str]]:
    return [
        (
            config.database_proxy and config.database_floor < 0.5,
            "A proxy keeps the database awake: set database_floor to 0.5 or more, or database_proxy to false.",
        ),
        (
            config.database_ceiling < max(1, config.database_floor),
            "database_ceiling must be at least 1 and not below database_floor.",
        ),
        (bool(config.domain) != bool(config.certificate), "domain and certificate are set together or not at all."),
        (
            bool(config.certificate) and ":us-east-1:" not in config.certificate,
            "CloudFront takes a certificate only from us-east-1: make it there and set its ARN.",
        ),
        (bool(config.hosted) != bool(config.hosted_models), "hosted and hosted_models are set together or not at all."),
        (config.database_sign_in not in ("secret", "iam"), 'database_sign_in is "secret" or "iam".'),
        (
            config.fleet.least > config.fleet.most or config.fleet.on_demand > config.fleet.most,
            "fleet.least and fleet.on_demand may not be above fleet.most.",
        ),
        (config.log_days not in LOG_DAYS, f"log_days is one of {LOG_DAYS}."),
        (not 1 <= config.backup_days <= 35, "backup_days is from 1 to 35."),
        (not config.name.replace("-", "").isalnum(), "name may have only letters, digits and hyphens."),
    ]


DEV = Config(size="dev")
SMALL = Config(
    size="small",
    firewall=True,
    board=True,
    reserved=True,
    database_ceiling=8,
    backup_days=14,
    budget=300,
    log_days=90,
    fleet=Fleet(most=2),
)
LARGE = Config(
    size="large",
    firewall=True,
    board=True,
    reserved=True,
    database_floor=1,
    database_ceiling=64,
    database_proxy=True,
    database_readers=1,
    backup_days=35,
    requests_per_second=2000,
    price_class="PRICE_CLASS_ALL",
    budget=5000,
    log_days=365,
    fleet=Fleet(least=1, most=8),
)
SIZES = {config.size: config for config in (DEV, SMALL, LARGE)}


def read(context: Mapping[str, Any] | None) -> Config:
    """Return the configuration that the context `kira` of cdk.json describes; raises WrongConfiguration."""
    wanted = dict(context or {})
    size = wanted.pop("size", "dev")
    if size not in SIZES:
        raise WrongConfiguration(f'size is one of {", ".join(SIZES)}, not "{size}".')
    start = SIZES[size]
    fleet = replace(start.fleet, **_known(Fleet, wanted.pop("fleet", {}), "fleet."))
    return replace(start, **_known(Config, wanted), fleet=fleet)


def _known(kind: type, wanted: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    names = {each.name for each in fields(kind)} - {"size", "fleet"}
    for name in wanted:
        if name not in names:
            raise WrongConfiguration(f"{where}{name} is no setting; there are: {', '.join(sorted(names))}.")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in wanted.items()}
