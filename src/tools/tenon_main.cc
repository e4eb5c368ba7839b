// tenon: the command.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tools/commands.h"
#include "tools/server_flags.h"

namespace tenon {
std::string_view version();
}

namespace {

// libgomp reads its spin settings when it is loaded: start again once with them.
void SpinSettings(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("GOMP_SPINCOUNT", "20000", 1);
  ::execv("/proc/self/exe", argv);  // on failure: go on without
}

/// The server, when the program is called tensorflow_model_server or its first argument is "serve"; else -1.
int ServerIfAsked(int argc, char** argv) {
  const std::string_view path = argc > 0 ? argv[0] : "";
  const bool by_name = path.substr(path.rfind('/') + 1) == "tensorflow_model_server";
  const bool by_command = !by_name && argc > 1 && std::string_view(argv[1]) == "serve";
  if (!by_name && !by_command) return -1;
  SpinSettings(argv);
  return tenon::tools::ServerMain(by_name ? path : "tenon serve", {argv + (by_name ? 1 : 2), argv + argc}, by_command);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tenon::tools;
  try {
    if (const int status = ServerIfAsked(argc, argv); status >= 0) return status;
  } catch (const std::exception& e) {
    std::cerr << "tenon serve: " << e.what() << '\n';
    return kFailed;
  }
  CLI::App app{
      "Tenon: converts, verifies, runs and serves models.\nExit status: 0 done, 1 verification found a bug, 2 wrong "
      "usage, 3 failed."};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "tenon " + std::string(tenon::version()));

  ConvertOptions convert;
  CLI::App* c =
      app.add_subcommand("convert", "Reads a model, writes it in another format and verifies what was written.");
  c->footer("Example: tenon convert model.onnx models/m/1 --to saved_model");
  c->add_option("from", convert.from,
                "the model: .tenon, .onnx, a SavedModel folder or a frozen .pb (recognised by content)")
      ->required();
  c->add_option("to", convert.to, "what to write; the name tells the format: .tenon, .onnx, a folder")->required();
  c->add_option("--to", convert.format, "the format when the name does not tell it: tenon, onnx, saved_model");
  c->add_option("--opset", convert.onnx_opset, "ONNX operator set, 13 to 28")
      ->check(CLI::Range(13, 28))
      ->capture_default_str();
  c->add_option("--external-data", convert.external_threshold,
                "ONNX: weights of this many bytes and more go to a side file, NAME.data; without it only those of a "
                "model above 2 GiB")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--samples", convert.samples, "random inputs of the verification")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  bool no_verify = false;
  c->add_flag("--no-verify", no_verify, "do not compare what was written with what was read");
  c->add_flag("--json", convert.json, "the report as JSON");

  VerifyOptions verify;
  CLI::App* v = app.add_subcommand(
      "verify", "Compares two models, or a model with recorded outputs; the verdict comes from a float64 oracle.");
  v->footer(
      "Examples: tenon verify a.onnx b.tenon --layers\n          tenon verify a.onnx --inputs in.npz --outputs "
      "out.npz\n "
      "         tenon verify a.onnx recorded.npz --layers\nRecorded tensors: keys are the names of inputs, outputs "
      "and, "
      "with --layers, of values inside; \"in.\" and \"out.\" may stand in front.");
  v->add_option("expected", verify.expected, "the model to trust")->required();
  v->add_option("got", verify.got, "the model to check, or an .npz of recorded tensors");
  v->add_option("--inputs", verify.inputs, "inputs by name (.npz); else random ones");
  v->add_option("--outputs", verify.outputs, "recorded outputs by name (.npz), in place of a second model");
  v->add_option("--samples", verify.samples, "random inputs")->check(CLI::Range(1, 1000))->capture_default_str();
  v->add_option("--seed", verify.seed, "of the random inputs")->capture_default_str();
  v->add_option("--signature", verify.signature, "the signature to run");
  v->add_option("--backend", verify.backend, "of the float runs")
      ->check(CLI::IsMember({"ref", "cpu"}))
      ->capture_default_str();
  v->add_flag("--layers", verify.layers, "also compare the values inside and show the first that differs");
  v->add_flag("--json", verify.json, "the report as JSON");

  InspectOptions inspect;
  CLI::App* i =
      app.add_subcommand("inspect", "Shows inputs, outputs, ops, layers, parameters, FLOPs and memory of a model.");
  i->footer("Examples: tenon inspect model.onnx --json\n          tenon inspect model.onnx --html model.html");
  i->add_option("model", inspect.model, "the model")->required();
  i->add_flag("--json", inspect.json, "as JSON");
  i->add_option("--html", inspect.html, "also write a page with graph, layers and weights to this file");
  i->add_option("--batch", inspect.batch, "what free dims count as")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  i->add_flag("--text", inspect.text, "the whole text form");

  RunModelOptions run;
  CLI::App* r = app.add_subcommand("run", "Runs a model on arrays from an .npz file.");
  r->footer(
      "Example: tenon run model.onnx --inputs in.npz --outputs out.npz\nKeys are the input and output names; bfloat16 "
      "and float8 come and go as their bits in uint16 and uint8.");
  r->add_option("model", run.model, "the model")->required();
  r->add_option("--inputs", run.inputs, "inputs by name (.npz)")->required();
  r->add_option("--outputs", run.outputs, "where to write the outputs (.npz)")->required();
  r->add_option("--signature", run.signature, "the signature to run");
  r->add_option("--backend", run.backend, "cpu or ref")->check(CLI::IsMember({"ref", "cpu"}))->capture_default_str();
  r->add_flag("--float64", run.float64, "all in float64 on the reference backend");
  r->add_option("--threads", run.threads, "threads of one run; 0: what the machine grants")->check(CLI::Range(0, 1024));

  // Its flags are those of tensorflow_model_server, which this parser does not know: see ServerMain.
  app.add_subcommand("serve", "Serves models behind TensorFlow Serving's API; its flags: tenon serve --help.");

  ClientOptions client;
  CLI::App* k = app.add_subcommand("client", "Asks a server (Tenon's or TensorFlow's) over REST.");
  k->footer(
      "Exit status: 0 for an answer with status 200, 2 for wrong options, 3 for all else. The server's answer goes to "
      "standard output, what went wrong to standard error.\n"
      "Examples: tenon client status localhost\n"
      "          tenon client predict http://localhost:8501 --model digits --inputs image.npy\n"
      "          tenon client load http://localhost:8501 --model digits --inputs body.json --connections 4 --seconds "
      "10");
  k->add_option("action", client.action,
                "health: whether the server is ready; status: of --model, else of all models (Tenon only); metadata: "
                "signatures of --model; predict: send --inputs; load: send them again and again and measure")
      ->required()
      ->check(CLI::IsMember({"health", "status", "metadata", "predict", "load"}));
  k->add_option("url", client.url, "of the server: [http://]HOST[:PORT], the port of REST; 8501 unless named")
      ->required();
  k->add_option("--model", client.model, "the model's name");
  k->add_option(
      "--inputs", client.inputs,
      "a file: a whole request body (.json); the model's one input, with its batch dim (.npy); all its inputs "
      "by name (.npz); anything else is sent as the bytes of one string (an image)");
  k->add_option("--signature", client.signature,
                "of the model, for .npy, .npz and bytes; else serving_default (a .json names its own)");
  k->add_option("--method", client.method,
                "what predict and load ask for; classify and regress need a .json with examples")
      ->check(CLI::IsMember({"predict", "classify", "regress"}))
      ->capture_default_str();
  k->add_option("--version", client.version, "of the model; default: the newest")->check(CLI::NonNegativeNumber);
  k->add_option("--label", client.label, "of the version, instead of its number");
  k->add_option("--token", client.token, "sent as bearer token (serve --bearer_token_file)")->envname("TENON_TOKEN");
  k->add_option("--timeout", client.timeout, "seconds to wait for the server, each time")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  k->add_option("--connections", client.connections, "load: so many requests are under way at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  k->add_option("--seconds", client.seconds, "load: how long")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
  k->add_flag("--json", client.json, "load: the numbers as JSON");

  BenchOptions bench;
  CLI::App* b = app.add_subcommand("bench", "Times a model on random inputs.");
  b->footer("Example: tenon bench model.onnx --threads 1 --batch 1 --json");
  b->add_option("model", bench.model, "the model")->required();
  b->add_option("--signature", bench.signature, "the signature to run");
  b->add_option("--backend", bench.backend, "cpu or ref")->check(CLI::IsMember({"ref", "cpu"}))->capture_default_str();
  b->add_option("--threads", bench.threads, "threads of one run; 0: what the machine grants")
      ->check(CLI::Range(0, 1024));
  b->add_option("--batch", bench.batch, "what free dims become")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  b->add_option("--seconds", bench.seconds, "how long to measure")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  b->add_flag("--explain", bench.explain, "print the steps and kernels");
  b->add_flag("--json", bench.json, "as JSON");

  TestOnnxOptions test_onnx;
  CLI::App* t = app.add_subcommand("test-onnx", "Runs the cases of the ONNX backend suite and counts what passes.");
  t->footer(
      "Example: tenon test-onnx onnx/backend/test/data --json score.json\nA case is a folder with a model.onnx and its "
      "test_data_set_*; what is not supported counts as not passed.");
  t->add_option("folder", test_onnx.folder, "a case, or a tree of them")->required();
  t->add_option("--json", test_onnx.json, "the report: status and reason of each case");
  t->add_option("--backend", test_onnx.backend, "cpu or ref")
      ->check(CLI::IsMember({"ref", "cpu"}))
      ->capture_default_str();
  t->add_option("--roundtrip", test_onnx.roundtrip,
                "write each model at this opset, read it again and compare bit for bit on the reference backend, "
                "instead of comparing with the suite's outputs")
      ->check(CLI::Range(13, 28));
  t->add_option("--only", test_onnx.only, "the cases whose name contains this");
  t->add_option("--at-least", test_onnx.at_least, "cases that must pass for exit status 0; without it all of them");
  t->add_option("--threads", test_onnx.threads, "cases at a time; 0: what the machine grants")
      ->check(CLI::Range(0, 1024));
  t->add_flag("--verbose", test_onnx.verbose, "name each case before it runs");

  bool doctor_json = false;
  CLI::App* d = app.add_subcommand("doctor", "Tells what this build and machine can do.");
  d->footer("Example: tenon doctor --json");
  d->add_flag("--json", doctor_json, "as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return kUsage;
  }
  try {
    if (*r || *b) SpinSettings(argv);
    if (*c) {
      convert.verify = !no_verify;
      return Convert(convert);
    }
    if (*v) return Verify(verify);
    if (*i) return Inspect(inspect);
    if (*r) return RunModel(run);
    if (*b) return Bench(bench);
    if (*t) return TestOnnx(test_onnx);
    if (*k) return Client(client);
    if (*d) return Doctor(doctor_json);
  } catch (const std::exception& e) {
    std::cerr << "tenon: " << e.what() << '\n';
    return kFailed;
  }
  std::cout << app.help();
  return kUsage;
}
