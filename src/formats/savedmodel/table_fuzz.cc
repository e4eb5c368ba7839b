// Any bytes as a table.
// Links only table.cc
#include <cstdlib>

#include "formats/savedmodel/table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const tenon::Result<tenon::savedmodel::Table> table = tenon::savedmodel::Table::Parse(bytes, "fuzz");
  if (!table.ok()) return 0;
  for (const auto& entry : table->entries())
    if (table->Find(entry.key) != &entry) std::abort();
  return 0;
}
