// Run a model inside a program: compiled once, buffers bound once, no allocation and no lock in a call.
//   embedded [MODEL] [INPUT NAME] [OUTPUT NAME]: any model whose input takes f32[1, 3, 224, 224]; without one, makes
//   its own
#include <tenon/compile.h>
#include <tenon/formats.h>
#include <tenon/keras.h>

#include <iostream>
using namespace tenon;
namespace layers = tenon::keras::layers;

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "embedded_model.tenon";
  const std::string in_name = argc > 2 ? argv[2] : "input", out_name = argc > 3 ? argv[3] : "scores";
  if (argc <= 1) {
    keras::Sequential model({keras::Input({3, 224, 224}, {.name = "input"}),
                             layers::AveragePooling2D(32, {.data_format = "channels_first"}), layers::Flatten(),
                             layers::Dense(10, {.activation = "softmax", .name = "scores"})});
    save(model.module(), path).value();
  }
  Executable exe = compile(load(path).value(), {.threads = 2}).value();
  auto run = exe.context("serving_default", {{in_name, {1, 3, 224, 224}}}).value();  // buffers bound once
  std::span<float> in = run.input<float>(in_name).value();                           // write here, again and again
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 7) / 7;
  run().value();  // no allocation, no lock
  std::span<const float> y = run.output<float>(out_name).value();
  float sum = 0;
  for (const float v : y) sum += v;
  std::cout << y.size() << " scores, sum " << sum << '\n';
  return y.empty() ? 1 : 0;
}
