#include "formats/onnx/write.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "base/status_macros.h"
#include "formats/onnx/serialize.h"
#include "formats/onnx/tensor.h"

namespace tenon::onnx {
namespace {

constexpr std::uint64_t kLimit = (std::uint64_t{1} << 31) - 1;  // protobuf's: a message below 2 GiB
constexpr std::uint64_t kPage = 4096;
constexpr std::int64_t kDefaultThreshold = 1024;

std::uint64_t PayloadBytes(const Tensor& tensor) {
  if (tensor.value) return tensor.value->nbytes();
  std::uint64_t bytes = tensor.raw_data ? tensor.raw_data->size() : 0;
  for (const auto* chunks : {&tensor.float_data, &tensor.int32_data, &tensor.int64_data, &tensor.double_data,
                             &tensor.uint64_data, &tensor.string_data})
    for (const std::string_view chunk : *chunks) bytes += chunk.size();
  return bytes;
}

// Calls visit(tensor, movable) for every tensor; those in attributes stay in the model, as other readers expect.
template <class Visit>
void VisitTensors(const Graph& graph, const Visit& visit);

template <class Visit>
void VisitTensors(const std::vector<Node>& nodes, const Visit& visit) {
  for (const Node& node : nodes)
    for (const Attribute& attribute : node.attributes) {
      for (const Tensor& tensor : attribute.tensors) visit(tensor, false);
      for (const Graph& inner : attribute.graphs) VisitTensors(inner, visit);
    }
}

template <class Visit>
void VisitTensors(const Graph& graph, const Visit& visit) {
  for (const Tensor& tensor : graph.initializers) visit(tensor, true);
  for (const SparseTensor& tensor : graph.sparse_initializers) {
    visit(tensor.values, false);
    visit(tensor.indices, false);
  }
  VisitTensors(graph.nodes, visit);
}

// Decides where each tensor goes and writes the side file's bytes. Returns the side file, not yet committed, if any.
Result<std::unique_ptr<base::AtomicFile>> Place(const Model& model, const std::string& data_path,
                                                std::int64_t threshold, Placements* placements) {
  TensorReader reader(model);
  Status status;
  std::vector<const Tensor*> moved;
  const auto visit = [&](const Tensor& tensor, bool movable) {
    if (!status.ok()) return;
    const bool big = movable && threshold >= 0;
    if (!tensor.external && !(big && PayloadBytes(tensor) >= static_cast<std::uint64_t>(threshold))) return;
    Result<Literal> value = reader.Read(tensor);
    if (!value.ok()) {
      status = value.status();
      return;
    }
    const bool external = big && value->dtype() != DType::kString && value->nbytes() > 0 &&
                          value->nbytes() >= static_cast<std::uint64_t>(threshold);
    if (!external && !tensor.external) return;
    if (external) moved.push_back(&tensor);
    placements->tensors.insert({&tensor, Placement{*std::move(value), external, 0}});
  };
  if (model.graph) VisitTensors(*model.graph, visit);
  for (const Function& function : model.functions) VisitTensors(function.nodes, visit);
  TENON_RETURN_IF_ERROR(status);
  std::unique_ptr<base::AtomicFile> file;
  for (const Tensor* tensor : moved) {
    if (file == nullptr) {
      TENON_ASSIGN_OR_RETURN(file, base::AtomicFile::Create(data_path));
    }
    Placement& placement = placements->tensors.at(tensor);
    const std::uint64_t padding = (kPage - file->size() % kPage) % kPage;
    TENON_RETURN_IF_ERROR(file->Append(std::string(padding, '\0')));
    placement.offset = file->size();
    TENON_RETURN_IF_ERROR(file->Append(placement.value.raw()));
  }
  return file;
}

}  // namespace

Result<std::string> Serialize(const Model& model) {
  std::string bytes = Encode(model, {});
  if (bytes.size() > kLimit)
    return Status(
        Code::kInvalidArgument,
        fmt::format("{}: the model takes {} bytes, more than the 2 GiB of one protobuf message; write it to a "
                    "file with external data",
                    model.path.empty() ? "onnx" : model.path, bytes.size()));
  return bytes;
}

Status WriteFile(const Model& model, const std::string& path, const WriteOptions& options) {
  const std::filesystem::path target(path);
  Placements placements;
  placements.location = options.external_name;
  // A free name, so that the side file of the model that stands there is not touched before that model is.
  std::vector<std::string> earlier;
  for (int i = 0; placements.location.empty(); ++i) {
    std::string name = target.filename().string() + ".data" + (i == 0 ? "" : "-" + std::to_string(i));
    if (base::FileExists((target.parent_path() / name).string()))
      earlier.push_back(std::move(name));
    else
      placements.location = std::move(name);
  }
  if (std::filesystem::path(placements.location).has_parent_path())
    return Status(Code::kInvalidArgument,
                  fmt::format("{}: external_name \"{}\" must be a plain file name", path, placements.location));
  std::int64_t threshold = options.external_threshold;
  if (threshold < 0) {
    std::uint64_t total = 0;
    TensorReader reader(model);
    const auto add = [&](const Tensor& tensor, bool) {
      if (!tensor.external) {
        total += PayloadBytes(tensor);
      } else if (const Result<Literal> value = reader.Read(tensor); value.ok()) {
        total += value->nbytes();
      }
    };
    if (model.graph) VisitTensors(*model.graph, add);
    if (total > kLimit - (64u << 20)) threshold = kDefaultThreshold;
  }
  const std::string data_path = (target.parent_path() / placements.location).string();
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> data, Place(model, data_path, threshold, &placements));
  const std::string bytes = Encode(model, placements);
  if (bytes.size() > kLimit)
    return Status(Code::kInvalidArgument, fmt::format("{}: the model takes {} bytes without its external data, more "
                                                      "than the 2 GiB of one protobuf message",
                                                      path, bytes.size()));
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> file, base::AtomicFile::Create(path));
  TENON_RETURN_IF_ERROR(file->Append(bytes));
  if (data != nullptr) TENON_RETURN_IF_ERROR(data->Commit());
  TENON_RETURN_IF_ERROR(file->Commit());
  // What only the replaced model read.
  for (const std::string& name : earlier)
    if (std::error_code ignored; data != nullptr) std::filesystem::remove(target.parent_path() / name, ignored);
  return {};
}

}  // namespace tenon::onnx
