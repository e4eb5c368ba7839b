#include "base/tf_record.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "base/crc32c.h"

namespace tenon::base {
namespace {

template <class T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
std::uint32_t Masked(std::string_view bytes) { return MaskCrc(Crc32c(bytes)); }

}  // namespace

void AppendTfRecord(std::string& out, std::string_view data) {
  const std::size_t begin = out.size();
  Append(out, static_cast<std::uint64_t>(data.size()));
  Append(out, Masked(std::string_view(out).substr(begin, 8)));
  out += data;
  Append(out, Masked(data));
}

bool TfRecordReader::Next(std::string_view* data) {
  if (!status_.ok() || at_ == bytes_.size()) return false;
  const auto fail = [&](std::string_view what) {
    status_ = Status(Code::kDataLoss, fmt::format("TFRecord: {} (at byte {})", what, at_));
    return false;
  };
  const std::string_view left = bytes_.substr(at_);
  if (left.size() < 12) return fail("truncated record");
  std::uint64_t length = 0;
  std::uint32_t crc = 0;
  std::memcpy(&length, left.data(), 8);
  std::memcpy(&crc, left.data() + 8, 4);
  if (crc != Masked(left.substr(0, 8))) return fail("corrupted record: wrong checksum of the length");
  if (left.size() < 16 || length > left.size() - 16) return fail("truncated record");
  *data = left.substr(12, length);
  std::memcpy(&crc, left.data() + 12 + length, 4);
  if (crc != Masked(*data)) return fail("corrupted record: wrong checksum of the data");
  at_ += length + 16;
  return true;
}

}  // namespace tenon::base
