"""The field map against the service model of the installed botocore."""

from collections.abc import Iterator

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from replicator import fields
from replicator.fields import Decided, Drop, Each, Image, Location, Node, ReadOnly, Values

# A subtree that is dropped or read-only as a whole is decided by one rule.
WHOLE = (Drop, ReadOnly, Decided)


@pytest.fixture(scope="module")
def sagemaker() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def undecided(shape: Shape, node: Node | None, path: str) -> Iterator[str]:
    """Give the path of every member that the map does not decide, or decides in another form."""
    if node is None:
        yield f"{path}: not in the map"
    elif isinstance(node, WHOLE):
        return
    elif isinstance(shape, StructureShape):
        if not isinstance(node, dict):
            yield f"{path}: a structure, but the map has {node}"
            return
        for name, member in shape.members.items():
            yield from undecided(member, node.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        yield from (
            undecided(shape.member, node.node, f"{path}[]")
            if isinstance(node, Each)
            else [f"{path}: a list, but the map has {node}"]
        )
    elif isinstance(shape, MapShape):
        if not isinstance(node, Values):
            yield f"{path}: a map, but the map has {node}"
    elif isinstance(node, dict | Each | Values):
        yield f"{path}: {shape.type_name}, but the map has {node}"


def shapes(model: ServiceModel) -> dict[str, Shape]:
    found = {
        "CreateModelPackage": model.operation_model("CreateModelPackage").input_shape,
        "DescribeModelPackage": model.operation_model("DescribeModelPackage").output_shape,
        "UpdateModelPackage": model.operation_model("UpdateModelPackage").input_shape,
    }
    return {operation: shape for operation, shape in found.items() if shape is not None}


def test_every_member_of_create_describe_and_update_is_decided(sagemaker: ServiceModel) -> None:
    assert len(shapes(sagemaker)) == 3
    found = [
        f"{operation}: {problem}"
        for operation, shape in shapes(sagemaker).items()
        for problem in undecided(shape, fields.PACKAGE, "")
    ]
    assert not found, "decide on these in replicator/fields.py: " + "; ".join(found)


def test_the_contract_notices_a_member_that_is_added_to_the_model(sagemaker: ServiceModel) -> None:
    shape = sagemaker.shape_for("ModelPackageContainerDefinition")
    assert isinstance(shape, StructureShape)
    shape.members["Novelty"] = sagemaker.shape_for("S3Uri")
    container = fields.PACKAGE["InferenceSpecification"]
    assert isinstance(container, dict)
    each = container["Containers"]
    assert isinstance(each, Each)
    assert list(undecided(shape, each.node, "X")) == ["X.Novelty: not in the map"]
    del shape.members["Novelty"]


def paths(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    if isinstance(node, dict):
        for name, member in node.items():
            yield from paths(member, f"{path}.{name}".lstrip("."))
    elif isinstance(node, Each):
        yield from paths(node.node, f"{path}[]")
    else:
        yield path, node


def shape_paths(shape: Shape, path: str = "") -> Iterator[tuple[str, Shape]]:
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield from shape_paths(member, f"{path}.{name}".lstrip("."))
    elif isinstance(shape, ListShape):
        yield from shape_paths(shape.member, f"{path}[]")
    else:
        yield path, shape


def test_the_map_knows_no_member_that_the_model_does_not(sagemaker: ServiceModel) -> None:
    real = {path for shape in shapes(sagemaker).values() for path, _ in shape_paths(shape)}
    roots = {path.partition(".")[0].partition("[")[0] for path in real}
    known = {path for path, rule in paths(fields.PACKAGE) if not isinstance(rule, WHOLE)}
    assert not {path for path in known if path not in real}
    assert not set(fields.PACKAGE) - roots


def test_every_s3_location_and_image_of_the_model_has_the_rule_for_it(sagemaker: ServiceModel) -> None:
    rules = dict(paths(fields.PACKAGE))
    create = shapes(sagemaker)["CreateModelPackage"]
    dropped = ("ValidationSpecification", "SourceAlgorithmSpecification")
    for path, shape in shape_paths(create):
        if path.startswith(dropped):
            continue
        if shape.name in {"S3Uri", "S3ModelUri", "Url"}:
            assert isinstance(rules[path], Location), path
        if shape.name == "ContainerImage":
            assert isinstance(rules[path], Image), path
