"""Small networks, one for each family of layers that PyTorch's exporters write; those over sequences are in
torch_sequence_nets.py."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from torch_case import B, BT, Fn, images, net, sequence


@net(images(3, 12, 12), B)
def conv2d_variants():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, dilation=2, padding=2, groups=4, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 6, (1, 3), padding="same", padding_mode="reflect"),
                         nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5))


@net(lambda n: (torch.randn(n, 4, 20 + n),), ({0: "batch", 2: "time"},))
def conv1d():
    return nn.Sequential(nn.Conv1d(4, 6, 5, padding=2), nn.ELU(), nn.Conv1d(6, 6, 3, dilation=3, groups=6), nn.AdaptiveAvgPool1d(1))


@net(images(2, 6, 6, 6), B)
def conv3d():
    return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.AvgPool3d(2), nn.BatchNorm3d(4))


@net(images(3, 7, 7), B)
def conv_transpose():
    return nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.PReLU(4), nn.ConvTranspose2d(4, 2, 4, stride=2, groups=2))


@net(images(4, 9, 9), B)
def pools():
    return Fn(lambda x: (F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.adaptive_avg_pool2d(x, (3, 3)), F.adaptive_max_pool2d(x, 1)))


@net(images(6, 5, 5), B)
def norms():
    return nn.Sequential(nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True), nn.BatchNorm2d(6), nn.LayerNorm([6, 5, 5]), nn.LocalResponseNorm(3))


@net(sequence(12), BT)
def rms_norm():
    return nn.Sequential(nn.RMSNorm(12), nn.Linear(12, 12), nn.LayerNorm(12, bias=False), Fn(lambda x: F.normalize(x, dim=-1)))


@net(lambda n: (torch.randint(0, 20, (n, n + 4)),), BT)
def embeddings():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(20, 8, padding_idx=0), nn.Embedding(16, 8)

        def forward(self, ids):
            return self.words(ids) * math.sqrt(8) + self.places(torch.arange(ids.shape[1]))

    return Net()


@net(lambda n: (torch.randint(0, 12, (4 * n,)),), ({0: "n"},), sizes=(2, 3))
def embedding_bag():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(12, 5, mode="mean")

        def forward(self, ids):
            return self.bag(ids.view(4, -1))

    return Net()


@net(lambda n: (torch.randn(n, 3, 4 + n, 5 + n),), ({0: "batch", 2: "height", 3: "width"},))
def interpolate_modes():
    return Fn(lambda x: tuple(F.interpolate(x, size=(9, 11), mode=m, **o) for m, o in (("nearest", {}), ("bilinear", {"align_corners": False}), ("bilinear", {"align_corners": True}), ("bicubic", {"align_corners": False}))))


@net(lambda n: (torch.randn(1, 3, 4 + n, 6),), ({2: "height"},))
def interpolate_scale():
    return Fn(lambda x: (F.interpolate(x, scale_factor=2, mode="nearest"), F.interpolate(x, scale_factor=(3.0, 2.0), mode="bilinear")))


@net(lambda n: (torch.randn(1, 3, 4 + n, 6),), ({2: "height"},))
def interpolate_fraction():
    return Fn(lambda x: F.interpolate(x, scale_factor=(1.5, 2.0), mode="bilinear"))


@net(lambda n: (torch.randn(n, 3, 4 + n, 6), torch.rand(n, 2 + n, 5, 2) * 2.4 - 1.2), ({0: "batch", 2: "height"}, {0: "batch", 1: "rows"}))
def grid_sample():
    return Fn(lambda x, g: (F.grid_sample(x, g, align_corners=False), F.grid_sample(x, g, mode="nearest", padding_mode="border", align_corners=True), F.grid_sample(x, g, padding_mode="reflection", align_corners=False)))


@net(lambda n: (torch.randn(n, 2, 3),), B, opset=20)
def affine_grid():
    return Fn(lambda theta: F.affine_grid(theta, [theta.shape[0], 1, 4, 5], align_corners=False))


@net(images(8, 4, 4), B)
def pixel_shuffle():
    return Fn(lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), F.channel_shuffle(x, 4)))


@net(images(5, 4), B)
def gather_scatter():
    def f(x):
        i = x[:, :3].mul(10).abs().long() % 5
        return torch.gather(x, 1, i), x.index_select(1, torch.tensor([4, 0, 2])), x.scatter(1, i[:, :1], -1.0)

    return Fn(f)


# One size: PyTorch's dynamo exporter makes the batch of take_along_dim static, the old one has no translation for it.
@net(images(5, 4), ({},), sizes=(2,))
def take_along_dim():
    return Fn(lambda x: torch.take_along_dim(x, x[:, :3].mul(10).abs().long() % 5, 1))


@net(lambda n: (torch.randn(n, 5, 4), torch.tensor([[0, 1, 2, 4], [1, 0, 3, 2]]).expand(n, 2, 4)), ({0: "batch"}, {0: "batch"}))
def scatter_add():
    return Fn(lambda x, i: (x.scatter_add(1, i, torch.ones_like(x[:, :2])), x.scatter_reduce(1, i, torch.full_like(x[:, :2], 0.3), "amax")))


@net(lambda n: (torch.randn(n, 3, 4), torch.randn(n, 4, 5)), ({0: "batch"}, {0: "batch"}))
def einsum():
    return Fn(lambda x, y: (torch.einsum("bij,bjk->bik", x, y), torch.einsum("bij->bji", x), torch.einsum("bij,bjk->b", x, y), torch.einsum("bii->bi", x[:, :, :3])))


@net(images(6, 8), B)
def slicing():
    return Fn(lambda x: (x[:, 1:-1:2, ::3], x[..., -1], x[:, None, 2:4], x[:, [0, 3, 5]], x[:, :, torch.tensor([1, 1, 0])], x.flip(1), x[:, -3:].unfold(2, 4, 2)))


@net(images(6, 5), B)
def index_put():
    def f(x):
        y, z = x.clone(), x.clone()
        y[:, torch.tensor([0, 2])] = 1.5
        z[:, 1:3] = -z[:, 3:5]
        return y, z, x.masked_fill(x > 0.5, 0), torch.where(x < 0, x * 2, x)

    return Fn(f)


@net(images(5, 6), B)
def cumulative():
    return Fn(lambda x: (x.cumsum(1), x.cumsum(-1), x.flip(1).cumsum(1)))


@net(images(7), B)
def topk_sort():
    return Fn(lambda x: (*torch.topk(x, 3), *torch.sort(x, dim=1, descending=True), x.argmax(1), x.argmin(1), torch.argsort(x, dim=1)))


@net(images(5, 6), B)
def reductions():
    return Fn(lambda x: (x.mean((1, 2)), x.var(1), x.std(2, unbiased=False), x.amax(1), x.prod(2), x.norm(dim=1), torch.logsumexp(x, 2), (x > 0).any(1), (x > -3).all(2), x.sum(1, keepdim=True)))


@net(images(5, 6), B)
def activations():
    return Fn(lambda x: (F.gelu(x), F.gelu(x, approximate="tanh"), F.mish(x), F.hardswish(x), F.hardsigmoid(x), F.softplus(x), F.selu(x), F.celu(x, 0.7), F.glu(x, 2), F.hardtanh(x, -0.5, 0.7), F.softmin(x, 1), F.log_softmax(x, 2),
                         F.tanhshrink(x), F.threshold(x, 0.1, 20), F.relu6(x), F.logsigmoid(x)))


@net(images(5, 6), B)
def elementwise():
    return Fn(lambda x: (x.erf(), x.sin() * x.cos(), x.abs().sqrt().log1p(), x.exp().rsqrt(), torch.atan2(x, x + 0.5), x.round(), x.floor().int(), torch.remainder(x, 0.7), torch.fmod(x, 0.7), x.clamp(min=-0.3), x.sign(), x.expm1(),
                         torch.maximum(x, -x), x.pow(3), x.sinh().asinh(), x.reciprocal().clamp(-9, 9), x.trunc()))


@net(images(4, 6, 6), B)
def padding():
    return Fn(lambda x: (F.pad(x, (1, 2)), F.pad(x, (1, 1, 2, 2), mode="reflect"), F.pad(x, (1, 2, 0, 1), mode="replicate"), F.pad(x, (2, 2), value=3.5), F.pad(x, (-1, -1)), F.pad(x, (1, 1, 1, 1), mode="circular")))


@net(images(4, 6), B)
def shapes():
    return Fn(lambda x: (torch.cat((x, x * 2), 1), torch.stack((x, x), 1), *x.split(2, 1), *x.chunk(3, 2), x.repeat(1, 2, 1), x.expand(2, *x.shape), x.roll(1, 2), x.movedim(1, 2), x.flatten(1), x.tril() + x.triu(1), x.tile(1, 1, 2)))


@net(lambda n: (torch.randn(n, 4), torch.tensor(float(n))), ({0: "batch"}, {}))
def control_cond():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x, t):
            return torch.cond(t > 2.5, lambda x: self.a(x).relu(), lambda x: self.b(x).tanh(), (x,))

    return Net()


@net(lambda n: (torch.randn(n, 4), torch.tensor(n)), ({0: "batch"}, {}), exporter="old", opset=17, sizes=(2, 5))
def control_loop():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(4, 4)

        def forward(self, x, n: int):
            for _ in range(int(n)):
                x = torch.tanh(self.step(x))
            return x

    return torch.jit.script(Net())


@net(lambda n: (torch.randn(n, 48 + 16 * n),), BT)
def stft():
    return Fn(lambda x: torch.view_as_real(torch.stft(x, 16, 8, window=torch.hann_window(16), return_complex=True, center=False)))


@net(images(12), B)
def dft():
    return Fn(lambda x: (torch.view_as_real(torch.fft.rfft(x)), torch.view_as_real(torch.fft.fft(x)), torch.view_as_real(torch.fft.ifft(torch.fft.fft(x)))))


@net(images(12), B)
def dft_inverse_real():
    return Fn(lambda x: torch.fft.irfft(torch.fft.rfft(x), 12))


@net(images(6, 8, 8), B)
def unfold():
    return Fn(lambda x: (F.unfold(x, 3, padding=1, stride=2), x.unfold(3, 3, 2)))


@net(images(6, 8, 8), B)
def fold():
    return Fn(lambda x: F.fold(F.unfold(x, 3, padding=1, stride=2), (8, 8), 3, padding=1, stride=2))


@net(lambda n: (torch.randn(n, 5), torch.randn(n, 5)), ({0: "batch"}, {0: "batch"}))
def losses():
    return Fn(lambda x, y: (F.mse_loss(x, y), F.smooth_l1_loss(x, y), F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), F.cross_entropy(x, y.argmax(1)), F.cosine_similarity(x, y), F.binary_cross_entropy_with_logits(x, y.sigmoid())))


@net(lambda n: (torch.randn(n, 4, 4),), B)
def linear_algebra():
    return Fn(lambda x: (x.matmul(x.mT), torch.baddbmm(x, x, x, beta=0.5, alpha=0.3), x.diagonal(dim1=1, dim2=2), torch.outer(x[0, 0], x[0, 1]), torch.bmm(x, x)))


@net(lambda n: (torch.randn(n, 4, 4),), B)
def determinant():
    return Fn(torch.linalg.det)


@net(lambda n: (torch.randn(n + 4, 4), torch.rand(n + 4) > 0.4), ({0: "n"}, {0: "n"}), exporter="old", opset=17)
def boolean_mask():
    return Fn(lambda x, m: (x[m], torch.nonzero(m)))


@net(lambda n: (torch.randint(-20, 20, (n, 5)), torch.randint(1, 7, (n, 5))), ({0: "batch"}, {0: "batch"}))
def integers():
    return Fn(lambda x, y: (x // y, x % y, x & y, x | y, x ^ y, torch.div(x, y, rounding_mode="trunc"), x.float() / y, (x * y).clamp(-9, 9), x << 1, x.bitwise_not(), F.one_hot(y, 8)))


@net(images(6, 9), B)
def weight_norm():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(9, 7)), nn.Dropout(0.3), nn.utils.parametrizations.spectral_norm(nn.Linear(7, 5)))
