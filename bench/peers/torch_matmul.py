"""PyTorch and NumPy: one eager f32 product of two 512x512 matrices, one thread."""
import clock

clock.pin()
import numpy as np  # noqa: E402
import torch  # noqa: E402


def main():
    torch.set_num_threads(1)
    a, b = np.random.default_rng(0).random((2, 512, 512), np.float32)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    clock.report("torch", "eager_matmul_512", clock.median_us(lambda _: x @ y, 200, 10))
    clock.report("numpy", "eager_matmul_512", clock.median_us(lambda _: a @ b, 200, 10))


main()
