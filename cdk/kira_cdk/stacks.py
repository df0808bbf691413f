"""All stacks of one Kira, in the order in which they are deployed."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk

from kira_cdk.alarms import Alarms
from kira_cdk.api import Api
from kira_cdk.config import Config, read
from kira_cdk.dashboard import Dashboard
from kira_cdk.data import Data
from kira_cdk.firewall import Firewall
from kira_cdk.fleet import GpuFleet
from kira_cdk.layers import ROOT
from kira_cdk.network import Network
from kira_cdk.queue import Queue
from kira_cdk.storage import Storage
from kira_cdk.stream import Stream

CDK_JSON = ROOT / "cdk.json"


def app(outdir: str | None = None) -> cdk.App:
    """Return an app with the context of cdk.json, also where the CDK's own command does not start it."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    return cdk.App(context=context, outdir=outdir, tree_metadata=False, analytics_reporting=False)


def build(app: cdk.App, config: Config | None = None) -> cdk.App:
    """Put the stacks of `config`, or of the context `kira` of cdk.json, into `app`."""
    config = config or read(app.node.try_get_context("kira"))
    network = Network(app, config)
    data = Data(app, config, network)
    storage = Storage(app, config)
    queue = Queue(app, config)
    api = Api(app, config, network, data, storage, queue)
    stream = Stream(app, config, api)
    fleet = GpuFleet(app, config, network, data, storage, queue, api)
    firewall = Firewall(app, config) if config.firewall else None
    Dashboard(app, config, data, api, stream, firewall)
    Alarms(app, config, data, queue, api, stream, fleet)
    cdk.Tags.of(app).add("kira", config.name, exclude_resource_types=["AWS::RDS::DBProxyTargetGroup"])
    return app
