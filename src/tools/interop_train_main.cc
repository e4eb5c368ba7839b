// interop_train MODEL OPTIMIZER IN.npz OUT.npz: ten training steps from given weights and batches, for the comparison
// with real Keras in tests/interop. IN holds w0, w1, … (the weights in Keras's order), x [steps, batch, …] and y
// [steps, batch]; OUT gets loss [steps] and the weights after the last step under the same names. MODEL: mlp, cnn.
// OPTIMIZER: sgd, adam.
#include <iostream>

#include "tenon/keras.h"
#include "tensor/npz.h"

using namespace tenon;
namespace layers = tenon::keras::layers;

namespace {

keras::Sequential Make(const std::string& model) {
  if (model == "mlp")
    return keras::Sequential({keras::Input({20}), layers::Dense(16, {.activation = "relu"}), layers::Dense(10)});
  if (model == "cnn")
    return keras::Sequential(
        {keras::Input({12, 12, 2}), layers::Conv2D(4, 3, {.padding = "same", .activation = "relu"}),
         layers::BatchNormalization(), layers::MaxPooling2D(), layers::Conv2D(8, 3, {.activation = "relu"}),
         layers::AveragePooling2D(2), layers::Flatten(), layers::Dense(10)});
  fail(Code::kInvalidArgument, "interop_train: got model " + model + ", expected mlp or cnn");
}

Tensor Step(const Tensor& t, std::int64_t i) {
  return gather(t, Tensor(Literal::scalar<std::int64_t>(i)), {.axis = 0});
}

int Main(char** argv) {
  const std::map<std::string, Literal> in = npy::ReadNpz(argv[3]).value();
  const keras::Sequential model = Make(argv[1]);
  std::vector<Tensor> weights;
  for (std::size_t i = 0; in.contains("w" + std::to_string(i)); ++i)
    weights.emplace_back(in.at("w" + std::to_string(i)));
  model.set_weights(weights);
  model.compile({.optimizer = argv[2],
                 .loss = keras::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  const Tensor x(in.at("x")), y(in.at("y"));
  const std::int64_t steps = x.dim(0).value();
  Literal loss(DType::kF32, {steps});
  for (std::int64_t i = 0; i < steps; ++i)
    loss.mutable_data<float>()[static_cast<std::size_t>(i)] =
        static_cast<float>(model.train_on_batch(Step(x, i), Step(y, i)).at("loss"));
  std::map<std::string, Literal> out = {{"loss", loss}};
  const std::vector<Tensor> after = model.get_weights();
  for (std::size_t i = 0; i < after.size(); ++i) out.emplace("w" + std::to_string(i), after[i].literal());
  const Status written = npy::WriteNpz(argv[4], out);
  if (!written.ok()) fail(written);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: interop_train MODEL OPTIMIZER IN.npz OUT.npz\n";
    return 2;
  }
  try {
    return Main(argv);
  } catch (const Error& e) {
    std::cerr << "interop_train: " << e.what() << '\n';
    return 1;
  }
}
