"""Every operator that ONNX defines, in each of its versions, with each of its attributes and with all its inputs, is
known here: the reader may refuse the values that this test makes up, not the operator, an attribute or a number of inputs."""
import json
import re

import onnx
import pytest
from onnx import defs, helper

PLAIN = {"FLOAT": 1.0, "INT": 1, "STRING": "a", "FLOATS": [1.0], "INTS": [1], "STRINGS": ["a"]}
UNKNOWN = re.compile(r"has no attribute|inputs, expected|no such operator|the operator .*is not supported|attribute \".*\" is a |not known|came with|input \d+ is left out")
# Their inputs are checked when they are translated, by the number of tensors that they update.
LISTS = ("Adagrad", "Adam", "Momentum")
VERSIONS = [("", v) for v in range(1, 29)] + [("ai.onnx.ml", v) for v in range(1, 6)] + [("ai.onnx.preview.training", 1)]


def newest(domain, version):
    """The schemas that came with this version."""
    found = [s for s in defs.get_all_schemas_with_history() if s.domain == domain and s.since_version == version]
    return [s for s in found if not s.deprecated and s.name not in LISTS]


CASES = [case for case in VERSIONS if newest(*case)]  # not every version has brought an operator


def nodes(schema):
    least, most = schema.min_input, schema.max_input
    kinds = [("least", least, []), ("most", most if most < 100 else max(least, 1) + 2, [])]
    for name, attribute in schema.attributes.items():
        if attribute.type.name in PLAIN:
            kinds.append((name, least, [helper.make_attribute(name, PLAIN[attribute.type.name])]))
    for kind, count, attributes in kinds:
        name = f"{schema.name}.{kind}"
        node = helper.make_node(schema.name, [f"{name}.{i}" for i in range(count)], [f"{name}.y"], name=name, domain=schema.domain)
        node.attribute.extend(attributes)
        yield node


@pytest.mark.parametrize("domain,version", CASES)
def test_each_operator_and_attribute_is_known(domain, version, tenon, tmp_path):
    made = [node for schema in newest(domain, version) for node in nodes(schema)]
    graph = helper.make_graph(made, "all", [helper.make_tensor_value_info(i, 1, [1]) for n in made for i in n.input],
                              [helper.make_tensor_value_info(n.output[0], 1, None) for n in made])
    imports = {"": 18, domain: version}
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in imports.items()], ir_version=10)
    onnx.save(model, tmp_path / "all.onnx")
    refused = json.loads(tenon("inspect", tmp_path / "all.onnx", "--json"))["unsupported"]
    assert [line for line in refused if UNKNOWN.search(line)] == []
    # A line in front counts them, then one for each.
    assert not refused or int(re.search(r": (\d+) nodes cannot be translated", refused[0])[1]) == len(refused) - 1


def test_the_versions_are_those_that_onnx_has():
    assert max(s.since_version for s in defs.get_all_schemas_with_history() if s.domain == "") <= 28
