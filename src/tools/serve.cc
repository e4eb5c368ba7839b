#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "tools/commands.h"
#include "tools/server_flags.h"

namespace tenon {
std::string_view version();
}

namespace tenon::tools {
namespace {

constexpr int kNotStarted = 255;  // tensorflow_model_server's -1

}  // namespace

int ServerMain(std::string_view program, const std::vector<std::string_view>& arguments, bool strict) {
  ServerFlags flags;
  if (strict) flags.port = 0;
  std::vector<std::string> unknown;
  const std::vector<Flag> list = flags.List();
  const std::string usage = FlagUsage(program, list);
  if (const Status parsed = ParseFlags(list, arguments, strict, unknown); !parsed.ok()) {
    std::cerr << parsed.message() << '\n';
    std::cout << usage << "Failed to start server. Error: " << code_name(parsed.code()) << ": " << parsed.message()
              << '\n';
    return strict ? static_cast<int>(kUsage) : kNotStarted;
  }
  if (flags.help) {
    std::cout << usage;
    // tensorflow_model_server prints its flags alone.
    if (strict)
      std::cout << "Example: tenon serve --model_name=digits --model_base_path=/models/digits --rest_api_port=8501\n";
    return kDone;
  }
  if (flags.version) {
    std::cout << "TensorFlow ModelServer: Tenon " << version() << "\nTensorFlow Library: none\n";
    return kDone;
  }
  if (!unknown.empty()) {
    std::cout << "unknown argument: " << unknown[0] << '\n' << usage << std::flush;
    if (strict) return kUsage;
  }
  if (std::getenv("TENON_LOG") == nullptr) base::SetLogLevel(base::LogLevel::kInfo);
  Result<serve::ServerOptions> options = OptionsFromFlags(flags);
  Status status = options.status();
  if (options.ok()) {
    options->signals_from_start = true;  // whoever sees a port may end the process
    serve::Server server(*std::move(options));
    status = server.start();
    if (status.ok()) {
      server.wait();
      return kDone;
    }
    if (status.code() == Code::kCancelled) {  // by a signal
      std::cout << std::flush;
      std::_Exit(kDone);  // a load under way is not waited for
    }
  }
  std::cout << "Failed to start server. Error: " << code_name(status.code()) << ": " << status.message() << '\n';
  return strict ? static_cast<int>(kFailed) : kNotStarted;
}

}  // namespace tenon::tools
