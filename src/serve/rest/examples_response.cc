#include "serve/rest/examples_response.h"

#include "serve/rest/float_text.h"
#include "serve/rest/pretty_writer.h"

namespace tenon::serve {
namespace {

void WriteFloat(PrettyWriter& to, float value) {
  char text[kFloatTextMax];
  to.Raw({text, static_cast<std::size_t>(FloatText(value, text) - text)});
}

}  // namespace

std::string ClassifyResponseJson(const ClassifyResult& result) {
  std::string out;
  PrettyWriter to(out);
  to.StartObject();
  to.Key("results");
  to.StartArray();
  for (std::size_t i = 0; i < result.examples; ++i) {
    to.set_single_line(true);
    to.StartArray();
    for (std::size_t k = i * result.classes; k < (i + 1) * result.classes; ++k) {
      to.StartArray();
      to.String(result.labels[k]);
      WriteFloat(to, result.scores[k]);
      to.EndArray();
    }
    to.EndArray();
    to.set_single_line(false);
  }
  to.EndArray();
  to.EndObject();
  return out;
}

std::string RegressResponseJson(std::span<const float> values) {
  std::string out;
  PrettyWriter to(out);
  to.StartObject();
  to.Key("results");
  to.set_single_line(true);
  to.StartArray();
  for (const float value : values) WriteFloat(to, value);
  to.EndArray();
  to.EndObject();
  return out;
}

}  // namespace tenon::serve
