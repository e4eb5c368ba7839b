#include "ops/pool_util.h"
#include "ops/window_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// (x dims, y dims, attributes); the ops pick what they take.
struct Case {
  std::string name;
  Longs x, y;
  Attrs attrs;
  std::string error = {};
};
std::vector<Case> Cases(bool average) {
  const auto window = [](Longs w) { return std::pair<std::string_view, Attr>{"window", std::move(w)}; };
  const auto longs = [](std::string_view name, Longs v) {
    return std::pair<std::string_view, Attr>{name, std::move(v)};
  };
  const auto text = [](std::string_view name, std::string v) {
    return std::pair<std::string_view, Attr>{name, std::move(v)};
  };
  std::vector<Case> cases = {
      {"plain", {2, 4, 6, 2}, {2, 2, 2, 2}, {window({2, 3})}},
      {"overlap", {1, 4, 5, 1}, {1, 3, 3, 1}, {window({2, 3}), longs("strides", {1, 1})}},
      {"padded",
       {1, 4, 5, 1},
       {1, 2, 3, 1},
       {window({3, 2}), longs("strides", {2, 2}), longs("padding", {1, 0, 0, 1})}},
      {"dilated", {1, 5, 4, 1}, {1, 3, 4, 1}, {window({2, 1}), longs("strides", {1, 1}), longs("dilations", {2, 1})}},
      {"ceil", {1, 5, 6, 1}, {1, 3, 3, 1}, {window({2, 3}), longs("strides", {2, 2}), {"ceil_mode", true}}},
      {"ceil_padded",
       {1, 5, 4, 1},
       {1, 3, 3, 1},
       {window({3, 3}), longs("strides", {2, 2}), longs("padding", {1, 1, 1, 1}), {"ceil_mode", true}}},
      {"same_upper",
       {1, 5, 4, 1},
       {1, 3, 2, 1},
       {window({2, 3}), longs("strides", {2, 2}), text("auto_pad", "same_upper")}},
      {"same_lower",
       {1, 5, 4, 1},
       {1, 3, 2, 1},
       {window({2, 3}), longs("strides", {2, 2}), text("auto_pad", "same_lower")}},
      {"channels_first", {1, 2, 4, 4}, {1, 2, 2, 2}, {window({2, 2}), text("layout", "NCHW")}},
      {"line", {2, 6, 1}, {2, 3, 1}, {window({2}), text("layout", "NWC")}},
      {"volume", {1, 1, 2, 4, 3}, {1, 1, 1, 2, 3}, {window({2, 2, 1}), text("layout", "NCDHW")}},
      {"empty_batch", {0, 4, 4, 1}, {0, 2, 2, 1}, {window({2, 2})}},
      {"layout", {1, 4, 4, 1}, {1, 2, 2, 1}, {window({2, 2}), text("layout", "HWNC")}, "c1"},
      {"rank", {4, 4, 1}, {2, 2, 1}, {window({2, 2})}, "c1"},
      {"window", {1, 4, 4, 1}, {1, 2, 2, 1}, {window({2})}, "c2"},
      {"zero_window", {1, 4, 4, 1}, {1, 2, 2, 1}, {window({2, 0})}, "c2"},
      {"too_small", {1, 2, 4, 1}, {1, 1, 2, 1}, {window({3, 2})}, "c3"},
  };
  if (average) {
    cases.push_back(
        {"include_pad",
         {1, 4, 5, 1},
         {1, 2, 3, 1},
         {window({3, 2}), longs("strides", {2, 2}), longs("padding", {1, 0, 0, 1}), {"count_include_pad", true}}});
    cases.push_back({"include_pad_ceil",
                     {1, 6, 4, 1},
                     {1, 4, 2, 1},
                     {window({3, 2}),
                      longs("strides", {2, 2}),
                      longs("padding", {1, 1, 0, 0}),
                      {"ceil_mode", true},
                      {"count_include_pad", true}}});
  }
  return cases;
}
enum class Takes { kX, kDyX, kXX };
std::vector<Sample> SamplesFor(bool average, Takes takes) {
  std::vector<Sample> samples;
  for (const Case& c : Cases(average)) {
    Sample s{.name = c.name, .attrs = c.attrs, .error = c.error};
    const Literal x = average ? Random(c.x, 1) : Distinct(c.x, 1);
    if (takes == Takes::kX) s.inputs = {x};
    if (takes == Takes::kDyX) s.inputs = {Random(c.y, 2), x};
    if (takes == Takes::kXX) s.inputs = {Random(c.x, 3), x};
    samples.push_back(std::move(s));
  }
  if (takes != Takes::kX)
    samples.push_back({.name = "dims",
                       .inputs = {Random({1, 3, 3, 1}, 4), Random({1, 4, 4, 1}, 5)},
                       .attrs = {{"window", Longs{2, 2}}},
                       .error = "c4"});
  if (!average) {
    Sample ties{.name = "ties", .attrs = {{"window", Longs{2, 2}}}, .gradient = false};
    const Literal x = Values({1, 2, 4, 1}, {1, 1, 0, 2, 1, 0, 2, 2});
    if (takes == Takes::kX) ties.inputs = {x};
    if (takes == Takes::kDyX) ties.inputs = {Values({1, 1, 2, 1}, {3, 5}), x};
    if (takes == Takes::kXX) ties.inputs = {Random({1, 2, 4, 1}, 6), x};
    samples.push_back(std::move(ties));
  }
  return samples;
}

}  // namespace

std::vector<Sample> MaxPoolSamples() { return SamplesFor(false, Takes::kX); }
std::vector<Sample> MaxPoolGradSamples() { return SamplesFor(false, Takes::kDyX); }
std::vector<Sample> MaxPoolGatherSamples() { return SamplesFor(false, Takes::kXX); }
std::vector<Sample> AvgPoolSamples() { return SamplesFor(true, Takes::kX); }
std::vector<Sample> AvgPoolGradSamples() { return SamplesFor(true, Takes::kDyX); }
std::vector<Sample> GlobalPoolSamples() {
  return {
      {.name = "last", .inputs = {Random({2, 3, 2, 2}, 1)}},
      {.name = "first_keep",
       .inputs = {Random({2, 2, 3, 2}, 2)},
       .attrs = {{"layout", std::string("NCHW")}, {"keep_dims", true}}},
      {.name = "line", .inputs = {Random({2, 5, 2}, 3)}, .attrs = {{"layout", std::string("NWC")}}},
      {.name = "empty_batch", .inputs = {Random({0, 2, 2, 3}, 4)}},
      {.name = "layout", .inputs = {Random({1, 2, 2, 1}, 5)}, .attrs = {{"layout", std::string("HW")}}, .error = "c1"},
      {.name = "rank", .inputs = {Random({2, 2, 1}, 6)}, .error = "c1"}};
}

}  // namespace tenon::ir::ops
