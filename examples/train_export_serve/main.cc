// Train, export, check, serve: the shortest way through the library.
//   train_export_serve [MNIST folder] [rows] [port]
#include <tenon/formats.h>
#include <tenon/keras.h>
#include <tenon/serve.h>
#include <tenon/verify.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
using namespace tenon;
namespace layers = tenon::keras::layers;

int main(int argc, char** argv) {
  auto [train, test] =
      argc > 1 ? data::mnist(argv[1]) : data::digits();  // Split{images f32[60000,28,28] in 0..1, labels i64[60000]}
  if (argc > 2) {                                        // a quick look: only the first rows
    const std::int64_t rows = std::atoll(argv[2]);
    train = {slice(train.images, {0, 0, 0}, {rows, 28, 28}), slice(train.labels, {0}, {rows})};
    test = {slice(test.images, {0, 0, 0}, {rows / 6, 28, 28}), slice(test.labels, {0}, {rows / 6})};
  }
  keras::Sequential model({
      keras::Input({28, 28}),
      layers::Flatten(),
      layers::Dense(128, {.activation = "relu"}),
      layers::Dropout(0.2),
      layers::Dense(10, {.activation = "softmax"}),
  });
  model.summary();
  model.compile({.optimizer = keras::Adam({.learning_rate = 1e-3}),
                 .loss = "sparse_categorical_crossentropy",
                 .metrics = {"accuracy"}});
  keras::EarlyStopping stop({.patience = 2, .restore_best_weights = true});
  keras::History history =
      model.fit(train, {.batch_size = 32, .epochs = 5, .callbacks = {stop}, .validation_split = 0.1});
  auto result = model.evaluate(test);
  std::cout << result.loss << ' ' << result["accuracy"] << ' ' << stop->stopped_epoch << '\n';

  Module module = model.module();  // functions, variables, signatures
  save(module, "out/digits/1", {.format = Format::kSavedModel}).value();
  save(module, "out/digits.onnx").value();                                        // format from the name
  std::cout << verify::compare(module, load("out/digits.onnx").value()).value();  // table, verdict

  serve::Server server(
      {.rest_port = argc > 3 ? std::atoi(argv[3]) : 8501, .models = {{.name = "digits", .base_path = "out/digits"}}});
  server.start().value();
  std::cout << "serving at http://127.0.0.1:" << server.rest_port() << "/v1/models/digits" << std::endl;
  server.wait();  // SIGTERM drains
}
