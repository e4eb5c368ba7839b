#include "serve/servables/prediction_log.h"

#include "base/status_macros.h"
#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;

Status ReadModelSpec(std::string_view bytes, const Place& place, LoggedCall* call) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&call->model);
    if (reader.number() == 3) reader.Get(&call->signature);
  }
  return reader.status();
}

Status ReadInputs(std::string_view entry, const Place& place, LoggedCall* call) {
  std::string alias;
  std::string_view value;
  Reader reader(entry, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&alias);
    if (reader.number() == 2) value = reader.bytes();
  }
  TENON_RETURN_IF_ERROR(reader.status());
  savedmodel::TensorProto tensor;
  TENON_RETURN_IF_ERROR(savedmodel::ParseTensor(value, Place(place, alias), &tensor));
  TENON_ASSIGN_OR_RETURN(Literal literal,
                         savedmodel::LiteralOf(tensor, "PredictionLog: tensor parsing error: " + alias));
  call->inputs.emplace_back(std::move(alias), std::move(literal));
  return {};
}

Status ReadPredict(std::string_view bytes, const Place& place, LoggedCall* call) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) TENON_RETURN_IF_ERROR(ReadModelSpec(reader.bytes(), Place(place, "model_spec"), call));
    if (reader.number() == 2) TENON_RETURN_IF_ERROR(ReadInputs(reader.bytes(), Place(place, "inputs"), call));
    if (reader.number() == 3) reader.Append(&call->output_filter);
  }
  return reader.status();
}

Status ReadInput(std::string_view bytes, const Place& place, std::vector<std::string>* examples) {
  std::string context;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1 && reader.number() != 2) continue;
    const bool with_context = reader.number() == 2;
    Reader list(reader.bytes(), place);
    while (list.Next()) {
      if (list.number() == 1) list.Append(examples);
      if (list.number() == 2 && with_context) context = list.bytes();
    }
    TENON_RETURN_IF_ERROR(list.status());
  }
  // Serialized messages one after the other are merged: the example's features win over the context's.
  if (!context.empty())
    for (std::string& example : *examples) example.insert(0, context);
  return reader.status();
}

Status ReadTask(std::string_view bytes, const Place& place, LoggedCall* call) {
  std::string method;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) TENON_RETURN_IF_ERROR(ReadModelSpec(reader.bytes(), Place(place, "model_spec"), call));
    if (reader.number() == 2) reader.Get(&method);
  }
  if (method != kClassifyMethod && method != kRegressMethod && reader.status().ok())
    return Status(Code::kUnimplemented, "Unsupported signature method_name: " + method);
  call->kind = method == kRegressMethod ? LoggedCall::Kind::kRegress : LoggedCall::Kind::kClassify;
  return reader.status();
}

/// Classify and Regress (field 1 is the model) and MultiInference (field 1 are the tasks).
Status ReadExamples(std::string_view bytes, std::uint32_t kind, const Place& place, std::vector<LoggedCall>* calls) {
  std::vector<std::string> examples;
  if (kind != 4) calls->push_back({.kind = kind == 2 ? LoggedCall::Kind::kClassify : LoggedCall::Kind::kRegress});
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) {
      if (kind == 4)
        TENON_RETURN_IF_ERROR(ReadTask(reader.bytes(), Place(place, "tasks"), &calls->emplace_back()));
      else
        TENON_RETURN_IF_ERROR(ReadModelSpec(reader.bytes(), Place(place, "model_spec"), &calls->back()));
    }
    if (reader.number() == 2) TENON_RETURN_IF_ERROR(ReadInput(reader.bytes(), Place(place, "input"), &examples));
  }
  TENON_RETURN_IF_ERROR(reader.status());
  for (LoggedCall& call : *calls) call.examples = examples;
  return {};
}

void WriteModelSpec(Writer& writer, std::uint32_t field, const ServableId& id, const Signature& signature) {
  writer.Message(field, [&] {
    writer.Text(1, id.name);
    writer.Message(2, [&] {
      if (id.version != 0) writer.Varint(1, id.version);
    });
    writer.Text(3, signature.name);
  });
}

void WriteTensors(Writer& writer, std::uint32_t field, const std::vector<TensorInfo>& infos,
                  std::span<const int> wanted, std::span<const Literal> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = infos[wanted.empty() ? i : static_cast<std::size_t>(wanted[i])];
    writer.Message(field, [&] {
      writer.Bytes(1, info.alias);
      savedmodel::WriteTensor(writer, 2, savedmodel::TensorOf(tensors[i]));
    });
  }
}

/// Input: example_list 1 {examples 1}.
void WriteExamples(Writer& writer, std::span<const Literal> inputs) {
  writer.Message(2, [&] {
    writer.Message(1, [&] {
      for (const Literal& input : inputs)
        if (input.dtype() == DType::kString)
          for (const std::string& example : input.strings()) writer.Bytes(1, example);
    });
  });
}

/// result 1: classifications 1 {classes 1 {label 1, score 2}} or regressions 1 {value 1}.
void WriteScores(Writer& writer, LoggedCall::Kind kind, const Signature& signature, std::span<const int> wanted,
                 std::span<const Literal> outputs) {
  const Literal* labels = nullptr;
  const Literal* scores = nullptr;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::string& alias = signature.outputs[wanted.empty() ? i : static_cast<std::size_t>(wanted[i])].alias;
    if (alias == "classes" && outputs[i].dtype() == DType::kString) labels = &outputs[i];
    if ((alias == "scores" || alias == "outputs") && outputs[i].dtype() == DType::kF32) scores = &outputs[i];
  }
  const Literal* any = labels != nullptr ? labels : scores;
  if (any == nullptr || any->rank() == 0 || any->dims()[0] == 0) return;
  const auto rows = static_cast<std::size_t>(any->dims()[0]);
  const auto width = static_cast<std::size_t>(any->size()) / rows;
  const auto value = [&](std::size_t at) {
    if (scores != nullptr && at < static_cast<std::size_t>(scores->size()))
      writer.Float(kind == LoggedCall::Kind::kClassify ? 2 : 1, scores->data<float>()[at]);
  };
  writer.Message(1, [&] {
    for (std::size_t row = 0; row < rows; ++row)
      writer.Message(1, [&] {
        if (kind == LoggedCall::Kind::kRegress) return value(row);
        for (std::size_t at = row * width; at < (row + 1) * width; ++at)
          writer.Message(1, [&] {
            if (labels != nullptr) writer.Text(1, labels->strings()[at]);
            value(at);
          });
      });
  });
}

}  // namespace

Result<std::vector<LoggedCall>> ParsePredictionLog(std::string_view bytes) {
  const Place place("PredictionLog", bytes);
  std::vector<LoggedCall> calls;
  bool found = false;
  Reader reader(bytes, place);
  while (reader.Next()) {
    const std::uint32_t kind = reader.number();
    if (kind < 2 || kind > 7) continue;
    if (kind == 5 || kind == 7)
      return Status(Code::kUnimplemented, kind == 5 ? "Unsupported log_type for warmup: kSessionRunLog"
                                                    : "Unsupported log_type for warmup: kPredictStreamedLog");
    found = true;
    std::string_view request;
    Reader log(reader.bytes(), place);
    while (log.Next())
      if (log.number() == 1) request = log.bytes();
    TENON_RETURN_IF_ERROR(log.status());
    if (kind == 6)
      TENON_RETURN_IF_ERROR(ReadPredict(request, Place(place, "predict_log"), &calls.emplace_back()));
    else
      TENON_RETURN_IF_ERROR(ReadExamples(request, kind, Place(place, "request"), &calls));
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (!found) return Status(Code::kUnimplemented, "Unsupported log_type for warmup: LOG_TYPE_NOT_SET");
  return calls;
}

std::string EncodePredictionLog(LoggedCall::Kind kind, const ServableId& id, const Signature& signature,
                                std::span<const Literal> inputs, std::span<const int> wanted,
                                std::span<const Literal> outputs, double sampling_rate,
                                std::int64_t timestamp_seconds) {
  Writer writer;
  writer.Message(1, [&] {
    WriteModelSpec(writer, 1, id, signature);
    writer.Message(2, [&] { writer.Double(1, sampling_rate); });
    writer.Varint(4, timestamp_seconds);
  });
  const bool predict = kind == LoggedCall::Kind::kPredict;
  writer.Message(predict                               ? 6
                 : kind == LoggedCall::Kind::kClassify ? 2
                                                       : 3,
                 [&] {
                   writer.Message(1, [&] {
                     WriteModelSpec(writer, 1, id, signature);
                     if (predict)
                       WriteTensors(writer, 2, signature.inputs, {}, inputs);
                     else
                       WriteExamples(writer, inputs);
                   });
                   writer.Message(2, [&] {
                     if (predict)
                       WriteTensors(writer, 1, signature.outputs, wanted, outputs);
                     else
                       WriteScores(writer, kind, signature, wanted, outputs);
                     WriteModelSpec(writer, 2, id, signature);
                   });
                 });
  return std::move(writer).Take();
}

}  // namespace tenon::serve
