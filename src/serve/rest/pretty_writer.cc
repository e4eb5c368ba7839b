#include "serve/rest/pretty_writer.h"

#include "serve/rest/json_string.h"

namespace tenon::serve {

void PrettyWriter::Prefix() {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (level.array) {
    if (level.values > 0) out_ += single_line_ ? ", " : ",";
    if (!single_line_) NewLine();
  } else if (level.values % 2 == 1) {
    out_ += ": ";
  } else {
    if (level.values > 0) out_ += ',';
    NewLine();
  }
  ++level.values;
}

void PrettyWriter::String(std::string_view text) {
  Prefix();
  AppendQuoted(out_, text);
}

}  // namespace tenon::serve
