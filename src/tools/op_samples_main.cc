// op_samples FOLDER: writes the samples of every op's record there (tools/dump_samples.h).
#include <iostream>

#include "tools/dump_samples.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: op_samples FOLDER\n";
    return 2;
  }
  const tenon::Status status = tenon::tools::DumpSamples(argv[1]);
  if (!status.ok()) std::cerr << "op_samples: " << status.message() << '\n';
  return status.ok() ? 0 : 1;
}
