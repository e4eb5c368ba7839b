#include "tenon/serve.h"

#include <iostream>

#include "base/log.h"
#include "tools/commands.h"

namespace tenon::tools {

int Serve(const ServeOptions& o) {
  if (std::getenv("TENON_LOG") == nullptr) base::SetLogLevel(base::LogLevel::kInfo);
  serve::ServerOptions options;
  options.rest_port = o.rest_api_port;
  options.address = o.address;
  options.poll_interval_ms = o.poll_seconds * 1000;
  options.models = {{.name = o.model_name, .base_path = o.model_base_path}};
  serve::Server server(std::move(options));
  if (const Result<void> started = server.start(); !started.ok()) return Fail("serve", started);
  std::cerr << "Exporting HTTP/REST API at:localhost:" << server.rest_port() << " ...\n";
  server.wait();
  return kDone;
}

}  // namespace tenon::tools
