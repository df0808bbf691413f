"""The one address of a deployed Kira: its distribution with everything that lies behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.rehearsal.cloud.deploying import Deployed
from tests.rehearsal.cloud.law import TemplateLaw
from tests.rehearsal.cloud.moto import Moto
from tests.rehearsal.door.bucket import Bucket
from tests.rehearsal.door.cloudfront import Distribution, Origin
from tests.rehearsal.door.http_api import HttpApi
from tests.rehearsal.door.lambdas import Functions
from tests.rehearsal.door.rest_api import RestApi
from tests.rehearsal.host.spec import ACCOUNT
from tests.rehearsal.serving import Server


@contextmanager
def front_door(deployed: Deployed, moto: Moto, law: TemplateLaw, functions: Functions) -> Iterator[str]:
    """Open the door until the block ends; give its address."""
    ((stack, logical, properties),) = deployed.assembly.of_type("AWS::CloudFront::Distribution")
    values = deployed.values
    config = values.of(stack, properties)["DistributionConfig"]
    own = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{values.told[(stack.name, logical), None]}"
    origins: dict[str, Origin] = {}
    for owner, name, _ in deployed.assembly.of_type("AWS::ApiGatewayV2::Api"):
        http_api = HttpApi(deployed, owner.name, name, functions)
        origins[http_api.id] = http_api
    for owner, name, _ in deployed.assembly.of_type("AWS::ApiGateway::RestApi"):
        rest_api = RestApi(deployed, owner.name, name, functions)
        origins[rest_api.id] = rest_api
    for origin in config["Origins"]:
        if "S3OriginConfig" in origin:
            bucket = origin["DomainName"].partition(".")[0]
            policy = law.resource(f"arn:aws:s3:::{bucket}")
            origins[bucket] = Bucket(moto, bucket, policy, own, signs="OriginAccessControlId" in origin)
    distribution = Distribution(deployed, config, origins)
    server = Server(distribution.answer)
    try:
        yield server.address
    finally:
        server.close()
        distribution.close()
