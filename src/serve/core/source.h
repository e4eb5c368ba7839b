// Source: watches storage and announces which versions of each model ought to be loaded.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenon::serve {

struct AspiredVersion {
  std::int64_t version = 0;
  std::string path = {};
  friend bool operator==(const AspiredVersion&, const AspiredVersion&) = default;
};

/// Takes the complete list of one model's aspired versions; what is not in it is to be unloaded. Any thread; a source
/// makes the calls for one model one after the other.
using AspiredSink = std::function<void(const std::string& model, std::vector<AspiredVersion> versions)>;

}  // namespace tenon::serve
