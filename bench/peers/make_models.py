"""Models for the rows of imports: make_models.py DIR writes resnet50.onnx (100 MB) and bert_base.onnx (436 MB).

Random weights, PyTorch's own exporter (dynamo, opset 18, static batch of one, weights inside the file). What is there
already is kept. Takes about half a minute.
"""
import os
import sys

import clock

clock.pin(2)
import torch  # noqa: E402
from torch import nn  # noqa: E402


def unit(inputs, outputs, kernel, stride=1, active=True):
    parts = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([nn.ReLU()] if active else []))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside the identity, or beside a projection where the dims change."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.path = nn.Sequential(unit(inputs, width, 1), unit(width, width, 3, stride), unit(width, 4 * width, 1, active=False))
        change = stride != 1 or inputs != 4 * width
        self.skip = unit(inputs, 4 * width, 1, stride, active=False) if change else nn.Identity()

    def forward(self, x):
        return torch.relu(self.path(x) + self.skip(x))


def resnet50():
    stages, inputs = [], 64
    for number, (width, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for i in range(count):
            stages.append(Bottleneck(inputs, width, 2 if i == 0 and number > 0 else 1))
            inputs = 4 * width
    net = nn.Sequential(unit(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return net, (torch.randn(1, 3, 224, 224),), ["input"]


def bert_base():
    import transformers
    net = transformers.BertModel(transformers.BertConfig(attn_implementation="eager"))

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, input_ids, attention_mask):
            return self.net(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.randint(0, 30000, (1, 128))
    return Hidden(), (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"]


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for make in (resnet50, bert_base):
        path = os.path.join(folder, make.__name__ + ".onnx")
        if os.path.exists(path):
            continue
        torch.manual_seed(0)
        net, x, names = make()
        part = os.path.join(folder, "part-" + make.__name__ + ".onnx")
        with torch.no_grad():
            torch.onnx.export(net.eval(), x, part, input_names=names, output_names=["output"], opset_version=18,
                              dynamo=True, external_data=False, verbose=False)
        os.replace(part, path)


main()
