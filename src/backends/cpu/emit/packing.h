// Constants in kernels' layouts that several functions share.
#pragma once
#include <mutex>

#include "backends/cpu/emit/plan_builder.h"

namespace tenon::cpu {

struct Packing {
  std::mutex mutex;  // while a plan is made
  PackedConstants constants;
};

}  // namespace tenon::cpu
