// The idx format of the MNIST files.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "tenon/types.h"

namespace tenon::data {

/// The array in `bytes`, one whole file: u8, i8, i16, i32, f32 or f64. `where` starts each message. kDataLoss when it
/// is truncated, kInvalidArgument when it is no idx file or has bytes after the elements.
Result<Literal> ParseIdx(std::span<const std::byte> bytes, std::string_view where);
/// A file, plain or gzipped (told by its content).
Result<Literal> ReadIdx(const std::string& path);
/// The bytes of a file. kInvalidArgument for another dtype or more than 255 dims, or a dim beyond 32 bits.
Result<std::string> WriteIdx(const Literal& literal);

}  // namespace tenon::data
