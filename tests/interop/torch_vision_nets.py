"""Small detection networks: non-maximum suppression, regions of interest, deformable convolution, and what stands around
them. The boxes' number is dynamic, and so is what suppression leaves."""
import torch
from torch import nn

import torch_vision_ops  # noqa: F401  declares torch.ops.torchvision
from torch_case import Fn, net

ops = torch.ops.torchvision


def boxes(count, size):
    corner = torch.rand(count, 2) * size * 0.6
    return torch.cat((corner, corner + 1 + torch.rand(count, 2) * size * 0.4), 1)


def regions(n, images=2, size=16.0):
    """[3 n, 5]: the image, then a box; some reach over the border."""
    return torch.cat((torch.arange(3 * n)[:, None] % images, boxes(3 * n, size) - 2), 1)


@net(lambda n: (boxes(8 * n, 10), torch.rand(8 * n)), ({0: "boxes"}, {0: "boxes"}), sizes=(2, 3, 5))
def nms():
    def f(b, s):
        keep = ops.nms(b, s, 0.3)
        return keep, b[keep], s[keep]

    return Fn(f)


@net(lambda n: (boxes(8 * n, 10), torch.rand(8 * n), torch.arange(8 * n) % 3), ({0: "boxes"},) * 3, sizes=(2, 4))
def nms_of_classes():
    """Boxes of each class moved to a place of their own, as detectors do."""

    def f(b, s, c):
        keep = ops.nms(b + (c.to(b) * (b.max() + 1))[:, None], s, 0.4)
        return b[keep], c[keep]

    return Fn(f)


@net(lambda n: (boxes(8 * n, 10), torch.rand(8 * n)), ({0: "boxes"}, {0: "boxes"}), sizes=(2, 3))
def nms_above_score():
    def f(b, s):
        there = torch.nonzero(s > 0.3).squeeze(1)
        keep = ops.nms(b[there], s[there], 0.5)
        return there[keep], b[there][keep] * 2

    return Fn(f)


@net(lambda n: (torch.randn(2, 3, 16, 12 + n), regions(n)), ({3: "width"}, {0: "regions"}), sizes=(2, 3))
def roi_align():
    return Fn(lambda x, r: (ops.roi_align(x, r, 1.0, 4, 3, 2, True), ops.roi_align(x, r, 0.5, 2, 2, 3, False), ops.roi_align(x, r, 1.0, 3, 3, 0, True)))


@net(lambda n: (torch.randn(n, 4, 7, 9), torch.randn(n, 18, 7, 9) * 0.7), ({0: "batch"}, {0: "batch"}), opset=19, sizes=(2, 3))
def deform_conv():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b = nn.Parameter(torch.randn(6, 4, 3, 3) * 0.2), nn.Parameter(torch.randn(6))

        def forward(self, x, offset):
            mask = torch.sigmoid(offset[:, :9])
            return ops.deform_conv2d(x, self.w, offset, mask, self.b, 1, 1, 1, 1, 1, 1, 1, 1, True)

    return Net()


@net(lambda n: (torch.randn(1, 3, 16 + 4 * n, 24),), ({2: "height"},), sizes=(2, 3))
def two_stage_detector():
    """Proposals by a small convolution, the best of them, suppression, regions, a head over each."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
            self.score, self.box = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 4, 1)
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 9, 16), nn.ReLU(), nn.Linear(16, 5))

        def forward(self, x):
            f = self.body(x)
            height, width = f.shape[2:]
            y = (torch.arange(height, dtype=torch.float32) + 0.5)[:, None].expand(height, width)
            x = (torch.arange(width, dtype=torch.float32) + 0.5)[None].expand(height, width)
            middle = torch.stack((x, y), -1).reshape(-1, 2) * 4
            change = self.box(f)[0].permute(1, 2, 0).reshape(-1, 4)
            middle, size = middle + change[:, :2] * 4, torch.exp(change[:, 2:].clamp(max=2)) * 6
            found = torch.cat((middle - size / 2, middle + size / 2), 1)
            score, best = torch.topk(self.score(f).flatten().sigmoid(), 12)
            found = found[best]
            keep = ops.nms(found, score, 0.5)
            found = found[keep]
            r = torch.cat((torch.zeros_like(found[:, :1]), found), 1)
            return found, score[keep], self.head(ops.roi_align(f, r, 0.25, 3, 3, 2, True)).softmax(1)

    return Net()
