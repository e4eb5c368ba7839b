// Products that are too small or too thin for the library, and what follows a product.
#pragma once
#include <cstdint>

namespace tenon::cpu {

struct DenseKernels {
  /// z[n] = alpha * sum_k x[k * x_step] * y[k * ld + n] for n < N. y is read row by row.
  void (*gemv_rows)(float* z, const float* x, std::int64_t x_step, const float* y, std::int64_t ld, std::int64_t K,
                    std::int64_t N, float alpha);
  /// z[n * z_step] = alpha * sum_k x[k] * y[n * ld + k] for n < N: dot products with contiguous rows.
  void (*gemv_dots)(float* z, std::int64_t z_step, const float* x, const float* y, std::int64_t ld, std::int64_t K,
                    std::int64_t N, float alpha);
  /// z[m, n] = alpha * sum_k x[m * xm + k * xk] * y[k * yk + n * yn], any strides; row-major z with row step N.
  void (*small)(float* z, const float* x, std::int64_t xm, std::int64_t xk, const float* y, std::int64_t yk,
                std::int64_t yn, std::int64_t M, std::int64_t K, std::int64_t N, float alpha);
  void (*small_f64)(double* z, const double* x, std::int64_t xm, std::int64_t xk, const double* y, std::int64_t yk,
                    std::int64_t yn, std::int64_t M, std::int64_t K, std::int64_t N, double alpha);
  /// In place on rows x cols: + bias[col] (when not null), then max(., 0) (when relu).
  void (*bias_relu)(float* z, const float* bias, std::int64_t rows, std::int64_t cols, bool relu);
};
const DenseKernels& GetDenseKernels();

}  // namespace tenon::cpu
