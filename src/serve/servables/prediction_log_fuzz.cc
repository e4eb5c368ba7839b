// Warm-up files: any bytes are read or refused.
#include <cstddef>
#include <cstdint>

#include "base/tf_record.h"
#include "serve/servables/prediction_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)tenon::serve::ParsePredictionLog(bytes);
  tenon::base::TfRecordReader records(bytes);
  std::string_view record;
  while (records.Next(&record)) (void)tenon::serve::ParsePredictionLog(record);
  return 0;
}
