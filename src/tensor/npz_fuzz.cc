// Any bytes as an .npz file.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tensor/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/tmp/tenon-npz-fuzz-" + std::to_string(::getpid());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(data, 1, size, file) != size) std::abort();
  std::fclose(file);
  (void)tenon::npy::ReadNpz(path);
  ::unlink(path.c_str());
  return 0;
}
