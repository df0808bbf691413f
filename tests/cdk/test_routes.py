"""The template's routes are the app's routes, each at the function that serves it."""

from __future__ import annotations

import json

import pytest
from tests.cdk import synth

from kira.web.apps import AREAS
from kira_cdk import routes, site
from kira_cdk.functions import BY_NAME, STREAM_SECONDS


def _http() -> dict[str, str]:
    """Return the function of each path of the HTTP API."""
    api = synth.templates()["kira-api"]["Resources"]
    found = {}
    for each in synth.resources("AWS::ApiGatewayV2::Route").values():
        route = each["Properties"]
        integration = api[route["Target"]["Fn::Join"][1][1]["Ref"]]["Properties"]
        function = api[integration["IntegrationUri"]["Fn::GetAtt"][0]]["Properties"]["FunctionName"]
        assert integration["PayloadFormatVersion"] == "2.0"
        found[route["RouteKey"].removeprefix("ANY ")] = function.removeprefix("kira-")
    return found


def _rest() -> dict[str, str]:
    """Return the method of each path of the REST API."""
    resources = synth.templates()["kira-stream"]["Resources"]

    def path(name: str) -> str:
        properties = resources[name]["Properties"]
        parent = properties["ParentId"].get("Ref")
        return (path(parent) if parent else "") + "/" + str(properties["PathPart"])

    methods = synth.resources("AWS::ApiGateway::Method").values()
    return {path(each["Properties"]["ResourceId"]["Ref"]): each["Properties"]["HttpMethod"] for each in methods}


def test_every_path_of_the_apps_is_at_one_of_the_two_apis_and_no_other() -> None:
    app = set().union(*routes.paths().values())
    on_aws = {*_http(), *_rest()}
    assert on_aws == (app - {*routes.NOT_ON_AWS}) | {routes.OTHERWISE}
    assert not {*_http()} & {*_rest()}
    assert len(on_aws) > 20


def test_each_path_goes_to_the_function_of_its_area() -> None:
    area_of = {path: area for area, paths in routes.paths().items() for path in paths}
    for path, function in _http().items():
        if path == routes.OTHERWISE:
            assert function == routes.REFUSES
        else:
            assert area_of[path] in BY_NAME[function].areas, path


def test_streams_stream_for_as_long_as_a_gateway_may() -> None:
    assert _rest() == dict.fromkeys(routes.STREAMED, "GET")
    for each in synth.resources("AWS::ApiGateway::Method").values():
        integration = each["Properties"]["Integration"]
        assert integration["ResponseTransferMode"] == "STREAM"
        assert integration["TimeoutInMillis"] == STREAM_SECONDS * 1000
        assert "response-streaming-invocations" in json.dumps(integration["Uri"])
    (api,) = synth.resources("AWS::ApiGateway::RestApi").values()
    assert api["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_the_stream_function_is_started_by_the_adapter() -> None:
    function = synth.function("stream")
    assert function["MemorySize"] == 256
    assert function["Handler"] == "run.sh"
    assert function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
    assert function["Environment"]["Variables"]["AWS_LWA_INVOKE_MODE"] == "response_stream"
    assert "LambdaAdapterLayerArm64:27" in json.dumps(function["Layers"])


@pytest.mark.parametrize("kind", ["AWS::ApiGatewayV2::Stage", "AWS::ApiGateway::Stage"])
def test_requests_are_logged_without_what_was_asked(kind: str) -> None:
    (stage,) = (each["Properties"] for each in synth.resources(kind).values())
    settings = stage.get("AccessLogSettings") or stage["AccessLogSetting"]
    assert set(json.loads(settings["Format"]).values()) & {"$context.routeKey", "$context.resourcePath"}
    assert not any(word in settings["Format"] for word in ("querystring", "$context.path", "authorizer", "$input"))


def test_both_apis_have_a_rate() -> None:
    (stage,) = (each["Properties"] for each in synth.resources("AWS::ApiGatewayV2::Stage").values())
    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50}
    (stream,) = (each["Properties"] for each in synth.resources("AWS::ApiGateway::Stage").values())
    assert stream["MethodSettings"][0]["ThrottlingRateLimit"] == 50


def test_the_description_of_the_api_has_every_area() -> None:
    description = json.loads((site.folder() / site.DESCRIPTION).read_text())
    assert set(description["paths"]) == set().union(*routes.paths().values())
    assert "<!doctype html" in (site.folder() / site.PAGE).read_text().lower()
    assert set(AREAS) == set(routes.paths())
