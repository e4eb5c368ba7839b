// Hostile native files and text forms: no crash, no read outside.
#include <unistd.h>

#include <cstdio>

#include "formats/native/native.h"
#include "ir/text.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)tenon::ir::ParseModule(text).ok();
  (void)tenon::ir::ParseGraph(text).ok();
  static const std::string path = "/tmp/native_fuzz-" + std::to_string(::getpid());
  if (std::FILE* f = std::fopen(path.c_str(), "wb")) {
    std::fwrite(data, 1, size, f);
    std::fclose(f);
    (void)tenon::native::Read(path).ok();
    std::remove(path.c_str());
  }
  return 0;
}
