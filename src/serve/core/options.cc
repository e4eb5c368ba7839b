#include <algorithm>

#include "tenon/serve.h"

namespace tenon::serve {

Versions Versions::latest(int n) {
  if (n < 1) fail(Code::kInvalidArgument, "Versions::latest: got " + std::to_string(n) + ", expected at least 1");
  Versions out;
  out.count_ = n;
  return out;
}

Versions Versions::all() {
  Versions out;
  out.kind_ = Kind::kAll;
  return out;
}

Versions Versions::specific(std::vector<std::int64_t> versions) {
  Versions out;
  out.kind_ = Kind::kSpecific;
  std::ranges::sort(versions);
  const auto tail = std::ranges::unique(versions);
  versions.erase(tail.begin(), tail.end());
  out.list_ = std::move(versions);
  return out;
}

}  // namespace tenon::serve
