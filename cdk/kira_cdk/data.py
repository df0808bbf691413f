"""The data: Aurora PostgreSQL that sleeps when nobody is there, the keys, and the secrets."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from kira_cdk.config import Config
from kira_cdk.network import Network
from kira_cdk.part import Part
from kira_cdk.reasons import acknowledge

DATABASE = "kira"
OWNER = "kira_master"
USER = "kira_app"
ENGINE = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_17_7)
NOT_IN_ADDRESSES = " %+~`#$&*()|[]{}:;<>?!'/@\"\\^=,."
ROTATION = (
    "Nobody reads it but functions, which keep it for the life of an environment; rotating it would end every "
    "session. docs/aws.md says how to change it after a leak."
)


class Data(Part):
    """Everything that must never be lost: each of these resources stays when its stack goes."""

    def __init__(self, scope: Construct, config: Config, network: Network) -> None:
        """Make the database, the keys and the secrets of one Kira."""
        super().__init__(scope, config, "data")
        self.at_rest = self._key("AtRest", "Kira: the database at rest")
        self.key = self._key("Seal", "Kira: what users keep secret, each with the user's id as context")
        self.key.add_to_resource_policy(_no_context_no_call())
        # What is added to it here would be a rule of the network's stack that needs this one.
        self._group = ec2.SecurityGroup.from_security_group_id(
            self, "Group", network.database.security_group_id, mutable=False
        )
        self.cluster = self._cluster(config, network)
        self.user_secret = rds.DatabaseSecret(
            self, "UserSecret", username=USER, exclude_characters=NOT_IN_ADDRESSES, dbname=DATABASE
        )
        self.master_key = self._secret("MasterKey", "Kira: signs sessions; every other key is made from it", 43)
        self.origin = self._secret("Origin", "Kira: what CloudFront says so that nobody can go past it", 40)
        self.hosted = self._secret("Hosted", "Kira: the key of the hosted provider", 40) if config.hosted else None
        for secret in (self.user_secret, self.master_key, self.origin, self.hosted):
            if secret is not None:
                secret.apply_removal_policy(RemovalPolicy.RETAIN)
                acknowledge(secret, "SMG4", ROTATION)
        self.proxy = self._proxy(network) if config.database_proxy else None

    @property
    def host(self) -> str:
        """Where PostgreSQL is reached."""
        return self.proxy.endpoint if self.proxy else self.cluster.cluster_endpoint.hostname

    @property
    def owner_secret(self) -> secretsmanager.ISecret:
        """The secret of the cluster's superuser."""
        secret = self.cluster.secret
        assert secret is not None  # noqa: S101 - the cluster was made with generated credentials
        return secret

    def _key(self, name: str, told: str) -> kms.Key:
        return kms.Key(self, name, description=told, enable_key_rotation=True, removal_policy=RemovalPolicy.RETAIN)

    def _secret(self, name: str, told: str, length: int) -> secretsmanager.Secret:
        made = secretsmanager.SecretStringGenerator(password_length=length, exclude_punctuation=True)
        return secretsmanager.Secret(self, name, description=told, generate_secret_string=made)

    def _cluster(self, config: Config, network: Network) -> rds.DatabaseCluster:
        parameters = rds.ParameterGroup(
            self,
            "Parameters",
            engine=ENGINE,
            description="Kira: TLS or nothing",
            parameters={"rds.force_ssl": "1"},
        )
        sleeping = (
            {"serverless_v2_auto_pause_duration": Duration.minutes(config.pause_minutes)}
            if config.database_floor == 0
            else {}
        )
        cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=ENGINE,
            writer=rds.ClusterInstance.serverless_v2("Writer", ca_certificate=rds.CaCertificate.RDS_CA_RSA2048_G1),
            readers=[
                rds.ClusterInstance.serverless_v2(f"Reader{number}", scale_with_writer=True)
                for number in range(config.database_readers)
            ],
            serverless_v2_min_capacity=config.database_floor,
            serverless_v2_max_capacity=config.database_ceiling,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self._group],
            default_database_name=DATABASE,
            credentials=rds.Credentials.from_generated_secret(OWNER, exclude_characters=NOT_IN_ADDRESSES),
            parameter_group=parameters,
            iam_authentication=True,
            storage_encrypted=True,
            storage_encryption_key=self.at_rest,
            backup=rds.BackupProps(retention=Duration.days(config.backup_days), preferred_window="03:00-04:00"),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            cloudwatch_logs_retention=None,
            deletion_protection=True,
            removal_policy=RemovalPolicy.SNAPSHOT,
            **sleeping,
        )
        secret = cluster.node.find_child("Secret")
        assert isinstance(secret, secretsmanager.Secret)  # noqa: S101 - the cluster was made with generated credentials
        secret.apply_removal_policy(RemovalPolicy.RETAIN)
        acknowledge(secret, "SMG4", ROTATION)
        acknowledge(cluster, "RDS11", "The port is no secret: only two security groups reach it.")
        return cluster

    def _proxy(self, network: Network) -> rds.DatabaseProxy:
        return self.cluster.add_proxy(
            "Proxy",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            secrets=[self.owner_secret, self.user_secret],
            security_groups=[self._group],
            require_tls=True,
            iam_auth=False,
        )


def _no_context_no_call() -> iam.PolicyStatement:
    """Refuse data keys without the id of a user, whoever asks: a row that is copied to another user does not open."""
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=["kms:Decrypt", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*"],
        resources=["*"],
        conditions={"Null": {"kms:EncryptionContext:user": "true"}},
    )
