// opgen: writes what is derived from the op records into the source tree (public functions, name constants, pages).
//   opgen ROOT           writes
//   opgen --check ROOT   writes nothing; fails with the list of stale files
#include <iostream>
#include <string_view>

#include "tools/opgen/opgen.h"

int main(int argc, char** argv) {
  const bool check = argc == 3 && std::string_view(argv[1]) == "--check";
  if (argc != 2 && !check) {
    std::cerr << "usage: opgen [--check] ROOT\n";
    return 2;
  }
  const tenon::Status status = check ? tenon::opgen::Check(argv[2]) : tenon::opgen::Write(argv[1]);
  if (!status.ok()) std::cerr << status.message() << '\n';
  return status.ok() ? 0 : 1;
}
