"""Alarms and dashboard look at metrics that exist, with exactly their dimensions, and say what to do."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from replicator.counting import BY_CODE, Metric
from replicator.errors import ErrorCode
from replicator.observability import NAMESPACE
from tests.infra import stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.stacks import Stack

# The metrics of AWS that we use, and the sets of dimensions that they are written with.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
OF_AWS = {
    "AWS/SQS": (
        {
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateAgeOfOldestMessage",
        },
        [{"QueueName"}],
    ),
    "AWS/Lambda": (
        {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
        [{"FunctionName"}],
    ),
    "AWS/States": (
        {
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionsAborted",
        },
        [{"StateMachineArn"}],
    ),
    "AWS/Events": (
        {"FailedInvocations", "InvocationsFailedToBeSentToDlq"},
        # with the bus, except for the default bus
        [{"RuleName"}, {"EventBusName", "RuleName"}],
    ),
}
ONCE_A_DAY = {"SpokesUnreadable", "MirrorsDrifted"}
ABSENT = {"SweepMissingAlarm": 3600, "ReconcileMissingAlarm": 86400}
"""The alarms on what did not run, and how many seconds may lie between two runs."""


@dataclass(frozen=True)
class Used:
    """A metric that an alarm or a widget looks at."""

    where: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def of_alarms(stack: Stack) -> Iterator[Used]:
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        queries = [
            query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query
        ]
        for metric in queries or [alarm]:
            pairs = tuple((each["Name"], each["Value"]) for each in metric["Dimensions"])
            yield Used(alarm["AlarmName"], metric["Namespace"], metric["MetricName"], pairs)


def period_of(alarm: dict[str, Any]) -> int:
    """Give the period of an alarm, which is the same for each metric that it looks at."""
    stats = [query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    (period,) = {each["Period"] for each in stats or [alarm]}
    return int(period)


def body(stack: Stack) -> dict[str, Any]:
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    return dict(json.loads(dashboard["DashboardBody"]))


def rows(widget: dict[str, Any]) -> Iterator[list[str]]:
    """Give the names and values of each metric of a widget, its shorthands written out."""
    before: list[str] = []
    for row in widget["properties"]["metrics"]:
        if isinstance(row[0], dict):
            continue
        words = [each for each in row if isinstance(each, str)]
        if words[0] == "...":
            words = before[: len(before) - len(words[1:])] + words[1:]
        words = [before[i] if word == "." else word for i, word in enumerate(words)]
        yield words
        before = words


def searches(widget: dict[str, Any]) -> Iterator[tuple[str, set[str], str, dict[str, str]]]:
    """Give namespace, dimensions, metric and wanted values of each search of a widget."""
    for row in widget["properties"]["metrics"]:
        if isinstance(row[0], dict):
            found = re.fullmatch(
                r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\" (.*)', 'Sum', 300\)", row[0]["expression"]
            )
            assert found, row[0]["expression"]
            namespace, *dimensions = found[1].split(",")
            yield namespace, set(dimensions), found[2], dict(re.findall(r"(\w+)=\"([^\"]+)\"", found[3]))


def of_dashboard(stack: Stack) -> Iterator[Used]:
    for widget in body(stack)["widgets"]:
        if widget["type"] == "metric":
            for namespace, name, *pairs in rows(widget):
                dimensions = tuple(zip(pairs[::2], pairs[1::2], strict=True))
                yield Used(widget["properties"]["title"], namespace, name, dimensions)


def exists(stack: Stack, used: Used) -> bool:
    """Tell whether a metric is written, with exactly these dimensions, by something of this stack."""
    dimensions = dict(used.dimensions)
    if used.namespace == NAMESPACE:
        written = [
            its["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            for its in stack.of_type("AWS::Lambda::Function").values()
        ]
        return used.name in set(Metric) and dimensions == {"service": written[0]} and len(set(written)) == 1
    names, sets = OF_AWS[used.namespace]
    return used.name in names and set(dimensions) in sets and set(dimensions.values()) <= named(stack)


def named(stack: Stack) -> set[str]:
    """Give the name or ARN by which the metrics of AWS know each resource of a stack."""
    found = {its["QueueName"] for its in stack.of_type("AWS::SQS::Queue").values()}
    found |= {its["FunctionName"] for its in stack.of_type("AWS::Lambda::Function").values()}
    found |= {its["Name"] for its in stack.of_type("AWS::Events::Rule").values()}
    found |= {its["Name"] for its in stack.of_type("AWS::Events::EventBus").values()}
    machines = stack.of_type("AWS::StepFunctions::StateMachine").values()
    prefix = f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:"
    return found | {prefix + its["StateMachineName"] for its in machines}


@pytest.mark.parametrize("namespace", ["registry-replicator", "ml"])
def test_every_metric_that_is_looked_at_is_written(namespace: str) -> None:
    hub = stacks.hub(Namespace=namespace)
    used = [*of_alarms(hub), *of_dashboard(hub)]
    assert [each for each in used if not exists(hub, each)] == []
    assert {each.namespace for each in used} == {NAMESPACE, *OF_AWS}
    spoke = stacks.spoke(Namespace=namespace)
    assert [each for each in of_alarms(spoke) if not exists(spoke, each)] == []


def test_searches_are_for_the_metrics_by_code(hub: Stack) -> None:
    found = [
        each for widget in body(hub)["widgets"] if widget["type"] == "metric" for each in searches(widget)
    ]
    assert {each[2] for each in found} == BY_CODE
    for namespace, dimensions, _, wanted in found:
        assert (namespace, dimensions) == (NAMESPACE, {"service", "code"})
        assert wanted == {"service": "registry-replicator"}


def test_every_metric_of_ours_is_on_the_dashboard(hub: Stack) -> None:
    shown = {each.name for each in of_dashboard(hub) if each.namespace == NAMESPACE}
    assert shown | BY_CODE == set(Metric)


def test_a_handler_counts_every_metric() -> None:
    """A metric that no handler counts would never be there, and its alarm never go off."""
    path = stacks.ROOT / "layers" / "core" / "replicator" / "counting.py"
    handlers = [each.read_text(encoding="utf-8") for each in (stacks.ROOT / "functions").rglob("handler.py")]
    counted = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and ast.unparse(node.returns or node) == "list[Count]":
            calls = [text for text in handlers if re.search(rf"\bcount\({node.name}\(", text)]
            assert len(calls) == 1, f"{node.name} is called by {len(calls)} handlers"
            counted |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    assert {each.name for each in Metric} - counted == set()
    assert "add_metric" not in "".join(handlers), (
        "replicator.counting names the metrics, and nothing else does"
    )


def test_every_function_is_on_the_dashboard(hub: Stack) -> None:
    for widget in body(hub)["widgets"]:
        title = widget["properties"].get("title", "")
        if title.startswith("Functions"):
            shown = {words[-1] for words in rows(widget)}
            assert shown == {its["FunctionName"] for its in hub.of_type("AWS::Lambda::Function").values()}


def test_the_dashboard_keeps_the_limits(hub: Stack) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html."""
    widgets = body(hub)["widgets"]
    assert len(widgets) <= 500
    metrics = [widget for widget in widgets if widget["type"] == "metric"]
    assert all(len(widget["properties"]["metrics"]) <= 500 for widget in metrics)
    # each search finds a metric for each code, at the most
    searched = sum(len(list(searches(widget))) for widget in metrics) * len(ErrorCode)
    assert sum(len(list(rows(widget))) for widget in metrics) + searched <= 2500
    for widget in metrics:
        assert widget["properties"]["region"] == hub.region
        assert widget["properties"]["period"] % 60 == 0
    (text,) = [widget for widget in widgets if widget["type"] == "text"]
    assert "docs/alarms.md" in text["properties"]["markdown"]


def test_widgets_lie_on_the_grid_and_on_no_other(hub: Stack) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in body(hub)["widgets"]:
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= 24
        cells = {(column, line) for column in range(x, x + width) for line in range(y, y + height)}
        assert not taken & cells, widget["properties"].get("title")
        taken |= cells
    assert len(taken) == 24 * (1 + max(line for _, line in taken)), "there is a hole"


def test_the_dashboard_shows_every_alarm(hub: Stack) -> None:
    (widget,) = [each for each in body(hub)["widgets"] if each["type"] == "alarm"]
    prefix = f"arn:aws:cloudwatch:{hub.region}:{hub.account}:alarm:"
    names = {its["AlarmName"] for its in hub.of_type("AWS::CloudWatch::Alarm").values()}
    assert set(widget["properties"]["alarms"]) == {prefix + name for name in names}


def test_the_text_of_the_dashboard_is_json_whatever_the_parameters_are() -> None:
    url = "https://example.com/a/b?c=d&e=f"
    hub = stacks.hub(Namespace="ml", RunbookUrl=url, LagAlarmSeconds="60")
    (lag,) = [each for each in body(hub)["widgets"] if each["properties"].get("title", "").startswith("Lag")]
    assert lag["properties"]["annotations"]["horizontal"] == [{"label": "alarm", "value": 60}]
    assert f"[{url}]({url})" in body(hub)["widgets"][0]["properties"]["markdown"]
    assert "registry-replicator" not in json.dumps(body(hub))


def test_the_dashboard_links_to_nothing_while_the_page_is_published_nowhere(hub: Stack) -> None:
    markdown = body(hub)["widgets"][0]["properties"]["markdown"]
    assert "docs/alarms.md of the repository" in markdown
    assert "](" not in markdown


@pytest.mark.parametrize("which", ["hub", "spoke"])
def test_every_alarm_says_what_to_do_and_where_that_is_written(
    which: str, request: pytest.FixtureRequest
) -> None:
    stack: Stack = request.getfixturevalue(which)
    text = (stacks.ROOT / "docs" / "alarms.md").read_text(encoding="utf-8")
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        name = alarm["AlarmName"].removeprefix("registry-replicator-")
        assert alarm["AlarmDescription"].endswith(f" docs/alarms.md#{name}")
        assert len(alarm["AlarmDescription"]) <= 1024
        assert f"\n## {name}\n" in text
        assert re.search(rf"^\| `{name}`", text, re.MULTILINE)


def test_the_page_has_no_alarm_that_is_not_there(hub: Stack, spoke: Stack) -> None:
    text = (stacks.ROOT / "docs" / "alarms.md").read_text(encoding="utf-8")
    made = [
        its["AlarmName"] for stack in (hub, spoke) for its in stack.of_type("AWS::CloudWatch::Alarm").values()
    ]
    assert set(re.findall(r"^## (.+)$", text, re.MULTILINE)) == {
        name.removeprefix("registry-replicator-") for name in made
    }


@pytest.mark.parametrize("which", ["hub", "spoke"])
def test_missing_data_is_good_news_unless_it_is_what_is_looked_for_or_written_once_a_day(
    which: str, request: pytest.FixtureRequest
) -> None:
    stack: Stack = request.getfixturevalue(which)
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        expected = "ignore" if alarm.get("MetricName") in ONCE_A_DAY else "notBreaching"
        assert alarm["TreatMissingData"] == ("breaching" if name in ABSENT else expected), name


@pytest.mark.parametrize(
    ("name", "namespace", "value"),
    [
        ("SweepMissingAlarm", "AWS/Lambda", "registry-replicator-sweep"),
        ("ReconcileMissingAlarm", "AWS/States", None),
    ],
)
def test_what_should_run_by_itself_and_does_not_is_told_of(
    hub: Stack, name: str, namespace: str, value: str | None
) -> None:
    alarm = hub.of_type("AWS::CloudWatch::Alarm")[name]
    assert (alarm["Namespace"], alarm["Statistic"]) == (namespace, "Sum")
    assert alarm["MetricName"] == {"AWS/Lambda": "Invocations", "AWS/States": "ExecutionsStarted"}[namespace]
    assert [each["Value"] for each in alarm["Dimensions"]] == [
        value or hub.outputs["ReconcileStateMachineArn"]
    ]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["Period"] * alarm["EvaluationPeriods"] >= ABSENT[name]


@pytest.mark.parametrize("which", ["hub", "spoke"])
def test_every_alarm_looks_back_no_further_than_cloudwatch_does(
    which: str, request: pytest.FixtureRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html."""
    stack: Stack = request.getfixturevalue(which)
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        period = period_of(alarm)
        assert period * alarm["EvaluationPeriods"] <= (86400 if period < 3600 else 604800), alarm["AlarmName"]


@pytest.mark.parametrize("which", ["hub", "spoke"])
def test_a_sum_that_is_filled_waits_for_late_data(which: str, request: pytest.FixtureRequest) -> None:
    """Its newest value is 0 until they come, and an alarm on that value alone would never see them."""
    stack: Stack = request.getfixturevalue(which)
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        if "Metrics" in alarm:
            periods = 3 if period_of(alarm) == 300 else 2
            assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (periods, 1), alarm[
                "AlarmName"
            ]


@pytest.mark.parametrize("which", ["hub", "spoke"])
def test_a_sum_does_not_vanish_with_one_of_its_parts(which: str, request: pytest.FixtureRequest) -> None:
    """AWS writes most of these metrics only when they are not zero, and ``a + nothing`` is nothing."""
    stack: Stack = request.getfixturevalue(which)
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        ids = [query["Id"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        expressions = [query["Expression"] for query in alarm.get("Metrics", []) if "Expression" in query]
        filled = ", ".join(f"FILL({name}, 0)" for name in ids)
        assert expressions == ([f"SUM([{filled}])"] if ids else []), alarm["AlarmName"]


def test_a_letter_that_lapses_is_told_of_in_time(hub: Stack) -> None:
    """Its age is counted from its coming to the queue, its end from its first sending."""
    queues = hub.of_type("AWS::SQS::Queue")
    kept = queues["DeadLetterQueue"]["MessageRetentionPeriod"]
    before = queues["IntakeQueue"]["MessageRetentionPeriod"]
    alarm = hub.of_type("AWS::CloudWatch::Alarm")["DeadLetterAgeAlarm"]
    assert alarm["Threshold"] + alarm["Period"] + 86400 // 2 <= kept - before
