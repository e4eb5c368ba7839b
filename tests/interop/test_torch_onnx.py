"""Networks that the real torch.onnx.export writes give PyTorch's numbers here, on both backends, also at sizes other
than those of the export."""
import warnings

import numpy as np
import pytest
import torch
import torch_nets  # noqa: F401  registers
import torch_sequence_nets  # noqa: F401  registers
import torch_vision_nets  # noqa: F401  registers
import torch_vision_ops
from torch_case import NETS

warnings.filterwarnings("ignore")


def numbers(outputs):
    if isinstance(outputs, torch.Tensor):
        outputs = [outputs]
    return [t.detach().numpy() for t in outputs]


def export(case, model, path, inputs, outputs):
    names = [f"x{i}" for i in range(len(inputs))]
    if case.exporter == "dynamo":
        torch.onnx.export(model, inputs, str(path), dynamo=True, opset_version=case.opset, input_names=names, output_names=outputs, dynamic_shapes=wrapped(model, case.dynamic), custom_translation_table=torch_vision_ops.translations(), verbose=False)
    else:
        torch.onnx.export(model, inputs, str(path), dynamo=False, opset_version=case.opset, input_names=names, output_names=outputs, dynamic_axes={n: d for n, d in zip(names, case.dynamic) if d})
    return names


def wrapped(model, dynamic):
    """The shape of dynamic_shapes follows the signature: *xs is one tuple."""
    return (dynamic,) if type(model).__name__ == "Fn" else dynamic


@pytest.mark.parametrize("name", sorted(NETS))
def test_torch_export_through_us(name, tenon, tmp_path):
    case = NETS[name]
    torch.manual_seed(7)
    model = case.make().eval()
    inputs = case.inputs(case.sizes[0])
    with torch.no_grad():
        count = len(numbers(model(*inputs)))
        for key, value in model.named_buffers():  # statistics away from their start
            if "running" in key:
                value.uniform_(0.5, 1.5)
    names = export(case, model, tmp_path / "m.onnx", inputs, [f"y{i:02}" for i in range(count)])
    for size in case.sizes:
        inputs = case.inputs(size)
        with torch.no_grad():
            want = numbers(model(*inputs))
        np.savez(tmp_path / "in.npz", **{n: t.numpy() for n, t in zip(names, inputs)})
        for backend in ("cpu", "ref"):
            tenon("run", tmp_path / "m.onnx", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz", "--backend", backend)
            out = np.load(tmp_path / "out.npz")
            got = [out[k] for k in sorted(out.files)]
            assert len(got) == len(want)
            for g, w in zip(got, want):
                assert g.dtype == w.dtype and g.shape == w.shape
                np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5, err_msg=f"{name} {backend} size {size}")


def test_there_are_sixty_and_one_of_one_size():
    assert len(NETS) >= 60
    assert [n for n, case in NETS.items() if len(set(case.sizes)) < 2 or not any(case.dynamic)] == ["take_along_dim"]
