#include "serve/grpc/request_tensor.h"

#include <gtest/gtest.h>

#include <optional>

#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::serve::rpc {
namespace {

/// A tensor of n elements that says one value.
std::string Filled(DType dtype, std::int64_t n) {
  proto_wire::Writer w;
  w.Varint(1, static_cast<std::int64_t>(savedmodel::TfOfDType(dtype)));
  savedmodel::WriteShape(w, 2, savedmodel::TfShape{false, {n}});
  if (dtype == DType::kString)
    w.Bytes(8, "t");
  else
    w.Float(5, 2.5F);
  return std::move(w).Take();
}

TEST(RequestTensor, WhatFewBytesFillIsCounted) {
  const auto budget = ByteBudget::Make(32 << 20);
  const std::string small = Filled(DType::kF32, 1000), large = Filled(DType::kF32, 4 << 20);
  const Literal one = RequestTensor(small, nullptr, budget.get()).value();
  EXPECT_EQ(one.at(999), 2.5);
  EXPECT_EQ(budget->used(), 0);
  std::optional<Literal> other = RequestTensor(large, nullptr, budget.get()).value();
  EXPECT_EQ(other->at((4 << 20) - 1), 2.5);
  EXPECT_EQ(budget->used(), 16 << 20);
  const Status full = RequestTensor(large, nullptr, budget.get()).status();
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_NE(full.message().find("--max_inflight_bytes"), std::string::npos) << full.message();
  other.reset();
  EXPECT_EQ(budget->used(), 0);
  EXPECT_TRUE(RequestTensor(large, nullptr, budget.get()).ok());
  EXPECT_TRUE(RequestTensor(large, nullptr, nullptr).ok());
}

TEST(RequestTensor, RepeatedTextsAreFew) {
  EXPECT_EQ(RequestTensor(Filled(DType::kString, 1000), nullptr, nullptr).value().strings()[999], "t");
  EXPECT_EQ(RequestTensor(Filled(DType::kString, 1 << 20), nullptr, nullptr).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::serve::rpc
