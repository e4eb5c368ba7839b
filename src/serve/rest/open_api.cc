#include <algorithm>
#include <functional>

#include "base/json_writer.h"
#include "serve/rest/status_page.h"

namespace tenon::serve {
namespace {

using base::JsonWriter;

constexpr std::size_t kMaxRank = 32;  // of a schema; a tensor of more dims is described as any value

void Typed(JsonWriter& json, std::string_view type) { json.Key("type").String(type); }

/// The members of a schema of one element.
void ElementSchema(JsonWriter& json, DType dtype) {
  if (dtype == DType::kString) {
    json.Key("oneOf").Array();
    json.Object();
    Typed(json, "string");
    json.End();
    json.Raw(R"({"$ref": "#/components/schemas/Bytes"})").End();
  } else if (dtype == DType::kBool) {
    Typed(json, "boolean");
  } else if (is_float(dtype)) {
    Typed(json, "number");
    if (dtype == DType::kF32 || dtype == DType::kF64)
      json.Key("format").String(dtype == DType::kF32 ? "float" : "double");
  } else {
    Typed(json, "integer");
    if (dtype == DType::kI32 || dtype == DType::kI64)
      json.Key("format").String(dtype == DType::kI32 ? "int32" : "int64");
  }
}

/// The schema of a tensor from its dim `from` on: nested arrays, of fixed length where the signature says so.
void TensorSchema(JsonWriter& json, const TensorInfo& info, std::size_t from) {
  json.Object();
  const std::size_t rank = info.dims.size();
  if (!info.unknown_rank && rank <= kMaxRank) {
    for (std::size_t d = from; d < rank; ++d) {
      Typed(json, "array");
      if (info.dims[d] >= 0) json.Key("minItems").Number(info.dims[d]).Key("maxItems").Number(info.dims[d]);
      json.Key("items").Object();
    }
    ElementSchema(json, info.dtype);
    for (std::size_t d = from; d < rank; ++d) json.End();
  }
  json.End();
}

/// {alias: tensor, …}, each from its dim `from` on.
void TensorsSchema(JsonWriter& json, const std::vector<TensorInfo>& tensors, std::size_t from) {
  json.Object();
  Typed(json, "object");
  json.Key("properties").Object();
  for (const TensorInfo& t : tensors) {
    json.Key(t.alias);
    TensorSchema(json, t, from);
  }
  json.End();
  if (!tensors.empty()) {
    json.Key("required").Array();
    for (const TensorInfo& t : tensors) json.String(t.alias);
    json.End();
  }
  json.End();
}

void SignatureName(JsonWriter& json, const Signature& signature) {
  json.Key("signature_name").Object();
  Typed(json, "string");
  json.Key("enum").Array().String(signature.name).End();
  if (signature.name == kDefaultSignature) json.Key("default").String(kDefaultSignature);
  json.End();
}

void Required(JsonWriter& json, const Signature& signature, std::string_view key) {
  json.Key("required").Array().String(key);
  if (signature.name != kDefaultSignature) json.String("signature_name");
  json.End();
}

/// The bodies that a signature takes: by rows where every input has a first dim, and by columns.
void PredictBodies(JsonWriter& json, const Signature& signature) {
  const bool rows =
      std::ranges::all_of(signature.inputs, [](const TensorInfo& t) { return t.unknown_rank || !t.dims.empty(); });
  for (const bool by_rows : {true, false}) {
    if (by_rows && !rows) continue;
    const std::string_view key = by_rows ? "instances" : "inputs";
    json.Object();
    Typed(json, "object");
    json.Key("properties").Object();
    SignatureName(json, signature);
    json.Key(key);
    if (by_rows) {
      json.Object();
      Typed(json, "array");
      json.Key("minItems").Number(1).Key("items");
    }
    const auto from = static_cast<std::size_t>(by_rows ? 1 : 0);
    if (signature.inputs.size() == 1) {  // its name may be left out
      json.Object().Key("oneOf").Array();
      TensorSchema(json, signature.inputs[0], from);
      TensorsSchema(json, signature.inputs, from);
      json.End().End();
    } else {
      TensorsSchema(json, signature.inputs, from);
    }
    if (by_rows) json.End();
    json.End();
    Required(json, signature, key);
    json.End();
  }
}

void ExamplesBody(JsonWriter& json, const Signature& signature) {
  json.Object();
  Typed(json, "object");
  json.Key("properties").Object();
  SignatureName(json, signature);
  json.Key("context").Raw(R"({"$ref": "#/components/schemas/Example"})");
  json.Key("examples").Raw(R"({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Example"}})");
  json.End();
  Required(json, signature, "examples");
  json.End();
}

void Operation(JsonWriter& json, std::string_view method, std::string_view summary, std::string_view parameter,
               std::string_view reply, const std::function<void()>& body) {
  json.Key(method).Object().Key("summary").String(summary);
  if (!parameter.empty()) {
    json.Key("parameters").Array().Object().Key("name").String(parameter).Key("in").String("path");
    json.Key("required").Bool(true).Key("schema").Object();
    Typed(json, parameter == "version" ? "integer" : "string");
    json.End().End().End();
  }
  if (body) {
    json.Key("requestBody").Object().Key("required").Bool(true).Key("content").Object();
    json.Key("application/json").Object().Key("schema").Object();
    body();
    json.End().End().End().End();
  }
  json.Key("responses").Object().Key("200").Object().Key("description").String(summary);
  json.Key("content").Object();
  const bool text = reply.empty();
  json.Key(text ? "text/plain" : "application/json").Object().Key("schema").Object();
  if (text)
    Typed(json, "string");
  else
    json.Key("$ref").String("#/components/schemas/" + std::string(reply));
  json.End().End().End().End();
  if (!text) json.Key("default").Raw(R"({"$ref": "#/components/responses/Error"})");
  json.End().End();
}

/// As it stands in a path.
std::string Encoded(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF", kPlain = "-._~";
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum || kPlain.find(c) != std::string_view::npos)
      out += c;
    else
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

void ModelPaths(JsonWriter& json, const std::string& name, const std::vector<Signature>& signatures) {
  const auto bodies = [&](const std::function<bool(const Signature&)>& fits,
                          void (*write)(JsonWriter&, const Signature&)) {
    return [&json, &signatures, fits, write] {
      json.Key("anyOf").Array();
      for (const Signature& s : signatures)
        if (fits(s)) write(json, s);
      json.End();
    };
  };
  struct Verb {
    std::string_view name, summary, reply;
    std::function<bool(const Signature&)> fits;
    void (*write)(JsonWriter&, const Signature&);
  };
  const auto of_method = [](std::string_view method) {
    return [method](const Signature& s) { return !s.internal && s.method_name == method; };
  };
  const std::vector<Verb> verbs = {
      {"predict", "the outputs of a signature", "Predictions",
       [](const Signature& s) { return !s.internal && !s.inputs.empty(); }, PredictBodies},
      {"classify", "labels and scores of each example", "Results", of_method(kClassifyMethod), ExamplesBody},
      {"regress", "a value of each example", "Results", of_method(kRegressMethod), ExamplesBody}};
  struct Choice {
    std::string path;
    std::string_view parameter;
  };
  for (const auto& [path, parameter] :
       {Choice{"", ""}, {"/versions/{version}", "version"}, {"/labels/{label}", "label"}}) {
    const std::string base = "/v1/models/" + Encoded(name) + path;
    json.Key(base).Object();
    Operation(json, "get", "the states of the versions", parameter, "Status", nullptr);
    json.End().Key(base + "/metadata").Object();
    Operation(json, "get", "the signatures", parameter, "Metadata", nullptr);
    json.End();
    for (const Verb& verb : verbs) {
      if (std::ranges::none_of(signatures, verb.fits)) continue;
      json.Key(base + ":" + std::string(verb.name)).Object();
      Operation(json, "post", verb.summary, parameter, verb.reply, bodies(verb.fits, verb.write));
      json.End();
    }
  }
}

constexpr std::string_view kComponents = R"({
    "schemas": {
      "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
      "Bytes": {"type": "object", "properties": {"b64": {"type": "string", "format": "byte"}}, "required": ["b64"]},
      "Example": {
        "type": "object", "additionalProperties": {},
        "description": "features: a number, text, bytes or boolean, or a list of one kind"
      },
      "Predictions": {
        "type": "object",
        "properties": {
          "predictions": {"type": "array", "items": {}, "description": "one for each row"},
          "outputs": {"description": "the output, or all by name"}
        }
      },
      "Results": {
        "type": "object", "properties": {"results": {"type": "array", "items": {}}}, "required": ["results"]
      },
      "Status": {
        "type": "object",
        "properties": {
          "model_version_status": {
            "type": "array",
            "items": {
              "type": "object",
              "properties": {
                "version": {"type": "string"},
                "state": {"type": "string", "enum": ["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                "status": {
                  "type": "object",
                  "properties": {"error_code": {"type": "string"}, "error_message": {"type": "string"}}
                }
              }
            }
          }
        }
      },
      "Metadata": {
        "type": "object", "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}}
      },
      "Any": {"type": "object"}
    },
    "responses": {
      "Error": {
        "description": "what is wrong, with the HTTP status of its code",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
      }
    }
  })";

}  // namespace

std::string OpenApiJson(const Manager& manager) {
  JsonWriter json({.indent = 2});
  json.Object().Key("openapi").String("3.0.3");
  json.Key("info").Object().Key("title").String("Tenon").Key("version").String("1").End();
  json.Key("paths").Object();
  struct Page {
    std::string_view path, summary, reply;
  };
  for (const Page& page : {Page{"/healthz", "the process runs", ""}, Page{"/livez", "the process runs", ""},
                           Page{"/readyz", "it serves; 503 before and while it drains", ""},
                           Page{"/metrics", "counters and histograms for Prometheus", ""},
                           Page{"/status.json", "models, versions, latency, memory", "Any"},
                           Page{"/openapi.json", "this description", "Any"}}) {
    json.Key(page.path).Object();
    Operation(json, "get", page.summary, "", page.reply, nullptr);
    json.End();
  }
  for (const std::string& name : manager.monitor().Models()) {
    const Result<ServableHandle> handle = manager.serving().Latest(name);
    ModelPaths(json, name, handle.ok() ? (*handle)->signatures() : std::vector<Signature>());
  }
  json.End().Key("components").Raw(kComponents).End();
  return std::move(json).Take();
}

}  // namespace tenon::serve
