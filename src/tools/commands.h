// The sub-commands of `tenon`. Each gives an exit status: 0 done, 1 verification found a difference that rounding does
// not explain, 2 wrong usage, 3 failed (a file, a format, a run). Data go to standard output, messages to standard
// error.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tenon/status.h"

namespace tenon::tools {

enum ExitCode { kDone = 0, kDiffers = 1, kUsage = 2, kFailed = 3 };

struct ConvertOptions {
  std::string from, to, format;
  int onnx_opset = 21;
  std::int64_t external_threshold = -1;
  bool verify = true, json = false;
  int samples = 2;
};
int Convert(const ConvertOptions& options);

struct VerifyOptions {
  std::string expected, got, inputs, outputs, signature, backend = "ref";
  int samples = 3;
  std::uint64_t seed = 1;
  bool layers = false, json = false;
};
int Verify(const VerifyOptions& options);

struct InspectOptions {
  std::string model, html;
  bool json = false, text = false;
  int batch = 1;
};
int Inspect(const InspectOptions& options);

struct RunModelOptions {
  std::string model, inputs, outputs, signature, backend = "cpu";
  bool float64 = false;
  int threads = 0;
};
int RunModel(const RunModelOptions& options);

struct TestOnnxOptions {
  std::string folder, json, backend = "cpu", only;
  int threads = 0;   // cases at a time; 0: what the machine grants
  int at_least = 0;  // cases that must pass; 0: all
  bool verbose = false;
  int roundtrip = 0;  // an opset: write and read again instead
};
int TestOnnx(const TestOnnxOptions& options);

struct BenchOptions {
  std::string model, signature, backend = "cpu";
  int threads = 0, batch = 1;
  double seconds = 2;
  bool json = false, explain = false;
};
int Bench(const BenchOptions& options);

struct ClientOptions {
  std::string action, url, model, inputs, signature, label, token, method = "predict";
  std::int64_t version = -1;
  int timeout = 30, connections = 1;
  double seconds = 5;
  bool json = false;
};
/// action: health, status, metadata, predict or load.
int Client(const ClientOptions& options);

int Doctor(bool json);

/// "tenon COMMAND: message" on standard error; gives kFailed.
int Fail(const char* command, const Status& status);

}  // namespace tenon::tools
