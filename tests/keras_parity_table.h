// Tables of numbers that Keras itself gave: FAMILY.json lists the cases, FAMILY.float32.npz has their arrays under
// "CASE/WHAT". Values are compared with the largest magnitude of the recorded array as the measure.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tenon/keras.h"
#include "tensor/npz.h"
#include "test_data.h"

namespace tenon::parity {

/// `key` of a case's config; `fallback` where it is absent or null.
template <class T>
T Option(const nlohmann::json& config, const std::string& key, const T& fallback) {
  const auto it = config.find(key);
  return it == config.end() || it->is_null() ? fallback : it->get<T>();
}

inline std::optional<double> MaybeNumber(const nlohmann::json& config, const std::string& key) {
  const auto it = config.find(key);
  return it == config.end() || it->is_null() ? std::nullopt : std::optional<double>(it->get<double>());
}

/// How two arrays are compared.
struct Measure {
  double floor = 0;   // stands in for a smaller maximum: where the true value is 0, rounding noise was recorded
  Tensor apart = {};  // elements where this is 0 are not compared
};

/// One family. Counts what ran; what was left out is named, with the reason, when the family is done.
class Table {
 public:
  Table(const std::string& folder, std::string family) : family_(std::move(family)) {
    std::ifstream in(folder + "/" + family_ + ".json");
    cases_ = nlohmann::json::parse(in);
    Result<std::map<std::string, Literal>> arrays = npy::ReadNpz(folder + "/" + family_ + ".float32.npz");
    if (!arrays.ok()) fail(arrays.status());
    arrays_ = std::move(*arrays);
  }
  const nlohmann::json& cases() const { return cases_; }
  bool has(const std::string& id, const std::string& what) const { return arrays_.contains(id + "/" + what); }
  Tensor get(const std::string& id, const std::string& what) const { return Tensor(arrays_.at(id + "/" + what)); }

  /// Runs one case; an exception fails it.
  template <class F>
  void Run(const std::string& id, F&& body) {
    ++ran_;
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, family_ + " " + id);
    try {
      body();
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
  void LeaveOut(const std::string& what) { ++left_out_[what]; }
  /// A family in which no case ran is a failure.
  void Finish() const {
    std::cout << family_ << ": " << ran_ << " of " << cases_.size() << " cases ran, largest relative difference "
              << largest_ << " (" << largest_at_ << ")\n  not offered:";
    for (const auto& [what, n] : left_out_) std::cout << " " << what << " x" << n << ";";
    std::cout << "\n";
    EXPECT_GT(ran_, 0) << family_ << ": no case ran";
  }

  /// `got` has the recorded shape, and no element is further off than tolerance * max(|recorded|).
  void ExpectClose(const Tensor& got, const std::string& id, const std::string& what, double tolerance,
                   const Measure& measure = {}) {
    if (!got.defined()) {
      ADD_FAILURE() << what << " is undefined";
      return;
    }
    const Literal expected = arrays_.at(id + "/" + what), have = got.literal();
    ASSERT_EQ(have.shape(), expected.shape()) << what;
    double scale = measure.floor, worst = 0;
    for (std::int64_t i = 0; i < expected.size(); ++i) scale = std::max(scale, std::fabs(expected.at(i)));
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      if (measure.apart.defined() && measure.apart.literal().at(i) == 0) continue;
      const double difference = std::fabs(have.at(i) - expected.at(i));
      worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
    }
    const double relative = scale == 0 ? worst : worst / scale;
    EXPECT_LE(relative, tolerance) << what << ": got " << got.to_string() << "\nexpected "
                                   << Tensor(expected).to_string();
    if (relative > largest_) {
      largest_ = relative;
      largest_at_ = id + " " + what;
    }
  }

 private:
  std::string family_;
  nlohmann::json cases_;
  std::map<std::string, Literal> arrays_;
  int ran_ = 0;
  double largest_ = 0;
  std::string largest_at_ = "none";
  std::map<std::string, int> left_out_;
};

/// The layer of a serialized config ({"class_name", "config", …}); nothing where the class or an option is not
/// offered, `why` then says which. Arrays of length 1 count as their element.
std::optional<keras::Layer> MakeLayer(const nlohmann::json& saved, std::string& why);

/// The optimizer of a config; nothing where the class or an option is not offered.
std::optional<keras::Optimizer> MakeOptimizer(const std::string& cls, const nlohmann::json& config, std::string& why);

}  // namespace tenon::parity
