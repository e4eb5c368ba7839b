// The text form of graphs and modules: prints and parses back. docs/text-form.md describes it.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "ir/module.h"

namespace tenon::ir {

/// Literals above 64 elements print as blobs, "@b0 : f32[784, 128] crc32c=0x…"; the table maps their names to them.
using Blobs = std::map<std::string, Literal>;

/// `blobs` receives the large literals; without it they are named but lost.
std::string PrintGraph(const Graph& graph, Blobs* blobs = nullptr);
std::string PrintModule(const Module& module, Blobs* blobs = nullptr);
Result<Graph> ParseGraph(std::string_view text, const Blobs& blobs = {});
/// Variables come back with their values from the blobs (or printed in place).
Result<Module> ParseModule(std::string_view text, const Blobs& blobs = {});

}  // namespace tenon::ir
