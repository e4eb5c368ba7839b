#include "serve/core/bearer_tokens.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

TEST(BearerTokensTest, OneOfThemWithItsScheme) {
  const BearerTokens tokens({"alpha", "beta-2"});
  for (const char* good : {"Bearer alpha", "bearer beta-2", "BEARER alpha"}) EXPECT_TRUE(tokens.Admit(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("alpha"), std::string("Basic alpha"),
        std::string("Bearer alph"), std::string("Bearer alphaa"), std::string("Bearer alphaalpha"),
        std::string("Bearer  alpha"), std::string("Bearer Alpha"), std::string("Bearer alpha,beta-2"),
        std::string("Bearer\0alpha", 12), std::string("Bearer alpha\0", 13), std::string("[earer alpha")})
    EXPECT_FALSE(tokens.Admit(bad)) << bad;
}

TEST(BearerTokensTest, NoneAdmitsAllAndAnEmptyOneNobody) {
  EXPECT_TRUE(BearerTokens({}).Admit(""));
  EXPECT_TRUE(BearerTokens({}).Admit("Basic x"));
  const BearerTokens empty({""});
  for (const char* given : {"", "Bearer ", "Bearer x"}) EXPECT_FALSE(empty.Admit(given)) << given;
}

}  // namespace
}  // namespace tenon::serve
