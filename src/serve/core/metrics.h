// Metrics: counters, gauges and histograms with labels, and the text that Prometheus reads.
//
// The text. For each family "# TYPE name kind", then one line a sample: name{label="value",…} number. Histograms have
// name_bucket{…,le="bound"} with the count of all values at most that bound, the last bound being +Inf, then name_sum
// and name_count. Braces are there even without labels.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon::serve {

/// A number that only grows. Any thread.
class Counter {
 public:
  void Add(double n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// A number that goes up and down. Any thread.
class Gauge {
 public:
  void Set(double v) { value_.store(v, std::memory_order_relaxed); }
  void Add(double n) { value_.fetch_add(n, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Counts of values by bucket. Any thread.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // ascending; one more bucket takes what is above
  void Observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  std::uint64_t bucket(std::size_t i) const { return counts_[i].load(std::memory_order_relaxed); }  // i <= bounds
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  std::uint64_t count() const;
  /// The value below which a share `q` of the values lies, interpolated within its bucket; 0 when there are none.
  double Quantile(double q) const;

 private:
  const std::vector<double> bounds_;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

/// scale, scale * growth, …: `count` bounds.
std::vector<double> ExponentialBounds(double scale, double growth, int count);

/// The metrics of one process part. Families are made once and live as long as the registry; cells are made when a
/// label set is seen first and live until they are erased. A label is kept up to 256 bytes; a longer one ends with a
/// hash of all its bytes. A family holds at most kMaxCells label sets; values of further ones go to a cell whose every
/// label is
/// "_other", so that no client can make it grow. Thread-safe.
class Metrics {
 public:
  static constexpr std::size_t kMaxCells = 2000;

  class FamilyBase {
   public:
    FamilyBase(std::string name, std::string_view kind, std::vector<std::string> labels)
        : name_(std::move(name)), kind_(kind), labels_(std::move(labels)) {}
    virtual ~FamilyBase() = default;
    virtual void Write(std::string& out) const = 0;
    const std::string& name() const { return name_; }
    /// The values as ForEach shows them: each cut to its length and followed by NUL.
    static std::string KeyOf(std::initializer_list<std::string_view> values);

   protected:
    std::string OtherKey() const;
    std::string LabelText(std::string_view key) const;  // a="x",b="y"
    void WriteType(std::string& out) const;
    const std::string name_, kind_;
    const std::vector<std::string> labels_;
  };

  template <class T>
  class Family : public FamilyBase {
   public:
    using Make = std::function<std::unique_ptr<T>()>;
    Family(std::string name, std::string_view kind, std::vector<std::string> labels, Make make)
        : FamilyBase(std::move(name), kind, std::move(labels)), make_(std::move(make)) {
      if (labels_.empty()) At({});  // a family without labels is there from the start
    }
    /// One value for each label, in their order. The reference stays valid until the cell is erased.
    T& At(std::initializer_list<std::string_view> values) {
      std::string key = KeyOf(values);
      {
        const std::shared_lock lock(mutex_);
        if (const auto it = cells_.find(key); it != cells_.end()) return *it->second;
      }
      const std::unique_lock lock(mutex_);
      if (cells_.size() >= kMaxCells && !cells_.contains(key)) key = OtherKey();
      if (const auto it = cells_.find(key); it != cells_.end()) return *it->second;
      std::unique_ptr<T> made = make_();  // first: without memory there is no cell, and none that is empty
      return *cells_.emplace(std::move(key), std::move(made)).first->second;
    }
    /// Calls `visit(label values joined by NUL, cell)` for each cell.
    template <class Visit>
    void ForEach(Visit visit) const {
      const std::shared_lock lock(mutex_);
      for (const auto& [key, cell] : cells_) visit(std::string_view(key), *cell);
    }
    /// Forgets the cells whose first labels these are. No reference to them may be in use.
    void Erase(std::initializer_list<std::string_view> first) {
      const std::string prefix = KeyOf(first);
      const std::unique_lock lock(mutex_);
      std::erase_if(cells_, [&](const auto& cell) { return cell.first.starts_with(prefix); });
    }
    void Write(std::string& out) const override;

   private:
    const Make make_;
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, std::unique_ptr<T>> cells_;
  };

  Family<Counter>& AddCounter(std::string name, std::vector<std::string> labels);
  Family<Gauge>& AddGauge(std::string name, std::vector<std::string> labels);
  Family<Histogram>& AddHistogram(std::string name, std::vector<std::string> labels, std::vector<double> bounds);

  /// Called before each Text, to set gauges. Must not call Text.
  void OnScrape(std::function<void()> collect);
  std::string Text() const;

 private:
  template <class T>
  Family<T>& Keep(std::unique_ptr<Family<T>> family);
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<FamilyBase>> families_;  // in the order of their making
  std::vector<std::function<void()>> collect_;
};

}  // namespace tenon::serve
