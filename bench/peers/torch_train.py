"""PyTorch: the bare SGD step. torch_train.py mlp | cnn | cnn_channels_last

The convnet: conv 3x3 to 32, relu, max-pool 2, conv 3x3 to 64, relu, max-pool 2, flatten, dropout 0.5, dense 10; batch 64.
"""
import sys

import clock

clock.pin()
import torch  # noqa: E402
from torch import nn  # noqa: E402


def network(model):
    if model == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10))


def main():
    model, _, layout = sys.argv[1].partition("_")
    batch, steps = (32, 2000) if model == "mlp" else (64, 100)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory = torch.channels_last if layout else torch.contiguous_format
    net = network(model).train()
    images, labels = clock.digits(model, batch * steps)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    if model == "cnn":
        net = net.to(memory_format=memory)
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=memory)
    optimizer, loss_of = torch.optim.SGD(net.parameters(), 0.01), nn.CrossEntropyLoss()
    loss = None

    def step(i):
        nonlocal loss
        optimizer.zero_grad()
        loss = loss_of(net(x[i * batch:(i + 1) * batch]), y[i * batch:(i + 1) * batch])
        loss.backward()
        optimizer.step()

    us = clock.median_us(step, steps, 10)
    clock.report("torch_channels_last" if layout else "torch", f"{model}_sgd_step", us, loss=float(loss))


main()
