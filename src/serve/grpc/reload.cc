// HandleReloadConfigRequest.
//
//   ReloadConfigRequest   config 1 ModelServerConfig, metric_names 2 repeated string
//   ReloadConfigResponse  status 1 {error_code 1, error_message 2}, metric 2 {name 1, int64_value_increase 2}
//   ModelServerConfig     model_config_list 1 {config 1 repeated ModelConfig} or custom_model_config 2
//   ModelConfig           name 1, base_path 2, model_type 3, model_platform 4, logging_config 6, model_version_policy
//   7,
//                         version_labels 8 map<string, int64>
//   ServableVersionPolicy latest 100 {num_versions 1} or all 101 or specific 102 {versions 1}
//   LoggingConfig         log_collector_config 1 {type 1, filename_prefix 2}, sampling_config 2 {sampling_rate 1}
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/status_macros.h"
#include "serve/grpc/handler.h"
#include "serve/grpc/model_spec.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using rpc::Invalid;

Status ParsePolicy(std::string_view bytes, const Place& place, Versions* versions) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() < 100 || reader.number() > 102) continue;
    const std::uint32_t kind = reader.number();
    std::int64_t count = 1;
    std::vector<std::int64_t> list;
    Reader inner(reader.bytes(), place);
    while (inner.Next()) {
      if (inner.number() != 1) continue;
      if (kind == 100) inner.Get(&count);
      if (kind == 102) inner.Append(&list);
    }
    TENON_RETURN_IF_ERROR(inner.status());
    if (kind == 100)
      *versions = Versions::latest(static_cast<int>(std::clamp<std::int64_t>(count, 1, 1 << 30)));
    else if (kind == 101)
      *versions = Versions::all();
    else
      *versions = Versions::specific(std::move(list));
  }
  return reader.status();
}

Status ParseLogging(std::string_view bytes, const Place& place, RequestLogging* logging) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1 && reader.number() != 2) continue;
    const bool sampling = reader.number() == 2;
    Reader inner(reader.bytes(), place);
    while (inner.Next()) {
      if (sampling && inner.number() == 1) inner.Get(&logging->sampling_rate);
      if (!sampling && inner.number() == 2) inner.Get(&logging->filename_prefix);
    }
    TENON_RETURN_IF_ERROR(inner.status());
  }
  return reader.status();
}

Status ParseModel(std::string_view bytes, const Place& place, ModelConfig* model) {
  int type = 0;
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&model->name);
        break;
      case 2:
        reader.Get(&model->base_path);
        break;
      case 3:
        reader.Get(&type);
        break;
      case 4:
        reader.Get(&model->platform);
        break;
      case 6:
        TENON_RETURN_IF_ERROR(ParseLogging(reader.bytes(), Place(place, "logging_config"), &model->logging));
        break;
      case 7:
        TENON_RETURN_IF_ERROR(ParsePolicy(reader.bytes(), Place(place, "model_version_policy"), &model->versions));
        break;
      case 8: {
        std::string label;
        std::int64_t version = 0;
        Reader entry(reader.bytes(), place);
        while (entry.Next()) {
          if (entry.number() == 1) entry.Get(&label);
          if (entry.number() == 2) entry.Get(&version);
        }
        TENON_RETURN_IF_ERROR(entry.status());
        model->labels[label] = version;
        break;
      }
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (type != 0 && !model->platform.empty())
    return Invalid(
        "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.");
  if (type == 0 && model->platform.empty())
    return Invalid(
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
        "ModelServerConfig::model_platform.");
  if (!model->base_path.starts_with('/') && model->base_path.find("://") == std::string::npos)
    return Invalid(fmt::format("Expected model {} to have an absolute path or URI; got base_path()={}", model->name,
                               model->base_path));
  if (type == 1) model->platform = "tensorflow";
  if (type > 1 || type < 0) return Invalid(fmt::format("ModelServerConfig::model_type {} is not supported.", type));
  return {};
}

enum class Kind { kNone, kList, kCustom };

Status ParseConfig(std::string_view bytes, const Place& place, Kind* kind, std::vector<ModelConfig>* models) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 2) *kind = Kind::kCustom;
    if (reader.number() != 1) continue;
    *kind = Kind::kList;
    const Place list_place(place, "model_config_list");
    Reader list(reader.bytes(), list_place);
    while (list.Next()) {
      if (list.number() != 1) continue;
      const auto index = static_cast<std::int64_t>(models->size());
      models->emplace_back();
      TENON_RETURN_IF_ERROR(ParseModel(list.bytes(), Place(list_place, "config", index), &models->back()));
    }
    TENON_RETURN_IF_ERROR(list.status());
  }
  return reader.status();
}

/// The sum of a counter's samples in Prometheus's text; names are given as TensorFlow Serving names them ("/a/b") or as
/// they stand there (":a:b").
std::int64_t CounterValue(std::string_view text, std::string name) {
  for (char& c : name)
    if (c == '/') c = ':';
  double sum = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.size() == name.size() || line[name.size()] != '{') continue;
    const std::size_t space = line.rfind(' ');
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    sum += value;
  }
  return static_cast<std::int64_t>(sum);
}

}  // namespace

Status GrpcHandler::ReloadConfig(std::string_view bytes, std::string& reply) const {
  if (admin_ == nullptr)
    return Status(Code::kUnimplemented, "HandleReloadConfigRequest: this server has a fixed list of models");
  const Place place("ReloadConfigRequest", bytes);
  Kind kind = Kind::kNone;
  std::vector<ModelConfig> models;
  std::vector<std::string> metrics;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1)
      TENON_RETURN_IF_ERROR(ParseConfig(reader.bytes(), Place(place, "config"), &kind, &models));
    if (reader.number() == 2) reader.Append(&metrics);
  }
  TENON_RETURN_IF_ERROR(reader.status());
  const auto measure = [&] {
    std::vector<std::int64_t> values;
    if (metrics.empty()) return values;
    const std::string text = invoker_->metrics().registry.Text();
    for (const std::string& name : metrics) values.push_back(CounterValue(text, name));
    return values;
  };
  const std::vector<std::int64_t> before = measure();
  Status status = kind == Kind::kList
                      ? admin_->ReloadModels(models)
                      : Invalid(
                            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
                            "is currently supported");
  const std::vector<std::int64_t> after = measure();
  Writer writer;
  writer.Message(1, [&] {
    if (!status.ok()) writer.Varint(1, status.code());
    writer.Text(2, status.message());
  });
  for (std::size_t i = 0; i < metrics.size(); ++i)
    writer.Message(2, [&] {
      writer.Text(1, metrics[i]);
      writer.Varint(2, after[i] - before[i]);
    });
  reply = std::move(writer).Take();
  return status;
}

}  // namespace tenon::serve
