// Products of i32 whose factors fit in 16 bits, as those of quantized models do. Sums wrap modulo 2^32.
#pragma once
#include <cstdint>

namespace tenon::cpu {

struct IntegerKernels {
  /// Columns of a panel.
  std::int64_t columns;
  /// out[i] = in[i]; false when an element does not fit.
  bool (*narrow)(std::int16_t* out, const std::int32_t* in, std::int64_t n);
  /// c[m * columns + j] = sum over k of a[m * lda + k] * panel[k / 2][j][k % 2] for m < M, k < 2 * pairs.
  void (*product)(std::int32_t* c, const std::int16_t* a, std::int64_t lda, const std::int16_t* panel,
                  std::int64_t pairs, std::int64_t M);
  /// y[c] = sum over taps of x[tap + c] * w[t * channels + c], t being the place of the tap in `weights`.
  void (*depthwise)(std::int32_t* y, const std::int32_t* x, const std::int32_t* w, const std::int64_t* taps,
                    const std::int64_t* weights, std::int64_t count, std::int64_t channels);
};
const IntegerKernels& GetIntegerKernels();

}  // namespace tenon::cpu
