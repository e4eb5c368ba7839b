#include "tools/dump_samples.h"

#include <map>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/file.h"
#include "base/status_macros.h"
#include "ir/infer.h"
#include "ir/op_table.h"
#include "ir/text.h"
#include "tensor/npz.h"

namespace tenon::tools {
namespace {

using Json = nlohmann::ordered_json;

Json ListOf(const auto& items, auto&& each) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(each(item));
  return list;
}

Json AttrJson(const ir::Attr& attr) {
  return std::visit(
      [](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        const auto name = [](DType t) { return std::string(dtype_name(t)); };
        if constexpr (std::is_same_v<T, DType>)
          return name(v);
        else if constexpr (std::is_same_v<T, std::vector<DType>>)
          return ListOf(v, name);
        else if constexpr (std::is_same_v<T, Shape>)
          return ListOf(v.values(), [](std::int64_t d) { return d; });
        else if constexpr (std::is_same_v<T, Literal>)
          return nullptr;  // stands in the .npz
        else if constexpr (std::is_same_v<T, ir::GraphPtr>)
          return ir::PrintGraph(*v);
        else if constexpr (std::is_same_v<T, std::vector<ir::GraphPtr>>)
          return ListOf(v, [](const ir::GraphPtr& g) { return ir::PrintGraph(*g); });
        else
          return v;
      },
      attr);
}

Status DumpSample(const ir::OpDef& op, const ir::Sample& sample, const std::string& stem) {
  ir::Attrs attrs = sample.attrs;
  TENON_RETURN_IF_ERROR(ir::CompleteAttrs(op, attrs));
  std::map<std::string, Literal> arrays;
  Json meta = {{"attrs", Json::object()}, {"dtypes", Json::object()}};
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    if (!sample.inputs[i]) continue;
    const std::string key = "in" + std::to_string(i);
    arrays[key] = *sample.inputs[i];
    meta["dtypes"][key] = std::string(dtype_name(sample.inputs[i]->dtype()));
  }
  for (const auto& [name, attr] : attrs) {
    meta["attrs"][name] = AttrJson(attr);
    if (const auto* literal = std::get_if<Literal>(&attr)) arrays["attr_" + name] = *literal;
  }
  TENON_RETURN_IF_ERROR(npy::WriteNpz(stem + ".npz", arrays));
  return base::WriteFile(stem + ".json", meta.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

Status DumpSamples(const std::string& folder) {
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops) {
      if (op.samples == nullptr) continue;
      const std::string home = folder + "/" + std::string(op.name);
      TENON_RETURN_IF_ERROR(base::MakeFolders(home));
      for (const ir::Sample& sample : op.samples()) {
        if (!sample.error.empty()) continue;
        if (Status s = DumpSample(op, sample, home + "/" + sample.name); !s.ok())
          return s.with_context(std::string(op.name) + "/" + sample.name);
      }
    }
  return {};
}

}  // namespace tenon::tools
