#include <iostream>

#include "base/file.h"
#include "tenon/formats.h"
#include "tools/commands.h"
#include "tools/inspect/sheet.h"

namespace tenon::tools {

int Inspect(const InspectOptions& o) {
  if (o.text) {
    const Result<Module> module = load(o.model);
    if (!module.ok()) return Fail("inspect", module.status());
    std::cout << module->to_string();
    return kDone;
  }
  const Result<Sheet> sheet = Inspected(o.model, o.batch);
  if (!sheet.ok()) return Fail("inspect", sheet.status());
  if (!o.html.empty()) {
    const Status status = base::WriteFile(o.html, SheetHtml(*sheet));
    if (!status.ok()) return Fail("inspect", status);
  }
  std::cout << (o.json ? SheetJson(*sheet) : SheetText(*sheet));
  return kDone;
}

}  // namespace tenon::tools
