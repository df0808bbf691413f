"""The network: a VPC without a NAT gateway, and who may talk to whom in it.

Functions must lie in the VPC, because Aurora has no other door. From there they reach AWS over IPv6: an egress-only
gateway is free, and SQS, KMS, Secrets Manager, STS, EventBridge Scheduler and S3 all have dual-stack endpoints
(AWS_USE_DUALSTACK_ENDPOINT). A NAT gateway would cost $33 a month, an interface endpoint $7.30 for each service
and zone.
"""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from kira_cdk.config import Config
from kira_cdk.part import Part
from kira_cdk.reasons import acknowledge

POSTGRES = 5432


class Network(Part):
    """The VPC and its security groups."""

    def __init__(self, scope: Construct, config: Config) -> None:
        """Make the network of one Kira."""
        super().__init__(scope, config, "network")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_protocol=ec2.IpProtocol.DUAL_STACK,
            max_azs=2,
            nat_gateways=1 if config.nat else 0,
            subnet_configuration=[
                # The fleet: instances with addresses of their own and no door; what they load has often no IPv6.
                ec2.SubnetConfiguration(name="fleet", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24),
                ec2.SubnetConfiguration(
                    name="functions",
                    subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS,
                    cidr_mask=20,
                    ipv6_assign_address_on_creation=True,
                ),
                ec2.SubnetConfiguration(name="data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
            gateway_endpoints={"S3": {"service": ec2.GatewayVpcEndpointAwsService.S3}},
        )
        acknowledge(
            self.vpc,
            "VPC7",
            "Flow logs cost more than the rest of a small Kira and would say who asked when; the security groups "
            "below leave only three ways through the network.",
        )
        self.database = self._group("Database", "Aurora: PostgreSQL from functions and fleet only")
        self.functions = self._group("Functions", "Functions: out to Aurora and AWS, nothing in", outbound=True)
        self.fleet = self._group("Fleet", "GPU instances: out, nothing in", outbound=True)
        for group in (self.functions, self.fleet):
            self.database.add_ingress_rule(group, ec2.Port.tcp(POSTGRES), "PostgreSQL")
        if config.database_proxy:
            self.database.add_ingress_rule(self.database, ec2.Port.tcp(POSTGRES), "The proxy to the database")
            self.database.add_egress_rule(self.database, ec2.Port.tcp(POSTGRES), "The proxy to the database")

    def _group(self, name: str, told: str, *, outbound: bool = False) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            name,
            vpc=self.vpc,
            description=told,
            allow_all_outbound=outbound,
            allow_all_ipv6_outbound=outbound,
        )
