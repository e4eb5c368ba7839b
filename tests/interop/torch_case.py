"""A network that PyTorch exports, its inputs and dynamic axes. NETS: name -> Case, filled by torch_nets.py and
torch_sequence_nets.py."""
import dataclasses
import typing

import torch
from torch import nn


@dataclasses.dataclass
class Case:
    make: typing.Callable  # the module
    inputs: typing.Callable  # size -> tensors; size 2 exports, other sizes check the dynamic dims
    dynamic: tuple  # one {axis: name} an input
    exporter: str = "dynamo"
    opset: int = 18
    sizes: tuple = (2, 3)


NETS = {}


def net(inputs, dynamic, **options):
    def add(make):
        NETS[make.__name__] = Case(make, inputs, dynamic, **options)
        return make

    return add


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, *xs):
        return self.f(*xs)


def images(*shape):
    return lambda n: (torch.randn(n, *shape),)


def sequence(width):
    return lambda n: (torch.randn(n, n + 3, width),)


B = ({0: "batch"},)
BT = ({0: "batch", 1: "time"},)
