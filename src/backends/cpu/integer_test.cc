// Products and convolutions of i32, with numbers inside and outside of 16 bits, bit for bit as the reference.
#include <array>
#include <random>

#include "backends/cpu/test_util.h"

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

Literal Draw(const Dims& dims, std::int64_t low, std::int64_t high, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<std::int64_t> draw(low, high);
  std::int64_t size = 1;
  for (const std::int64_t d : dims) size *= d;
  Dims values;
  for (std::int64_t i = 0; i < size; ++i) values.push_back(draw(generator));
  return ir::FromInts(DType::kI32, dims, values);
}

// Both operands given at run time, and the second one as a constant.
void CheckBoth(std::string_view op, const ir::Attrs& attrs, const Literal& x, const Literal& y) {
  for (const bool constant : {false, true}) {
    ir::Graph g;
    ir::Builder b(&g);
    const ir::Value in = b.Input("x", ir::Type::Of(x)), by = constant ? b.Constant(y) : b.Input("y", ir::Type::Of(y));
    g.set_outputs({b.Add(op, {in, by}, attrs)});
    ASSERT_TRUE(b.ok()) << b.status().message();
    const std::vector<Literal> inputs = constant ? std::vector<Literal>{x} : std::vector<Literal>{x, y};
    for (const int threads : {1, 3}) {
      runtime::CompileOptions options;
      options.threads = threads;
      const std::string plan = Check(g, inputs, options, 0);
      EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
    }
  }
}

TEST(Integers, Products) {
  const ir::Attrs rows = {{"lhs_contract", Dims{1}}, {"rhs_contract", Dims{0}}};
  for (const auto& [m, n, k] :
       {std::array<std::int64_t, 3>{1, 1, 1}, {3, 5, 7}, {70, 33, 64}, {9, 130, 257}, {200, 32, 16}})
    CheckBoth("dot_general", rows, Draw({m, k}, -255, 255, 1), Draw({k, n}, -128, 127, 2));
  // The ends of 16 bits, whose products reach the ends of 32.
  CheckBoth("dot_general", rows, Draw({9, 40}, -32768, -32767, 3), Draw({40, 17}, -32768, -32768, 4));
  // Beyond them: in some rows, in the second operand, in both.
  Literal some = Draw({150, 20}, -100, 100, 5);
  some.mutable_data<std::int32_t>()[77 * 20 + 3] = 40000;
  some.mutable_data<std::int32_t>()[3] = INT32_MIN;
  CheckBoth("dot_general", rows, some, Draw({20, 40}, -100, 100, 6));
  CheckBoth("dot_general", rows, Draw({30, 20}, -9, 9, 7), Draw({20, 40}, -32769, 32768, 8));
  CheckBoth("dot_general", rows, Draw({30, 20}, INT32_MIN, INT32_MAX, 9), Draw({20, 40}, INT32_MIN, INT32_MAX, 10));
  // Batches and axes anywhere.
  CheckBoth(
      "dot_general",
      {{"lhs_contract", Dims{0, 3}}, {"rhs_contract", Dims{3, 0}}, {"lhs_batch", Dims{1}}, {"rhs_batch", Dims{2}}},
      Draw({4, 3, 5, 6}, -200, 200, 11), Draw({6, 7, 3, 4}, -200, 200, 12));
}

TEST(Integers, Convolutions) {
  struct Case {
    Dims x, kernel;
    ir::Attrs attrs;
  };
  const std::vector<Case> cases = {
      {{2, 9, 8, 3}, {3, 3, 3, 5}, {{"padding", Dims{1, 1, 1, 1}}}},
      {{1, 11, 10, 8},
       {3, 2, 4, 6},
       {{"groups", std::int64_t{2}}, {"strides", Dims{2, 1}}, {"padding", Dims{0, 2, 1, 0}}}},
      {{2, 9, 9, 70},
       {3, 3, 1, 70},
       {{"groups", std::int64_t{70}}, {"padding", Dims{1, 1, 1, 1}}, {"strides", Dims{2, 2}}}},
      {{1, 7, 7, 4}, {3, 3, 1, 8}, {{"groups", std::int64_t{4}}, {"dilations", Dims{2, 1}}}},
      {{2, 3, 8, 9},
       {5, 3, 3, 3},
       {{"layout", std::string("NCHW")},
        {"kernel_layout", std::string("OIHW")},
        {"auto_pad", std::string("same_upper")},
        {"strides", Dims{2, 3}}}},
      {{2, 6, 9, 8},
       {6, 1, 3, 5},
       {{"layout", std::string("NCHW")},
        {"kernel_layout", std::string("OIHW")},
        {"groups", std::int64_t{6}},
        {"strides", Dims{1, 2}},
        {"padding", Dims{1, 1, 2, 3}},
        {"dilations", Dims{2, 1}}}},
      {{1, 3, 4, 2},
       {3, 1, 3, 9},
       {{"layout", std::string("NCHW")},
        {"kernel_layout", std::string("OIHW")},
        {"groups", std::int64_t{3}},
        {"padding", Dims{1, 1, 4, 4}}}},
      // One position: the axis of channels has the step that it has where channels stand last.
      {{2, 8, 7, 7},
       {8, 1, 7, 7},
       {{"layout", std::string("NCHW")}, {"kernel_layout", std::string("OIHW")}, {"groups", std::int64_t{8}}}},
      {{2, 3, 7, 2},
       {3, 1, 5, 3},
       {{"layout", std::string("NCHW")},
        {"kernel_layout", std::string("OIHW")},
        {"groups", std::int64_t{3}},
        {"strides", Dims{3, 2}},
        {"padding", Dims{0, 0, 1, 1}}}},
      {{2, 4, 1, 1},
       {4, 1, 3, 3},
       {{"layout", std::string("NCHW")},
        {"kernel_layout", std::string("OIHW")},
        {"groups", std::int64_t{4}},
        {"padding", Dims{1, 1, 1, 1}}}},
      {{2, 7, 7, 8}, {7, 7, 1, 8}, {{"groups", std::int64_t{8}}}},
      {{2, 20, 6}, {5, 6, 9}, {{"padding", Dims{4, 0}}, {"dilations", Dims{3}}}},
      {{1, 4, 5, 6, 2}, {2, 3, 2, 2, 4}, {{"padding", Dims{1, 0, 1, 1, 0, 1}}}},
  };
  for (const Case& c : cases) {
    ir::Attrs attrs = c.attrs;
    if (c.x.size() == 3) attrs.Set("layout", std::string("NWC")), attrs.Set("kernel_layout", std::string("WIO"));
    if (c.x.size() == 5) attrs.Set("layout", std::string("NDHWC")), attrs.Set("kernel_layout", std::string("DHWIO"));
    CheckBoth("conv", attrs, Draw(c.x, -255, 255, 1), Draw(c.kernel, -128, 127, 2));
    CheckBoth("conv", attrs, Draw(c.x, INT32_MIN, INT32_MAX, 3), Draw(c.kernel, -40000, 40000, 4));
  }
}

// One constant whose axes are taken in two orders, and two views of one constant: the last elements stand in one place.
TEST(Integers, OneConstantTwice) {
  const Literal w = Draw({6, 6, 40}, -100, 100, 2), x = Draw({50, 6, 6}, -100, 100, 1);
  {
    ir::Graph g;
    ir::Builder b(&g);
    const ir::Value in = b.Input("x", ir::Type::Of(x)), by = b.Constant(w);
    g.set_outputs({b.Add("dot_general", {in, by}, {{"lhs_contract", Dims{1, 2}}, {"rhs_contract", Dims{0, 1}}}),
                   b.Add("dot_general", {in, by}, {{"lhs_contract", Dims{1, 2}}, {"rhs_contract", Dims{1, 0}}})});
    ASSERT_TRUE(b.ok()) << b.status().message();
    const std::string plan = Check(g, {x}, {}, 0);
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
  ir::Graph g;
  ir::Builder b(&g);
  const Literal images = Draw({2, 5, 8, 8}, -100, 100, 3), kernel = Draw({7, 5, 2, 3}, -100, 100, 4),
                rows = Draw({9, 30}, -100, 100, 5);
  const ir::Value in = b.Input("images", ir::Type::Of(images)), other = b.Input("rows", ir::Type::Of(rows)),
                  by = b.Constant(kernel);
  const auto view = [&](const Dims& dims) {
    return b.Add("reshape", {by}, {{"dims", Shape(std::span<const std::int64_t>(dims))}});
  };
  const ir::Attrs layout = {{"layout", std::string("NCHW")}, {"kernel_layout", std::string("OIHW")}};
  g.set_outputs({b.Add("conv", {in, by}, layout), b.Add("conv", {in, view({7, 5, 3, 2})}, layout),
                 b.Add("dot_general", {other, view({7, 30})}, {{"lhs_contract", Dims{1}}, {"rhs_contract", Dims{1}}})});
  ASSERT_TRUE(b.ok()) << b.status().message();
  const std::string plan = Check(g, {images, rows}, {}, 0);
  EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
}

}  // namespace
}  // namespace tenon::cpu
