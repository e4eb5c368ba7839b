#include "serve/core/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace tenon::serve {
namespace {

void AppendEscaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
}

std::string NumberText(double v) {
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  if (v == std::floor(v) && std::abs(v) < 1e15) return fmt::format("{}", static_cast<std::int64_t>(v));
  return fmt::format("{:.9g}", v);
}

void Line(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
          std::string_view more, double value) {
  out.append(name).append(suffix).append("{").append(labels);
  if (!labels.empty() && !more.empty()) out += ',';
  out.append(more).append("} ").append(NumberText(value)).append("\n");
}

void WriteCell(std::string& out, std::string_view name, std::string_view labels, const Counter& cell) {
  Line(out, name, "", labels, "", cell.value());
}
void WriteCell(std::string& out, std::string_view name, std::string_view labels, const Gauge& cell) {
  Line(out, name, "", labels, "", cell.value());
}
void WriteCell(std::string& out, std::string_view name, std::string_view labels, const Histogram& cell) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < cell.bounds().size(); ++i) {
    total += cell.bucket(i);
    Line(out, name, "_bucket", labels, fmt::format("le=\"{:.6g}\"", cell.bounds()[i]), static_cast<double>(total));
  }
  total += cell.bucket(cell.bounds().size());
  Line(out, name, "_bucket", labels, "le=\"+Inf\"", static_cast<double>(total));
  Line(out, name, "_sum", labels, "", cell.sum());
  Line(out, name, "_count", labels, "", static_cast<double>(total));
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(new std::atomic<std::uint64_t>[bounds_.size() + 1]()) {}

void Histogram::Observe(double value) {
  const auto at = static_cast<std::size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin());
  counts_[at].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t n = 0;
  for (std::size_t i = 0; i <= bounds_.size(); ++i) n += bucket(i);
  return n;
}

double Histogram::Quantile(double q) const {
  const std::uint64_t n = count();
  if (n == 0) return 0;
  const double rank = q * static_cast<double>(n);
  double below = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    const auto here = static_cast<double>(bucket(i));
    if (here > 0 && below + here >= rank) {
      const double from = i == 0 ? 0 : bounds_[i - 1];
      return from + (bounds_[i] - from) * (rank - below) / here;
    }
    below += here;
  }
  return bounds_.empty() ? 0 : bounds_.back();
}

std::vector<double> ExponentialBounds(double scale, double growth, int count) {
  std::vector<double> out;
  for (double bound = scale; static_cast<int>(out.size()) < count; bound *= growth) out.push_back(bound);
  return out;
}

std::string Metrics::FamilyBase::KeyOf(std::initializer_list<std::string_view> values) {
  std::string key;
  for (const std::string_view value : values) {
    constexpr std::size_t kMost = 256, kHash = 17;
    if (value.size() <= kMost)
      key += value;
    else
      key += fmt::format("{}~{:016x}", value.substr(0, kMost - kHash), std::hash<std::string_view>()(value));
    key += '\0';
  }
  return key;
}

std::string Metrics::FamilyBase::OtherKey() const {
  std::string key;
  for (std::size_t i = 0; i < labels_.size(); ++i) key.append("_other").push_back('\0');
  return key;
}

std::string Metrics::FamilyBase::LabelText(std::string_view key) const {
  std::string out;
  for (const std::string& label : labels_) {
    const std::size_t end = std::min(key.find('\0'), key.size());
    if (!out.empty()) out += ',';
    out.append(label).append("=\"");
    AppendEscaped(out, key.substr(0, end));
    out += '"';
    key.remove_prefix(std::min(end + 1, key.size()));
  }
  return out;
}

void Metrics::FamilyBase::WriteType(std::string& out) const { out += fmt::format("# TYPE {} {}\n", name_, kind_); }

template <class T>
void Metrics::Family<T>::Write(std::string& out) const {
  const std::shared_lock lock(mutex_);
  WriteType(out);
  std::map<std::string_view, const T*> sorted;  // the same order at every scrape
  for (const auto& [key, cell] : cells_) sorted.emplace(key, cell.get());
  for (const auto& [key, cell] : sorted) WriteCell(out, name_, LabelText(key), *cell);
}

template <class T>
Metrics::Family<T>& Metrics::Keep(std::unique_ptr<Family<T>> family) {
  const std::lock_guard lock(mutex_);
  families_.push_back(std::move(family));
  return static_cast<Family<T>&>(*families_.back());
}

Metrics::Family<Counter>& Metrics::AddCounter(std::string name, std::vector<std::string> labels) {
  return Keep(std::make_unique<Family<Counter>>(std::move(name), "counter", std::move(labels),
                                                [] { return std::make_unique<Counter>(); }));
}
Metrics::Family<Gauge>& Metrics::AddGauge(std::string name, std::vector<std::string> labels) {
  return Keep(std::make_unique<Family<Gauge>>(std::move(name), "gauge", std::move(labels),
                                              [] { return std::make_unique<Gauge>(); }));
}
Metrics::Family<Histogram>& Metrics::AddHistogram(std::string name, std::vector<std::string> labels,
                                                  std::vector<double> bounds) {
  return Keep(std::make_unique<Family<Histogram>>(
      std::move(name), "histogram", std::move(labels),
      [bounds = std::move(bounds)] { return std::make_unique<Histogram>(bounds); }));
}

void Metrics::OnScrape(std::function<void()> collect) {
  const std::lock_guard lock(mutex_);
  collect_.push_back(std::move(collect));
}

std::string Metrics::Text() const {
  const std::lock_guard lock(mutex_);
  for (const auto& collect : collect_) collect();
  std::string out;
  for (const auto& family : families_) family->Write(out);
  return out;
}

}  // namespace tenon::serve
