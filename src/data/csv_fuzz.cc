// Any bytes as a table, under options picked by the first byte.
#include "data/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  tenon::data::CsvOptions options;
  options.delimiter = ", ;\t"[data[0] & 3];
  options.header = static_cast<tenon::data::CsvHeader>((data[0] >> 2) % 3);
  options.comment = (data[0] & 32) != 0 ? '#' : '\0';
  (void)tenon::data::ParseCsv({reinterpret_cast<const char*>(data) + 1, size - 1}, "fuzz", options);
  return 0;
}
