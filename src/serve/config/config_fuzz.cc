// Config files: any bytes are parsed or refused.
#include <cstddef>
#include <cstdint>

#include "serve/config/config_files.h"
#include "serve/config/platform_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)tenon::serve::ParseModelServerConfig(text);
  (void)tenon::serve::ParseBatchingParameters(text);
  (void)tenon::serve::ParseMonitoringConfig(text);
  (void)tenon::serve::ParseSslConfig(text);
  (void)tenon::serve::ParsePlatformConfig(text);
  (void)tenon::serve::ParseSessionConfig(text);
  (void)tenon::serve::ParseThreadPoolFactoryConfig(text);
  return 0;
}
