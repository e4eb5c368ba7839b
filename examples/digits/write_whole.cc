#include "write_whole.h"

#include <cstdio>
#include <fstream>

namespace digits {

bool WriteWhole(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".tmp";
  std::ofstream out(temporary, std::ios::binary);
  out << bytes;
  out.close();
  if (out && std::rename(temporary.c_str(), path.c_str()) == 0) return true;
  std::remove(temporary.c_str());
  return false;
}

}  // namespace digits
