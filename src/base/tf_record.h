// TFRecord files: records one after the other.
//
// The bytes of a record: its length (8, little endian), the masked CRC-32C of these eight bytes (4), the data, the
// masked CRC-32C of the data (4).
#pragma once
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::base {

/// Appends one record.
void AppendTfRecord(std::string& out, std::string_view data);

/// Walks the records of a file that is in memory.
class TfRecordReader {
 public:
  explicit TfRecordReader(std::string_view bytes) : bytes_(bytes) {}
  /// The next record's data, a view into the bytes. False at the end or after an error: see status().
  bool Next(std::string_view* data);
  /// kDataLoss for a record that is cut short or damaged.
  const Status& status() const { return status_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  Status status_;
};

}  // namespace tenon::base
