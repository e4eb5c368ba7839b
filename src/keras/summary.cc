// summary(): Keras's table.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "ir/variable.h"
#include "keras/model_graph.h"
#include "tenon/keras/model.h"

namespace tenon::keras {
namespace {

std::string Thousands(std::int64_t n) {
  std::string s = std::to_string(n);
  for (std::ptrdiff_t i = static_cast<std::ptrdiff_t>(s.size()) - 3; i > 0; i -= 3)
    s.insert(static_cast<std::size_t>(i), ",");
  return s;
}

std::string Bytes(double n) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int u = 0;
  while (n >= 1024 && u < 4) {
    n /= 1024;
    ++u;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %s", n, units[u]);
  return text;
}

std::string ShapeText(const Tensor& t) {
  if (!t.defined()) return "?";
  std::string out = "(";
  const Shape s = t.shape();
  for (int i = 0; i < s.rank(); ++i)
    out += (i ? ", " : "") + (s[i].is_symbolic() ? std::string("None") : s[i].to_string());
  return out + ")";
}

std::size_t Columns(const std::string& s) {
  std::size_t n = 0;
  for (const char c : s) n += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0;
  return n;
}

std::string Fit(const std::string& s, std::size_t width) {
  return s + std::string(width > Columns(s) ? width - Columns(s) : 0, ' ');
}

std::string Repeat(const char* s, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += s;
  return out;
}

}  // namespace

void Model::summary(std::ostream& out) const {
  const ModelImpl& m = self();
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::shared_ptr<LayerImpl>& layer, const Tensor& output) {
    const std::string cls = layer ? layer->class_name() : "InputLayer";
    const std::string label = (layer ? layer->name() : output.node()->name) + " (" + cls + ")";
    rows.push_back({label, ShapeText(output), Thousands(layer ? Layer(layer).count_params() : 0)});
  };
  if (m.kind_ == ModelImpl::Kind::kFunctional) {
    for (const LayerRow& row : RowsOf(m.graph_.inputs, m.graph_.outputs)) add(row.layer, row.output);
  } else if (m.kind_ == ModelImpl::Kind::kSequential && !m.graph_.outputs.empty()) {
    // Walk back along the chain: each layer with what it made.
    std::vector<std::pair<std::shared_ptr<LayerImpl>, Tensor>> chain;
    for (Tensor t = m.graph_.outputs[0]; t.node()->call; t = t.node()->call->inputs[0])
      chain.emplace_back(LayerOf(t), t);
    for (std::size_t i = chain.size(); i-- > 0;) add(chain[i].first, chain[i].second);
  } else {
    for (const std::shared_ptr<LayerImpl>& l : impl()->sublayers()) add(l, Tensor());
  }
  const std::vector<std::string> head = {"Layer (type)", "Output Shape", "Param #"};
  std::vector<std::size_t> widths = {31, 24, 14};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < 3; ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  const auto line = [&](const char* left, const char* fill, const char* middle, const char* right) {
    out << left;
    for (std::size_t i = 0; i < 3; ++i) out << (i ? middle : "") << Repeat(fill, widths[i] + 2);
    out << right << '\n';
  };
  const auto print = [&](const std::vector<std::string>& row, const char* bar) {
    out << bar << ' ' << Fit(row[0], widths[0]) << ' ' << bar << ' ' << Fit(row[1], widths[1]) << ' ' << bar << ' '
        << std::string(widths[2] - std::min(widths[2], Columns(row[2])), ' ') << row[2] << ' ' << bar << '\n';
  };
  out << "Model: \"" << name() << "\"\n";
  line("┏", "━", "┳", "┓");
  print(head, "┃");
  line("┡", "━", "╇", "┩");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) line("├", "─", "┼", "┤");
    print(rows[i], "│");
  }
  line("└", "─", "┴", "┘");
  std::int64_t trainable = 0, frozen = 0, trainable_bytes = 0, frozen_bytes = 0;
  for (const Variable& v : variables()) {
    if (v.dtype() == DType::kU64) continue;
    const std::int64_t n = v.shape().size().value();
    (v.trainable() ? trainable : frozen) += n;
    (v.trainable() ? trainable_bytes : frozen_bytes) += n * dtype_bits(v.dtype()) / 8;
  }
  const auto total = [&](const char* what, std::int64_t n, std::int64_t bytes) {
    out << ' ' << what << ": " << Thousands(n) << " (" << Bytes(static_cast<double>(bytes)) << ")\n";
  };
  total("Total params", trainable + frozen, trainable_bytes + frozen_bytes);
  total("Trainable params", trainable, trainable_bytes);
  total("Non-trainable params", frozen, frozen_bytes);
  out.flush();
}

}  // namespace tenon::keras
