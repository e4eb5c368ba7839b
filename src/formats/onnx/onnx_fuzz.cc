// Any bytes as a model: parsed, checked, all tensors read, written and parsed again.
// Links only check.cc data_type.cc external_data.cc parse.cc parse_types.cc serialize.cc tensor.cc write.cc
#include <cstdlib>

#include "formats/onnx/check.h"
#include "formats/onnx/parse.h"
#include "formats/onnx/tensor.h"
#include "formats/onnx/test_util.h"
#include "formats/onnx/write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon::onnx;
  const tenon::Result<Model> model = Parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!model.ok()) {
    if (model.status().message().empty()) std::abort();
    return 0;
  }
  const bool good = Check(*model).ok();
  std::vector<tenon::Literal> values;
  TensorReader reader(*model);
  if (model->graph) static_cast<void>(ReadAll(reader, *model->graph, &values));
  const tenon::Result<std::string> written = Serialize(*model);
  if (!written.ok()) std::abort();
  if (written->empty()) return 0;
  const tenon::Result<Model> again = Parse(*written, "again");
  if (!again.ok() || Check(*again).ok() != good || *Serialize(*again) != *written) std::abort();
  return 0;
}
