// Which files there are, written or compared.
#include <filesystem>

#include "base/file.h"
#include "base/status_macros.h"
#include "tools/opgen/opgen.h"

namespace tenon::opgen {
namespace {

constexpr std::string_view kFolders[] = {"include/tenon/ops", "src/eager/generated", "docs/ops"};

// Files in the generated folders that nothing gives any more.
std::vector<std::string> Leftovers(const std::string& root, const std::map<std::string, std::string>& files) {
  std::vector<std::string> out;
  for (const std::string_view folder : kFolders) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(root + "/" + std::string(folder), error)) {
      const std::string path = std::string(folder) + "/" + entry.path().filename().string();
      if (!files.contains(path)) out.push_back(path);
    }
  }
  return out;
}

bool Same(const std::string& path, const std::string& text) {
  if (!base::FileExists(path)) return false;
  const Result<std::string> old = base::ReadFile(path);
  return old.ok() && *old == text;
}

}  // namespace

std::map<std::string, std::string> Files() {
  std::map<std::string, std::string> out;
  for (const ir::OpFamily& family : ir::OpFamilies()) {
    const std::string name(family.name);
    if (std::string header = Header(family); !header.empty()) {
      out["include/tenon/ops/" + name + ".h"] = std::move(header);
      out["src/eager/generated/" + name + ".cc"] = Source(family);
    }
    out["docs/ops/" + name + ".md"] = Page(family);
  }
  out["include/tenon/ops.h"] = AllHeader();
  out["src/ir/op_names.h"] = NamesHeader();
  out["docs/ops/README.md"] = Index();
  return out;
}

Status Write(const std::string& root) {
  const std::map<std::string, std::string> files = Files();
  for (const std::string_view folder : kFolders)
    TENON_RETURN_IF_ERROR(base::MakeFolders(root + "/" + std::string(folder)));
  for (const auto& [path, text] : files)
    if (!Same(root + "/" + path, text)) TENON_RETURN_IF_ERROR(base::WriteFile(root + "/" + path, text));
  for (const std::string& path : Leftovers(root, files)) std::filesystem::remove(root + "/" + path);
  return {};
}

Status Check(const std::string& root) {
  const std::map<std::string, std::string> files = Files();
  std::string stale;
  for (const auto& [path, text] : files)
    if (!Same(root + "/" + path, text))
      stale += "\n  " + path + (base::FileExists(root + "/" + path) ? " differs" : " is missing");
  for (const std::string& path : Leftovers(root, files)) stale += "\n  " + path + " has no family any more";
  if (stale.empty()) return {};
  return Status(Code::kFailedPrecondition,
                "opgen: generated files are stale, run \"make generate\" and commit:" + stale);
}

}  // namespace tenon::opgen
