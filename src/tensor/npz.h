// NumPy's .npz: a zip archive of .npy files, one an array, named by its key.
#pragma once
#include <map>
#include <string>

#include "tenon/types.h"

namespace tenon::npy {

/// All arrays by key (the entry's name without ".npy"); entries may be stored or deflated. kNotFound without the file;
/// errors name the entry. What an entry claims is checked against the bytes that it has before memory is taken.
Result<std::map<std::string, Literal>> ReadNpz(const std::string& path);
/// The same arrays give the same bytes. Atomic. Data of stored arrays starts at a multiple of 64 in the file.
Status WriteNpz(const std::string& path, const std::map<std::string, Literal>& arrays, bool compress = false);

}  // namespace tenon::npy
