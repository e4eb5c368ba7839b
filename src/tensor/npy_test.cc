#include "tensor/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::npy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A file by hand: the dict, padded with spaces, and the bytes of the elements.
std::string File(const std::string& dict, const std::string& elements, int version = 1) {
  std::string text = dict + std::string(20, ' ') + "\n";
  std::string out = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  out += static_cast<char>(text.size());
  out += '\0';
  if (version > 1) out += std::string(2, '\0');
  return out + text + elements;
}
std::string Dict(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}
Result<Literal> Parse(const std::string& file) { return ParseNpy(std::as_bytes(std::span(file)), "x.npy"); }
template <class T>
std::string Bytes(std::initializer_list<T> values, bool swap = false) {
  std::string out;
  for (const T value : values) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    if (swap) std::reverse(bytes, bytes + sizeof(T));
    out.append(bytes, sizeof(T));
  }
  return out;
}

TEST(Npy, ReadsEveryVersionAndByteOrder) {
  for (const int version : {1, 2, 3})
    for (const bool swap : {false, true}) {
      const Result<Literal> a =
          Parse(File(Dict(swap ? ">f4" : "<f4", "(2, 2)"), Bytes<float>({1, 2, 3, -0.5F}, swap), version));
      ASSERT_TRUE(a.ok()) << a.status().message();
      EXPECT_EQ(a->dims(), (std::vector<std::int64_t>{2, 2}));
      EXPECT_THAT(a->data<float>(), ElementsAre(1, 2, 3, -0.5F));
    }
  EXPECT_THAT(Parse(File(Dict(">i2", "(2,)"), Bytes<std::int16_t>({1, -2}, true))).value().to_string(),
              "i16[2] {1, -2}");
  EXPECT_THAT(Parse(File(Dict(">u8", "()"), Bytes<std::uint64_t>({1ULL << 63}, true))).value().at(0), 0x1p63);
  const Literal complex = Parse(File(Dict(">c8", "(1,)"), Bytes<float>({3, 4}, true))).value();
  EXPECT_EQ(complex.data<std::complex<float>>()[0], std::complex<float>(3, 4));
}

TEST(Npy, FortranOrderIsTransposed) {
  // Element (i, j, k) is 100 i + 10 j + k; the file has i fastest.
  std::string elements;
  for (std::int32_t k = 0; k < 4; ++k)
    for (std::int32_t j = 0; j < 3; ++j)
      for (std::int32_t i = 0; i < 2; ++i) elements += Bytes<std::int32_t>({100 * i + 10 * j + k});
  const Literal a = Parse(File(Dict("<i4", "(2, 3, 4)", true), elements)).value();
  for (std::int32_t n = 0; n < 24; ++n)
    EXPECT_EQ(a.data<std::int32_t>()[static_cast<std::size_t>(n)], 100 * (n / 12) + 10 * (n / 4 % 3) + n % 4);
  EXPECT_THAT(Parse(File(Dict("|S1", "(2, 2)", true), "acbd")).value().strings(), ElementsAre("a", "b", "c", "d"));
  const Literal big = Parse(File(Dict(">i2", "(2, 2)", true), Bytes<std::int16_t>({1, 3, 2, 4}, true))).value();
  EXPECT_THAT(big.data<std::int16_t>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(Parse(File(Dict("<f4", "(3, 0)", true), "")).value().size(), 0);
}

TEST(Npy, ReadsStringsAndBools) {
  EXPECT_THAT(Parse(File(Dict("|S3", "(2,)"), std::string("ab\0\0c\0", 6))).value().strings(),
              ElementsAre("ab", std::string("\0c", 2)));
  for (const bool swap : {false, true}) {
    const std::string elements = Bytes<std::uint32_t>({0xe9, 0x1f600, 0x41, 0}, swap);
    EXPECT_THAT(Parse(File(Dict(swap ? ">U2" : "<U2", "(2,)"), elements)).value().strings(), ElementsAre("é😀", "A"));
  }
  EXPECT_THAT(Parse(File(Dict("<U0", "(2,)"), "")).value().strings(), ElementsAre("", ""));
  const Literal flags = Parse(File(Dict("|b1", "(3,)"), std::string("\0\1\7", 3))).value();
  EXPECT_EQ(flags.raw()[2], std::byte{1}) << "any byte that is not 0 is true";
  EXPECT_EQ(Parse(File(Dict("<U1", "(1,)"), Bytes<std::uint32_t>({0xd800}))).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Parse(File(Dict("<U1", "(1,)"), Bytes<std::uint32_t>({0x110000}))).status().code(), Code::kInvalidArgument);
}

TEST(Npy, OldAndOddHeaders) {
  EXPECT_EQ(Parse(File("{'shape': (2L, 1L), 'fortran_order': False, 'descr': '|i1'}", "ab")).value().to_string(),
            "i8[2, 1] {97, 98}");
  EXPECT_TRUE(Parse(File("{\"descr\": \"=f8\",\"fortran_order\":True,\"shape\":( 1 , )}", Bytes<double>({1}))).ok());
}

TEST(Npy, WhatCannotBeReadSaysWhy) {
  struct Case {
    std::string file;
    Code code;
    const char* says;
  };
  const std::string four(4, '\0');
  for (const Case& c : {
           Case{"", Code::kInvalidArgument, "no .npy file"},
           Case{"PK\3\4 and more", Code::kInvalidArgument, "no .npy file"},
           Case{"\x93NUMPY\1", Code::kDataLoss, "truncated"},
           Case{File(Dict("<f4", "(1,)"), four, 4), Code::kInvalidArgument, "version 4.0"},
           Case{File(Dict("<f4", "(1,)"), four).substr(0, 40), Code::kDataLoss, "truncated in the header"},
           Case{File(Dict("<f4", "(1,)"), "abc"), Code::kDataLoss, "got 3 bytes of elements for shape [1], expected 4"},
           Case{File(Dict("<f4", "(1,)"), "abcde"), Code::kInvalidArgument, "got 5 bytes"},
           Case{File(Dict("|O", "(1,)"), four), Code::kUnimplemented, "pickle"},
           Case{File(Dict("|V4", "(1,)"), four), Code::kUnimplemented, "records"},
           Case{File(Dict("<M8[ns]", "(1,)"), four + four), Code::kUnimplemented, "dates"},
           Case{File(Dict("<f16", "(1,)"), four), Code::kUnimplemented, "f16"},
           Case{File("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", four), Code::kUnimplemented,
                "structured"},
           Case{File(Dict("<i3", "(1,)"), four), Code::kInvalidArgument, "'<i3'"},
           Case{File(Dict("", "(1,)"), four), Code::kInvalidArgument, "expected one such as"},
           Case{File(Dict("<f4", "(-1,)"), four), Code::kInvalidArgument, "negative"},
           Case{File(Dict("<f4", "(4611686018427387904, 4)"), four), Code::kInvalidArgument, "2^63"},
           Case{File(Dict("<f8", "(4611686018427387904,)"), four), Code::kInvalidArgument, "64 bits"},
           Case{File(Dict("<f4", "(99999999999,)"), four), Code::kDataLoss, "expected 399999999996"},
           Case{File(Dict("<U0", "(99999999999,)"), ""), Code::kInvalidArgument, "empty strings"},
           Case{File(Dict("<U4294967297", "(1,)"), ""), Code::kInvalidArgument, "dtype"},
           Case{File("{'descr': '<f4', 'shape': (1,)}", four), Code::kInvalidArgument, "lacks"},
           Case{File("{'descr': '<f4', 'descr': '<f4'}", four), Code::kInvalidArgument, "once each"},
           Case{File("{'descr': '<f4', 'os': 'x'}", four), Code::kInvalidArgument, "got key 'os'"},
           Case{File("{'descr': '<f4", four), Code::kInvalidArgument, "no dict"},
           Case{File("[1, 2]", four), Code::kInvalidArgument, "no dict"},
           Case{File(Dict("<f4", "(1,)") + "x", four), Code::kInvalidArgument, "no dict"},
           Case{File(Dict("<f4", "(1"), four), Code::kInvalidArgument, "no dict"},
           Case{File("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", four), Code::kInvalidArgument, "no dict"},
       }) {
    const Result<Literal> got = Parse(c.file);
    EXPECT_EQ(got.status().code(), c.code) << c.says << " " << got.status().message();
    EXPECT_THAT(got.status().message(), HasSubstr(c.says));
    EXPECT_THAT(got.status().message(), HasSubstr("x.npy"));
  }
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1,";
  std::string file = File("", four, 2).substr(0, 8);
  const std::string text = Dict("<f4", many + ")");
  file += static_cast<char>(text.size() & 0xff);
  file += static_cast<char>(text.size() >> 8);
  file += std::string(2, '\0') + text + four;
  EXPECT_THAT(Parse(file).status().message(), HasSubstr("got rank 65"));
  EXPECT_THAT(Parse(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)).status().message(), HasSubstr("claims a header"));
}

TEST(Npy, EveryCutOfAFileIsAnError) {
  const std::string whole = WriteNpy(Literal::from<std::int32_t>({2, 2}, {1, 2, 3, 4}));
  ASSERT_TRUE(Parse(whole).ok());
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(Parse(whole.substr(0, n)).ok()) << n;
}

template <Element T>
void RoundTrip() {
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{}, {5}, {2, 3}, {2, 0, 3}, {1, 1, 1, 4}}) {
    Literal literal(DTypeOf<T>::value, dims);
    std::uint8_t next = 1;
    for (std::byte& b : literal.mutable_raw())
      b = static_cast<std::byte>(std::same_as<T, bool> ? next++ % 2 : next++ * 5);
    const std::string file = WriteNpy(literal);
    const Result<Literal> back = Parse(file);
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_EQ((file.size() - literal.nbytes()) % 64, 0U);
    if (std::same_as<T, BFloat16>) {
      EXPECT_EQ(back->dtype(), DType::kU16);
      EXPECT_TRUE(std::equal(literal.raw().begin(), literal.raw().end(), back->raw().begin()));
    } else {
      EXPECT_TRUE(identical(*back, literal)) << back->to_string() << literal.to_string();
    }
  }
}

TEST(Npy, RoundTrips) {
  RoundTrip<bool>(), RoundTrip<std::int8_t>(), RoundTrip<std::int16_t>(), RoundTrip<std::int32_t>();
  RoundTrip<std::int64_t>(), RoundTrip<std::uint8_t>(), RoundTrip<std::uint16_t>(), RoundTrip<std::uint32_t>();
  RoundTrip<std::uint64_t>(), RoundTrip<Half>(), RoundTrip<BFloat16>(), RoundTrip<float>(), RoundTrip<double>();
  RoundTrip<std::complex<float>>(), RoundTrip<std::complex<double>>();
  for (const std::vector<std::string>& strings : std::vector<std::vector<std::string>>{
           {"", ""}, {"é😀x", "a"}, {"\xff\xfe", "abc"}, {"\xc0\x80", "\xed\xa0\x80"}}) {
    const Literal literal = Literal::from_strings({2, 1}, strings);
    EXPECT_TRUE(identical(Parse(WriteNpy(literal)).value(), literal)) << strings[0];
  }
  EXPECT_TRUE(identical(Parse(WriteNpy(Literal(DType::kString, {0}))).value(), Literal(DType::kString, {0})));
}

TEST(Npy, PackedIntegersAreUnpacked) {
  Literal literal(DType::kI4, {3});
  literal.mutable_raw()[0] = std::byte{0x8f};
  literal.mutable_raw()[1] = std::byte{0x07};
  const Literal back = Parse(WriteNpy(literal)).value();
  EXPECT_THAT(back.data<std::int8_t>(), ElementsAre(-1, -8, 7));
}

TEST(Npy, FilesOfTheField) {
  const TemporaryFolder folder;
  const Literal literal = Literal::from<double>({2}, {1, 2});
  ASSERT_TRUE(WriteNpyFile(folder / "a.npy", literal).ok());
  EXPECT_EQ(base::ReadFile(folder / "a.npy").value(), WriteNpy(literal));
  EXPECT_TRUE(identical(ReadNpy(folder / "a.npy").value(), literal));
  EXPECT_EQ(ReadNpy(folder / "none.npy").status().code(), Code::kNotFound);
  TENON_TEST_DATA_OR_SKIP(labels, "data/npy/ovms/tests/performance/labels.npy");
  EXPECT_GT(ReadNpy(labels).value().size(), 0);
  TENON_TEST_DATA_OR_SKIP(hopper, "data/npy/tract/api/py/grace_hopper_1x3x224x244.npy");
  const Literal image = ReadNpy(hopper).value();
  EXPECT_EQ(image.dtype(), DType::kF32);
  EXPECT_EQ(image.rank(), 4);
}

}  // namespace
}  // namespace tenon::npy
