#include "serve/servables/warm_up.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/status_macros.h"
#include "base/tf_record.h"
#include "serve/core/inference.h"
#include "serve/core/tf_names.h"
#include "serve/servables/prediction_log.h"

namespace tenon::serve {
namespace {

Status RunPredict(const LoggedCall& call, Servable& servable) {
  const Signature* signature = servable.FindSignature(call.signature);
  if (signature == nullptr)
    return Status(Code::kFailedPrecondition, fmt::format("Serving signature key \"{}\" not found.", call.signature));
  std::vector<Literal> inputs;
  for (const TensorInfo& info : signature->inputs) {
    const auto it = std::ranges::find_if(call.inputs, [&](const auto& i) { return i.first == info.alias; });
    if (it == call.inputs.end() && info.default_value) {
      inputs.push_back(*info.default_value);
      continue;
    }
    if (it == call.inputs.end())
      return Status(Code::kInvalidArgument,
                    fmt::format("input {} of signature {} is missing", info.alias, signature->name));
    if (it->second.dtype() != info.dtype)
      return Status(Code::kInvalidArgument, fmt::format("Expects {} to be {} but {} is provided", info.alias,
                                                        TfTypeName(info.dtype), TfTypeName(it->second.dtype())));
    inputs.push_back(it->second);
  }
  std::vector<int> wanted;
  for (const std::string& alias : call.output_filter) {
    wanted.push_back(signature->output_index(alias));
    if (wanted.back() < 0)
      return Status(Code::kInvalidArgument, "output tensor alias not found in signature: " + alias);
  }
  return servable.Run(*signature, std::move(inputs), wanted, kNoDeadline).status();
}

Status RunCall(const LoggedCall& call, Servable& servable) {
  if (call.kind == LoggedCall::Kind::kPredict) return RunPredict(call, servable);
  const RunFunction run = [&](const Signature& s, std::vector<Literal> inputs, std::span<const int> wanted) {
    return servable.Run(s, std::move(inputs), wanted, kNoDeadline);
  };
  if (call.kind == LoggedCall::Kind::kClassify) return Classify(servable, call.signature, call.examples, run).status();
  return Regress(servable, call.signature, call.examples, run).status();
}

Status RunFile(std::string_view bytes, const std::string& version_path, Servable& servable, int iterations,
               ServerMetrics& metrics) {
  base::TfRecordReader records(bytes);
  std::string_view record;
  for (int count = 0; records.Next(&record); ++count) {
    if (count >= kMaxWarmUpRecords)
      return Status(Code::kInvalidArgument,
                    fmt::format("Number of warmup records exceeds the maximum ({})", kMaxWarmUpRecords));
    TENON_ASSIGN_OR_RETURN(const std::vector<LoggedCall> calls, ParsePredictionLog(record));
    metrics.warmup_records.At({version_path}).Add();
    for (int i = 0; i < std::max(iterations, 1); ++i)
      for (const LoggedCall& call : calls)
        TENON_RETURN_IF_ERROR(RunCall(call, servable).with_context(fmt::format("record {}", count)));
  }
  return records.status();
}

}  // namespace

Status WarmUp(const std::string& version_path, Servable& servable, int iterations, ServerMetrics& metrics) {
  const std::string path = version_path + "/" + std::string(kWarmUpFile);
  if (!base::FileExists(path)) return {};
  TENON_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(path));
  const auto begun = std::chrono::steady_clock::now();
  const Status status = RunFile(bytes, version_path, servable, iterations, metrics);
  metrics.warmup_latency.At({version_path, code_name(status.code())})
      .Observe(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
  return status.with_context(path);
}

}  // namespace tenon::serve
