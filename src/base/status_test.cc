#include "tenon/status.h"

#include <gtest/gtest.h>

#include <set>

#include "base/status_macros.h"

namespace tenon {
namespace {

TEST(Status, CodesHaveTheNamesOfGrpc) {
  EXPECT_EQ(code_name(Code::kOk), "OK");
  EXPECT_EQ(code_name(Code::kInvalidArgument), "INVALID_ARGUMENT");
  EXPECT_EQ(code_name(static_cast<Code>(16)), "UNAUTHENTICATED");
  std::set<std::string_view> names;
  for (int i = 0; i <= 16; ++i) EXPECT_TRUE(names.insert(code_name(static_cast<Code>(i))).second) << i;
  EXPECT_EQ(code_name(static_cast<Code>(99)), "UNKNOWN");
}

TEST(Status, ContextGoesInFront) {
  EXPECT_EQ(Status(Code::kNotFound, "no file").with_context("load").message(), "load: no file");
  EXPECT_EQ(Status(Code::kNotFound, "no file").with_context("load").code(), Code::kNotFound);
  EXPECT_EQ(Status().with_context("load"), Status());
}

TEST(Result, HoldsAValueOrAStatus) {
  Result<std::string> good = "text";
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(good.value(), "text");
  EXPECT_EQ(good->size(), 4U);
  Result<std::string> bad = Status(Code::kDataLoss, "torn");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().message(), "torn");
  try {
    (void)bad.value();
    FAIL() << "value() of an error must throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.status().code(), Code::kDataLoss);
    EXPECT_STREQ(e.what(), "torn");
  }
  const Result<int> odd = Status();
  EXPECT_EQ(odd.status().code(), Code::kInternal) << "an ok status is no value";
}

TEST(Result, OfVoidIsAStatus) {
  Result<void> good;
  EXPECT_NO_THROW(good.value());
  Result<void> bad = Status(Code::kAborted, "stop");
  EXPECT_THROW(bad.value(), Error);
  EXPECT_EQ(bad.status().code(), Code::kAborted);
}

Result<std::unique_ptr<int>> Half(int n) {
  if (n % 2 != 0) return Status(Code::kInvalidArgument, "odd");
  return std::make_unique<int>(n / 2);
}
Result<int> Quarter(int n) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<int> half, Half(n));
  TENON_RETURN_IF_ERROR(Half(*half));
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<int> quarter, Half(*half));
  return *quarter;
}

TEST(Macros, ReturnTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_EQ(Quarter(3).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tenon
