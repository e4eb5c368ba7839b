// The main job: train a digit classifier, export it, verify the exports, serve it, swap versions under load.
//   digits [--data DIR] [--model mlp|cnn] [--epochs N] [--train N] [--test N] [--out DIR]
#include <tenon/formats.h>
#include <tenon/keras.h>
#include <tenon/serve.h>
#include <tenon/verify.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "http_client.h"
#include "plot.h"
#include "report.h"

using namespace tenon;
namespace layers = tenon::keras::layers;

namespace {

struct Options {
  std::string data, model = "mlp", out = "out";
  int epochs = 0;
  std::int64_t train = 0, test = 0;  // rows; 0: all
};

Options Parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 < argc) return argv[++i];
      std::cerr << "digits: " << flag << " needs a value\n";
      std::exit(2);
    };
    if (flag == "--data")
      o.data = value();
    else if (flag == "--model")
      o.model = value();
    else if (flag == "--out")
      o.out = value();
    else if (flag == "--epochs")
      o.epochs = std::atoi(value().c_str());
    else if (flag == "--train")
      o.train = std::atoll(value().c_str());
    else if (flag == "--test")
      o.test = std::atoll(value().c_str());
    else {
      std::cerr << "usage: digits [--data DIR] [--model mlp|cnn] [--epochs N] [--train N] [--test N] [--out DIR]\n";
      std::exit(flag == "--help" ? 0 : 2);
    }
  }
  if (o.model != "mlp" && o.model != "cnn") {
    std::cerr << "digits: got --model " << o.model << ", expected mlp or cnn\n";
    std::exit(2);
  }
  if (o.epochs <= 0) o.epochs = o.model == "mlp" ? 5 : 6;
  return o;
}

// MNIST when a folder is given or found, else the digits that the library draws.
std::pair<data::Splits, std::string> LoadData(const Options& o) {
  std::vector<std::string> folders;
  if (!o.data.empty())
    folders = {o.data};
  else {
    if (const char* env = std::getenv("TENON_MNIST_DIR")) folders.emplace_back(env);
    folders.emplace_back("../shared/data/mnist");
  }
  for (const std::string& f : folders)
    if (!o.data.empty() || std::filesystem::is_directory(f)) return {data::mnist(f), "MNIST from " + f};
  return {data::digits(), "digits drawn by the library (no MNIST folder found; --data DIR names one)"};
}

data::Split First(const data::Split& s, std::int64_t rows) {
  if (rows <= 0 || rows >= s.labels.dim(0).value()) return s;
  return {slice(s.images, {0, 0, 0}, {rows, 28, 28}), slice(s.labels, {0}, {rows})};
}

keras::Sequential MakeModel(const std::string& kind) {
  if (kind == "mlp")
    return keras::Sequential({keras::Input({28, 28}, {.name = "image"}), layers::Flatten(),
                              layers::Dense(128, {.activation = "relu"}),
                              layers::Dense(10, {.activation = "softmax", .name = "digit"})});
  return keras::Sequential({keras::Input({28, 28}, {.name = "image"}), layers::Reshape({28, 28, 1}),
                            layers::Conv2D(32, 3, {.activation = "relu"}), layers::MaxPooling2D(),
                            layers::Conv2D(64, 3, {.activation = "relu"}), layers::MaxPooling2D(), layers::Flatten(),
                            layers::Dropout(0.5), layers::Dense(10, {.activation = "softmax", .name = "digit"})});
}

std::string RequestBody(const Tensor& image) {
  std::ostringstream body;
  body << "{\"instances\": [[";
  const std::span<const float> pixels = image.data<float>();
  for (std::size_t r = 0; r < 28; ++r) {
    body << (r ? ",[" : "[");
    for (std::size_t c = 0; c < 28; ++c) body << (c ? "," : "") << pixels[r * 28 + c];
    body << ']';
  }
  body << "]]}";
  return body.str();
}

// The ten numbers of {"predictions": [[…]]}; empty when the answer is no such thing.
std::vector<double> Probabilities(const std::string& body) {
  std::vector<double> out;
  std::size_t at = body.find("[[");
  if (at == std::string::npos) return out;
  const char* p = body.c_str() + at + 2;
  for (;;) {
    char* end = nullptr;
    out.push_back(std::strtod(p, &end));
    if (end == p) return {};
    if (*end == ']') return out;
    p = end + 1;
  }
}

int Main(const Options& o) {
  std::filesystem::create_directories(o.out);
  std::cout << "1. Data\n";
  auto [splits, source] = LoadData(o);
  const data::Split train = First(splits.train, o.train), test = First(splits.test, o.test);
  std::cout << source << ": " << train.images.dim(0) << " + " << test.images.dim(0) << " images\n\n2. Training\n";

  keras::set_random_seed(20);
  keras::Sequential model = MakeModel(o.model);
  model.summary();
  model.compile({.optimizer = keras::Adam({.learning_rate = 1e-3}),
                 .loss = "sparse_categorical_crossentropy",
                 .metrics = {"accuracy"}});
  const auto started = std::chrono::steady_clock::now();
  const keras::History history = model.fit(train, {.batch_size = 32, .epochs = o.epochs, .validation_split = 0.05});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  const keras::Evaluation result = model.evaluate(test, {.verbose = 0});
  std::cout << "test: loss " << result.loss << ", accuracy " << result["accuracy"] << '\n';

  std::cout << "\n3. Export\n";
  const Module module = model.module();
  const std::string base = o.out + "/digits", onnx = o.out + "/digits.onnx";
  std::filesystem::remove_all(base);
  save(module, base + "/1", {.format = Format::kSavedModel}).value();
  save(module, onnx).value();
  std::cout << "wrote " << base << "/1 (SavedModel) and " << onnx << "\n\n4. Verification\n";
  std::ostringstream verification;
  bool verified = true;
  for (const std::string& path : {base + "/1", onnx}) {
    const verify::Report report = verify::compare(module, load(path).value(), {.inputs = verify::random(4)}).value();
    verification << path << '\n' << report << '\n';
    verified = verified && report.ok();
  }
  std::cout << verification.str();

  std::cout << "5. Serving\n";
  serve::Server server({.rest_port = serve::kFreePort,
                        .models = {{.name = "digits", .base_path = base}},
                        .address = "127.0.0.1",
                        .poll_interval_ms = 100});
  server.start().value();
  std::cout << "http://127.0.0.1:" << server.rest_port() << "/v1/models/digits:predict\n";
  const std::string url = "/v1/models/digits:predict";
  digits::Report report;
  digits::HttpClient client(server.rest_port());
  int wrong_answers = 0;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(12, test.labels.dim(0).value()); ++i) {
    const Tensor image = slice(test.images, {i, 0, 0}, {i + 1, 28, 28});
    const digits::Reply reply = client.Post(url, RequestBody(image));
    const std::vector<double> p = Probabilities(reply.body);
    if (reply.status != 200 || p.size() != 10) {
      std::cout << "request " << i << " failed: " << reply.status << ' ' << reply.body << '\n';
      ++wrong_answers;
      continue;
    }
    const int predicted = static_cast<int>(std::max_element(p.begin(), p.end()) - p.begin());
    const int label = static_cast<int>(test.labels.literal().at(i));
    std::cout << "image " << i << ": predicted " << predicted << " (" << p[static_cast<std::size_t>(predicted)]
              << "), label " << label << '\n';
    report.predictions.push_back({{image.data<float>().begin(), image.data<float>().end()},
                                  label,
                                  predicted,
                                  p[static_cast<std::size_t>(predicted)]});
  }

  // Version 2: a little more training; requests go on while the server swaps.
  std::atomic<bool> stop{false};
  std::atomic<int> sent{0}, failed{0};
  std::thread load_generator([&] {
    digits::HttpClient other(server.rest_port());
    const std::string body = RequestBody(slice(test.images, {0, 0, 0}, {1, 28, 28}));
    while (!stop) {
      const digits::Reply reply = other.Post(url, body);
      ++sent;
      if (reply.status != 200 || Probabilities(reply.body).size() != 10) ++failed;
    }
  });
  model.fit(First(train, std::min<std::int64_t>(6400, train.labels.dim(0).value())),
            {.batch_size = 64, .epochs = 1, .verbose = 0});
  save(model.module(), base + "/2", {.format = Format::kSavedModel}).value();
  bool swapped = false;
  for (int i = 0; i < 200 && !swapped; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    swapped = client.Get("/v1/models/digits/versions/2").body.find("AVAILABLE") != std::string::npos &&
              client.Get("/v1/models/digits/versions/1").body.find("\"END\"") != std::string::npos;
  }
  stop = true;
  load_generator.join();
  std::cout << (swapped ? "swapped to version 2" : "version 2 did not become available") << "; " << sent
            << " requests meanwhile, " << failed << " failed\n";
  server.stop();
  std::cout << "drained and stopped\n\n6. Results\n";

  std::ostringstream summary;
  model.summary(summary);
  const std::string png = o.out + "/training.png", html = o.out + "/report.html";
  if (!digits::PlotHistory(history, png)) std::cerr << "digits: cannot write " << png << '\n';
  report.title = "Tenon digits: " + o.model;
  report.summary = summary.str();
  report.verification = verification.str();
  report.plot_path = png;
  report.facts = {{"data", source},
                  {"test accuracy", std::to_string(result["accuracy"])},
                  {"test loss", std::to_string(result.loss)},
                  {"epochs", std::to_string(o.epochs)},
                  {"training time", std::to_string(seconds) + " s"},
                  {"exports verified", verified ? "yes" : "no"},
                  {"requests during the swap", std::to_string(sent) + ", " + std::to_string(failed) + " failed"}};
  if (!digits::WriteReport(report, html)) std::cerr << "digits: cannot write " << html << '\n';
  std::cout << base << "/, " << onnx << ", " << png << ", " << html << "\n\nTry next:\n  build/bin/tenon inspect "
            << onnx << "\n  build/bin/tenon verify " << base << "/1 " << onnx
            << " --layers\n  build/bin/tenon serve --model_name=digits --model_base_path="
            << (base.starts_with('/') ? "" : "$PWD/") << base << " --rest_api_port=8501\n";
  return verified && swapped && failed == 0 && wrong_answers == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(Parse(argc, argv));
  } catch (const Error& e) {
    std::cerr << "digits: " << e.what() << '\n';
    return 1;
  }
}
