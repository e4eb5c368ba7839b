// Bodies of :predict requests: no byte sequence may crash either reader, and what the one-pass reader takes must be
// what the general reader makes of it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "serve/rest/predict_request.h"
#include "serve/rest/predict_response.h"

namespace tenon::serve {
namespace {

class FuzzModel : public Servable {
 public:
  explicit FuzzModel(std::vector<Signature> signatures) : signatures_(std::move(signatures)) {}
  const std::vector<Signature>& signatures() const override { return signatures_; }
  Result<std::vector<Literal>> Run(const Signature&, std::vector<Literal> in, std::span<const int>, Deadline) override {
    return in;
  }

 private:
  std::vector<Signature> signatures_;
};

Signature Make(const char* name, std::vector<DType> types) {
  Signature s;
  s.name = name;
  for (std::size_t i = 0; i < types.size(); ++i) {
    s.inputs.push_back(TensorInfo{.alias = std::string(1, static_cast<char>('a' + i)), .dtype = types[i]});
    s.outputs.push_back(s.inputs.back());
  }
  return s;
}

/// A model that names no default signature makes the one-pass reader give up; the general one then goes its own way.
void Check(const Servable& model, std::string_view body) {
  const auto plain = ReadPlainPredictRequest(body, model);
  const auto full = ReadPredictRequest(body, {}, &model);
  if (plain && !full.ok()) std::abort();
  if (full.ok()) {
    std::string out;
    const Status written = WritePredictResponse(*full->signature, full->inputs, full->form, out);
    if (!written.ok() && written.code() != Code::kInvalidArgument) std::abort();
    if (plain) {
      if (plain->signature != full->signature || plain->form != full->form) std::abort();
      for (std::size_t i = 0; i < plain->inputs.size(); ++i)
        if (!identical(plain->inputs[i], full->inputs[i])) std::abort();
    }
  }
}

}  // namespace
}  // namespace tenon::serve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon::serve;
  using enum tenon::DType;
  static const FuzzModel model({Make("serving_default", {kF32}), Make("i", {kI32}), Make("s", {kString}),
                                Make("many", {kF64, kU8, kBool, kI64})});
  Check(model, {reinterpret_cast<const char*>(data), size});
  return 0;
}
