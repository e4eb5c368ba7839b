// The encoder behind write.h.
#pragma once
#include <map>
#include <string>

#include "formats/onnx/model.h"

namespace tenon::onnx {

/// Where WriteFile puts a tensor: into the side file, or, from a file that the model had, into the model.
struct Placement {
  Literal value;
  bool external = false;
  std::uint64_t offset = 0;
};
/// By the tensor's address. Tensors that are not listed are written as they stand.
struct Placements {
  std::string location;
  std::map<const Tensor*, Placement> tensors;
};

std::string Encode(const Model& model, const Placements& placements);

}  // namespace tenon::onnx
