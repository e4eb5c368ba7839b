// The header of an .npy file:
//   bytes 0-5   "\x93NUMPY"
//   bytes 6, 7  major and minor version: 1.0, 2.0 or 3.0
//   then        the length of the text, little endian: 2 bytes in version 1, else 4
//   then        the text: a Python dict of three keys, padded with spaces to a multiple of 16 or 64, and "\n", as
//               {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// descr is byte order (< little, > big, | none, = ours), kind and bytes per element (characters of 4 bytes for U).
#include <cctype>
#include <charconv>
#include <cstring>

#include "base/status_macros.h"
#include "tensor/npy.h"

namespace tenon::npy {
namespace {

constexpr std::size_t kMaxHeader = std::size_t{1} << 20;

Status Bad(std::string_view where, const std::string& what) {
  return Status(Code::kInvalidArgument, std::string(where) + ": " + what);
}

// Reads the dict. Errors are remembered and looked at once, at the end.
class HeaderText {
 public:
  explicit HeaderText(std::string_view text) : text_(text) {}
  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  char Peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Take(char c) {
    if (Peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void Expect(char c) { ok_ = Take(c) && ok_; }
  bool AtEnd() { return Peek() == '\0' && at_ == text_.size(); }
  std::string_view Quoted() {
    const char quote = Take('\'') ? '\'' : '"';
    if (quote == '"') Expect('"');
    const std::size_t end = text_.find(quote, at_);
    if (!ok_ || end == std::string_view::npos) return Fail();
    const std::string_view out = text_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }
  bool Bool() {
    Peek();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    Fail();
    return false;
  }
  std::vector<std::int64_t> Tuple() {
    std::vector<std::int64_t> out;
    Expect('(');
    while (ok_ && !Take(')')) {
      std::int64_t n = 0;
      Peek();
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
      if (error != std::errc()) Fail();
      at_ = static_cast<std::size_t>(end - text_.data());
      Take('L');  // a long integer of Python 2
      out.push_back(n);
      if (!Take(',') && Peek() != ')') Fail();
    }
    return out;
  }
  std::string_view Fail() {
    ok_ = false;
    return {};
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

Status ParseDescr(std::string_view descr, std::string_view where, NpyHeader& header) {
  const std::string quoted = "'" + std::string(descr.substr(0, 40)) + "'";
  const auto unsupported = [&](const std::string& why) {
    return Status(Code::kUnimplemented, std::string(where) + ": got dtype " + quoted + ": " + why);
  };
  std::string_view rest = descr;
  const bool has_order = !rest.empty() && std::strchr("<>|=", rest[0]) != nullptr;
  const char order = has_order ? rest[0] : '|';
  if (has_order) rest.remove_prefix(1);
  if (rest.empty()) return Bad(where, "got dtype " + quoted + ", expected one such as '<f4'");
  header.kind = rest[0];
  rest.remove_prefix(1);
  if (header.kind == 'O') return unsupported("Python objects need pickle, which runs code; save numbers or strings");
  if (header.kind == 'V') return unsupported("raw or structured records; save each field as an array of its own");
  if (header.kind == 'M' || header.kind == 'm') return unsupported("dates and times; save them as int64");
  if (header.kind == '?') {
    header.kind = 'b';
    rest = rest.empty() ? "1" : rest;
  }
  std::uint32_t n = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
  if (error != std::errc() || end != rest.data() + rest.size() || n > (1U << 28))
    return Bad(where, "got dtype " + quoted + ", expected one such as '<f4'");
  header.width = header.kind == 'U' ? std::size_t{4} * n : n;
  header.swap = order == '>' && (header.kind == 'U' || header.width > 1) && header.kind != 'S';
  if (header.kind == 'S' || header.kind == 'a' || header.kind == 'U') {
    if (header.kind == 'a') header.kind = 'S';
    header.dtype = DType::kString;
    return {};
  }
  struct Row {
    char kind;
    std::size_t width;
    DType dtype;
  };
  static constexpr Row kRows[] = {{'b', 1, DType::kBool}, {'i', 1, DType::kI8},   {'i', 2, DType::kI16},
                                  {'i', 4, DType::kI32},  {'i', 8, DType::kI64},  {'u', 1, DType::kU8},
                                  {'u', 2, DType::kU16},  {'u', 4, DType::kU32},  {'u', 8, DType::kU64},
                                  {'f', 2, DType::kF16},  {'f', 4, DType::kF32},  {'f', 8, DType::kF64},
                                  {'c', 8, DType::kC64},  {'c', 16, DType::kC128}};
  for (const Row& row : kRows)
    if (row.kind == header.kind && row.width == header.width) {
      header.dtype = row.dtype;
      return {};
    }
  if (header.kind == 'f' || header.kind == 'c') return unsupported("no such float here; save f2, f4, f8, c8 or c16");
  return Bad(where, "got dtype " + quoted + ", expected one such as '<f4'");
}

}  // namespace

Result<std::size_t> NpyHeaderSize(std::span<const std::byte> first12, std::string_view where) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(first12[i]); };
  if (first12.size() < 6 || std::memcmp(first12.data(), "\x93NUMPY", 6) != 0)
    return Bad(where, "is no .npy file: it does not start with \\x93NUMPY");
  if (first12.size() < 10) return Status(Code::kDataLoss, std::string(where) + ": truncated in the header");
  const std::size_t major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0)
    return Bad(where, "got .npy version " + std::to_string(major) + "." + std::to_string(byte(7)) +
                          ", expected 1.0, 2.0 or 3.0");
  std::size_t length = byte(8) | (byte(9) << 8);
  if (major > 1) {
    if (first12.size() < 12) return Status(Code::kDataLoss, std::string(where) + ": truncated in the header");
    length |= (byte(10) << 16) | (byte(11) << 24);
  }
  if (length > kMaxHeader)
    return Bad(where, "claims a header of " + std::to_string(length) + " bytes, expected at most " +
                          std::to_string(kMaxHeader));
  return length + (major == 1 ? 10 : 12);
}

Result<NpyHeader> ParseNpyHeader(std::span<const std::byte> bytes, std::string_view where) {
  NpyHeader header;
  TENON_ASSIGN_OR_RETURN(header.offset, NpyHeaderSize(bytes, where));
  if (bytes.size() < header.offset) return Status(Code::kDataLoss, std::string(where) + ": truncated in the header");
  const std::size_t start = std::to_integer<int>(bytes[6]) == 1 ? 10 : 12;
  HeaderText text({reinterpret_cast<const char*>(bytes.data()) + start, header.offset - start});
  bool descr = false, order = false, shape = false;
  text.Expect('{');
  while (text.ok() && !text.Take('}')) {
    const std::string_view key = text.Quoted();
    text.Expect(':');
    if (!text.ok()) break;
    if (key == "descr" && !descr) {
      if (text.Take('['))
        return Status(Code::kUnimplemented,
                      std::string(where) + ": holds structured records; save each field as an array of its own");
      const std::string_view value = text.Quoted();
      if (!text.ok()) break;
      TENON_RETURN_IF_ERROR(ParseDescr(value, where, header));
      descr = true;
    } else if (key == "fortran_order" && !order) {
      header.fortran = text.Bool();
      order = true;
    } else if (key == "shape" && !shape) {
      header.dims = text.Tuple();
      shape = true;
    } else {
      return Bad(where, "got key '" + std::string(key.substr(0, 40)) +
                            "' in the header, expected descr, fortran_order and shape once each");
    }
    if (text.Take(',')) continue;
    text.Expect('}');
    break;
  }
  if (!text.ok() || !text.AtEnd())
    return Bad(where,
               "the header is no dict of descr, fortran_order and shape (offset " + std::to_string(text.at()) + ")");
  if (!descr || !order || !shape) return Bad(where, "the header lacks one of descr, fortran_order and shape");
  if (header.dims.size() > kMaxNpyRank)
    return Bad(where,
               "got rank " + std::to_string(header.dims.size()) + ", expected at most " + std::to_string(kMaxNpyRank));
  const Result<std::int64_t> size = checked_size(header.dims);
  if (!size.ok()) return size.status().with_context(where);
  if (__builtin_mul_overflow(static_cast<std::size_t>(*size), header.width, &header.nbytes))
    return Bad(where, "shape " + Shape(header.dims).to_string() + " is beyond 64 bits");
  if (header.width == 0 && *size > (1 << 16))  // bytes in the file bound every other array
    return Bad(where, "claims " + std::to_string(*size) + " empty strings, expected at most 65536");
  return header;
}

}  // namespace tenon::npy
