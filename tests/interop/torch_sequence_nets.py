"""Small recurrent and attention networks for PyTorch's exporters."""
import torch
from torch import nn
from torch.nn import functional as F

from torch_case import B, BT, Fn, net, sequence


def recurrent(kind, **options):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = kind(4, 6, batch_first=True, **options)

        def forward(self, x):
            y, state = self.rnn(x)
            return y, *(state if isinstance(state, tuple) else (state,))

    return Net()


# The dynamo exporter unrolls torch.nn.RNN over the time, which is static then (for LSTM and GRU mostly, too).
@net(lambda n: (torch.randn(n, 5, 4),), B)
def rnn():
    return recurrent(nn.RNN, nonlinearity="relu", num_layers=2)


@net(sequence(4), BT, exporter="old", opset=17)
def rnn_old():
    return recurrent(nn.RNN, nonlinearity="tanh", num_layers=2, bidirectional=True)


@net(lambda n: (torch.randn(n, 5, 4),), B)
def lstm():
    return recurrent(nn.LSTM)


@net(lambda n: (torch.randn(n, 5, 4),), B)
def lstm_bidirectional():
    return recurrent(nn.LSTM, num_layers=2, bidirectional=True)


@net(sequence(4), BT, exporter="old", opset=17)
def lstm_bidirectional_old():
    return recurrent(nn.LSTM, num_layers=2, bidirectional=True)


@net(lambda n: (torch.randn(n, 5, 4),), B)
def gru_bidirectional():
    return recurrent(nn.GRU, num_layers=2, bidirectional=True)


@net(lambda n: (torch.randn(n, 7, 4), torch.tensor([7, 5, 3, 2, 1][:n])), ({0: "batch", 1: "time"}, {0: "batch"}), exporter="old", opset=17)
def lstm_packed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 6, batch_first=True, bidirectional=True)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            y, (h, _) = self.rnn(packed)
            return nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0], h

    return Net()


@net(lambda n: (torch.randn(n, n + 3, 4),), BT, exporter="old", opset=17)
def gru_old():
    return recurrent(nn.GRU)


@net(sequence(16), BT)
def encoder_layer():
    return nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")


@net(lambda n: (torch.randn(n, 3 + n, 16), torch.arange(3 + n)[None] >= torch.tensor([5, 4, 3, 2])[:n, None]), ({0: "batch", 1: "time"},) * 2)
def encoder_padding_mask():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)

        def forward(self, x, mask):
            return self.layer(x, src_key_padding_mask=mask)

    return Net()


@net(lambda n: (torch.randn(n, 3 + n, 16), torch.randn(n, 1 + n, 16)), ({0: "batch", 1: "time"}, {0: "batch", 1: "memory"}))
def decoder_causal():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)

        def forward(self, x, memory):
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            return self.layer(x, memory, tgt_mask=mask)

    return Net()


@net(lambda n: tuple(torch.randn(n, 4, n + 4, 8) for _ in range(3)), ({0: "batch", 2: "time"},) * 3)
def sdpa_causal():
    return Fn(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))


@net(lambda n: (torch.randn(n, 4, 5, 8), torch.randn(n, 4, 7, 8), torch.randn(n, 4, 7, 8), torch.randn(n, 1, 5, 7)), ({0: "batch"},) * 4)
def sdpa_masked():
    return Fn(lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=0.3))


@net(lambda n: tuple(torch.randn(n, 4, 5, 8) for _ in range(3)), ({0: "batch"},) * 3, opset=23)
def sdpa_opset23():
    return Fn(lambda q, k, v: F.scaled_dot_product_attention(q, k, v))


@net(lambda n: (torch.randn(n, 3 + n, 16), torch.randn(n, 1 + n, 12)), ({0: "batch", 1: "time"}, {0: "batch", 1: "memory"}))
def attention_cross():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mha = nn.MultiheadAttention(16, 4, kdim=12, vdim=12, batch_first=True)

        def forward(self, x, memory):
            return self.mha(x, memory, memory)

    return Net()


@net(sequence(16), BT)
def attention_rotary():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(16, 48)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = self.qkv(x).view(b, t, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
            angle = torch.arange(t)[:, None] * (10000.0 ** (-torch.arange(4) / 4))[None]
            cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)

            def turn(z):
                return z * cos + torch.cat((-z[..., 4:], z[..., :4]), -1) * sin

            return F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True).transpose(1, 2).reshape(b, t, 16)

    return Net()
