// NumPy's .npy format.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/types.h"

namespace tenon::npy {

/// The array in `bytes`, which must be one whole file. `where` starts each message. Little and big endian, C and
/// Fortran order (transposed into row-major). bool, ints, f16, f32, f64, c64, c128 keep their type; byte strings (S)
/// and unicode (U, to UTF-8) become kString without the padding zeros. kUnimplemented for Python objects (they would
/// need pickle, which runs code), structured types, dates and long double; kDataLoss when the file is truncated;
/// kInvalidArgument for all else that is wrong. Memory for elements is taken after their bytes are seen.
Result<Literal> ParseNpy(std::span<const std::byte> bytes, std::string_view where);
Result<Literal> ReadNpy(const std::string& path);

/// The bytes of a file, version 1.0, C order, little endian. Strings are written as U when all are valid UTF-8, else as
/// S; trailing zero characters are lost as in NumPy. What NumPy lacks is written by its bits: bf16 as uint16, f8 as
/// uint8; i4 and u4 are unpacked to int8 and uint8.
std::string WriteNpy(const Literal& literal);
Status WriteNpyFile(const std::string& path, const Literal& literal);  // atomic

inline constexpr std::size_t kMaxNpyRank = 64;  // as in NumPy

/// What stands before the elements.
struct NpyHeader {
  char kind = 'f';        // b i u f c S U
  std::size_t width = 4;  // bytes of an element in the file
  bool swap = false;      // big endian
  bool fortran = false;   // first index fastest
  DType dtype = DType::kF32;
  std::vector<std::int64_t> dims;  // at most kMaxNpyRank
  std::size_t offset = 0;          // of the first element
  std::size_t nbytes = 0;          // of all elements in the file
  /// The elements in the file are those of a Literal.
  bool plain() const { return !swap && !fortran && kind != 'b' && kind != 'S' && kind != 'U'; }
};

/// Bytes that ParseNpyHeader needs to see, from the first 12 of a file.
Result<std::size_t> NpyHeaderSize(std::span<const std::byte> first12, std::string_view where);
Result<NpyHeader> ParseNpyHeader(std::span<const std::byte> bytes, std::string_view where);
/// `elements` has header.nbytes bytes.
Result<Literal> DecodeNpy(const NpyHeader& header, std::span<const std::byte> elements, std::string_view where);
/// The header of WriteNpy and the elements: those of the literal, or `storage` when they had to be converted.
struct NpyParts {
  std::string header;
  std::string storage;
  bool converted = false;
  std::string_view elements(const Literal& literal) const {
    return converted ? std::string_view(storage)
                     : std::string_view(reinterpret_cast<const char*>(literal.raw().data()), literal.nbytes());
  }
};
NpyParts EncodeNpy(const Literal& literal);

}  // namespace tenon::npy
