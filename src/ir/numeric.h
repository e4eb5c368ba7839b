// Literals as wide numbers: the few loads and stores on which reference evaluation, folding and tests stand.
#pragma once
#include <complex>
#include <vector>

#include "tenon/types.h"

namespace tenon::ir {

/// A rank-0 literal of that dtype; rounds to nearest, saturates integers, non-zero is true.
Literal ScalarLiteral(double value, DType dtype);

/// The elements widened. Real dtypes and bool (0, 1) give doubles (exact but for 64-bit integers beyond 2^53) or
/// integers (floats truncate; NaN is 0; saturating); complex ones give their real part in doubles.
std::vector<double> ToDoubles(const Literal& literal);
std::vector<std::int64_t> ToInts(const Literal& literal);  // u64 above 2^63-1 keeps its bits
std::vector<std::complex<double>> ToComplex(const Literal& literal);

/// The reverse: rounded to nearest even for floats; integers from doubles truncate toward zero and saturate, NaN is 0;
/// integers from integers wrap; non-zero is true. The sizes must match (kInternal otherwise).
Literal FromDoubles(DType dtype, std::vector<std::int64_t> dims, const std::vector<double>& values);
Literal FromInts(DType dtype, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values);
Literal FromComplex(DType dtype, std::vector<std::int64_t> dims, const std::vector<std::complex<double>>& values);

/// Every element converted: float to integer truncates and saturates, integer to integer wraps, to bool is != 0,
/// complex to real drops the imaginary part, f8 rounds to nearest even and saturates (its NaN for NaN).
/// From and to strings is kInvalidArgument.
Result<Literal> Convert(const Literal& literal, DType dtype);

}  // namespace tenon::ir
