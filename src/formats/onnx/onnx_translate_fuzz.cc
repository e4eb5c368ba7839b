// Any bytes as a model that is translated, written at another opset, and read again.
#include <cstdlib>

#include "formats/onnx/export.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon::onnx;
  const tenon::Result<Model> model = Parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!model.ok()) return 0;
  const tenon::Result<tenon::ir::Module> module = Translate(*model);
  if (!module.ok()) {
    if (module.status().message().empty()) std::abort();
    return 0;
  }
  const tenon::Result<Model> written = Export(*module, {.opset = 18});
  if (!written.ok()) return 0;
  const tenon::Result<std::string> bytes = Serialize(*written);
  if (bytes.ok() && !Parse(*bytes, "again").ok()) std::abort();
  return 0;
}
