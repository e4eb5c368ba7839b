// The native file (.tenon): a Module's text form and its blobs in one file, checksummed, weights mapped in place.
#pragma once
#include <string>
#include <string_view>

#include "ir/module.h"

namespace tenon::native {

/// Whether the first bytes of a file are those of a native file.
bool Matches(std::string_view head);
/// Atomic. The same module gives the same bytes.
Status Write(const ir::Module& module, const std::string& path);
/// Weights are views of the mapped file. Every checksum is checked. kDataLoss for a damaged or truncated file,
/// kInvalidArgument for one that is not ours or of a newer version.
Result<ir::Module> Read(const std::string& path);

}  // namespace tenon::native
