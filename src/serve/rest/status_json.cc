#include <map>

#include "base/json_writer.h"
#include "serve/core/tf_names.h"
#include "serve/rest/status_page.h"

namespace tenon::serve {
namespace {

using base::JsonWriter;

/// A value of the tensor's shape, free dims 1, that a request might hold: zeros, "" or false.
void WriteExample(JsonWriter& json, const TensorInfo& info, std::size_t dim, bool rows, std::int64_t& budget) {
  if (dim == info.dims.size()) {
    if (info.dtype == DType::kString)
      json.String("");
    else if (info.dtype == DType::kBool)
      json.Bool(false);
    else if (dtype_bits(info.dtype) > 0 && (info.dtype == DType::kF32 || info.dtype == DType::kF64))
      json.Raw("0.0");
    else
      json.Number(0);
    return;
  }
  json.Array();
  const std::int64_t count = info.dims[dim] < 0 ? 1 : info.dims[dim];
  for (std::int64_t i = 0; i < count && budget-- > 0; ++i) WriteExample(json, info, dim + 1, rows, budget);
  json.End();
}

std::string ExampleOf(const Signature& signature) {
  JsonWriter json;
  std::int64_t budget = 4096;  // elements; an example is for reading
  json.Object();
  if (signature.name != kDefaultSignature) json.Key("signature_name").String(signature.name);
  json.Key("inputs").Object();
  for (const TensorInfo& input : signature.inputs) {
    json.Key(input.alias);
    WriteExample(json, input, 0, true, budget);
  }
  json.End().End();
  return std::move(json).Take();
}

void WriteTensors(JsonWriter& json, std::string_view key, const std::vector<TensorInfo>& tensors) {
  json.Key(key).Array();
  for (const TensorInfo& t : tensors) {
    json.Object().Key("name").String(t.alias).Key("dtype").String(TfTypeName(t.dtype)).Key("shape");
    if (t.unknown_rank) {
      json.Null();
    } else {
      json.Array();
      for (const std::int64_t d : t.dims) json.Number(d);
      json.End();
    }
    json.End();
  }
  json.End();
}

void WriteSignatures(JsonWriter& json, const Manager& manager, const std::string& model) {
  const Result<ServableHandle> handle = manager.serving().Latest(model);
  json.Key("signatures").Array();
  if (handle.ok())
    for (const Signature& s : (*handle)->signatures()) {
      json.Object().Key("name").String(s.name).Key("method").String(s.method_name);
      WriteTensors(json, "inputs", s.inputs);
      WriteTensors(json, "outputs", s.outputs);
      json.End();
    }
  json.End();
  const Signature* standard = handle.ok() ? (*handle)->FindSignature("") : nullptr;
  if (handle.ok() && standard == nullptr)  // the first one that REST can ask for
    for (const Signature& s : (*handle)->signatures())
      if (standard == nullptr && !s.internal && !s.inputs.empty()) standard = &s;
  json.Key("example").String(standard == nullptr ? "{\"instances\": [1.0]}" : ExampleOf(*standard));
}

}  // namespace

std::string StatusJson(const Manager& manager, ServerMetrics& metrics) {
  struct Sums {
    double requests = 0, errors = 0;
    std::vector<double> bounds, counts;
  };
  std::map<std::string, Sums, std::less<>> sums;
  const auto first = [](std::string_view key) { return std::string(key.substr(0, key.find('\0'))); };
  metrics.request_count.ForEach([&](std::string_view key, const Counter& c) {
    Sums& s = sums[first(key)];
    s.requests += c.value();
    if (key.find(std::string_view("\0OK\0", 4)) == std::string_view::npos) s.errors += c.value();
  });
  metrics.request_seconds.ForEach([&](std::string_view key, const Histogram& h) {
    Sums& s = sums[first(key)];
    s.bounds = h.bounds();
    s.counts.resize(h.bounds().size() + 1);
    for (std::size_t i = 0; i < s.counts.size(); ++i) s.counts[i] += static_cast<double>(h.bucket(i));
  });
  (void)metrics.registry.Text();  // sets the gauges
  JsonWriter json;
  json.Object();
  json.Key("uptime_seconds")
      .Number(std::chrono::duration<double>(std::chrono::steady_clock::now() - metrics.started).count());
  json.Key("resident_bytes").Number(metrics.process_resident.At({}).value());
  json.Key("inflight").Number(metrics.inflight.At({}).value());
  json.Key("models").Array();
  for (const std::string& name : manager.monitor().Models()) {
    const Sums& s = sums[name];
    json.Object().Key("name").String(name);
    json.Key("requests").Number(s.requests).Key("errors").Number(s.errors);
    json.Key("bounds").Array();
    for (const double b : s.bounds) json.Number(b);
    json.End().Key("counts").Array();
    for (const double c : s.counts) json.Number(c);
    json.End().Key("versions").Array();
    for (const VersionStatus& v : manager.monitor().Versions(name)) {
      json.Object().Key("version").Number(v.version).Key("state").String(PublicStateName(v.state));
      json.Key("error").String(v.status.message()).End();
    }
    json.End();
    if (const Status error = manager.monitor().ModelError(name); !error.ok()) json.Key("error").String(error.message());
    WriteSignatures(json, manager, name);
    json.End();
  }
  json.End().End();
  return std::move(json).Take();
}

}  // namespace tenon::serve
