#include "data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "test_data.h"

namespace tenon::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Table Parse(std::string_view text, const CsvOptions& options = {}) {
  Result<Table> table = ParseCsv(text, "x.csv", options);
  EXPECT_TRUE(table.ok()) << table.status().message();
  return table.ok() ? *table : Table();
}

TEST(Csv, TypesOfColumns) {
  const Table t = Parse("id,size,name,gap\n1,2.5,one,7\n-2,3e2,two,\n+3, 4 ,3,9\n");
  EXPECT_THAT(t.names, ElementsAre("id", "size", "name", "gap"));
  EXPECT_EQ(t.rows(), 3);
  EXPECT_EQ(t.columns[0].to_string(), "i64[3] {1, -2, 3}");
  EXPECT_EQ(t.columns[1].to_string(), "f32[3] {2.5, 300, 4}");
  EXPECT_EQ(t.columns[2].to_string(), "string[3] {\"one\", \"two\", \"3\"}");
  EXPECT_EQ(t.columns[3].to_string(), "f32[3] {7, nan, 9}") << "a missing value makes integers floats";
  EXPECT_EQ(t.column("size").value().dtype(), DType::kF32);
  const Status none = t.column("sizes").status();
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_THAT(none.message(), HasSubstr("id, size, name, gap"));
  EXPECT_EQ(Parse("a\n9223372036854775808\n").columns[0].dtype(), DType::kF32) << "beyond i64";
  EXPECT_EQ(Parse("a\n1.5\n", {.floats = DType::kF64}).columns[0].dtype(), DType::kF64);
  EXPECT_EQ(Parse("a\n1e999\n-1e999\n").columns[0].to_string(), "f32[2] {inf, -inf}");
}

TEST(Csv, QuotesAndLineEnds) {
  const Table t = Parse("\xef\xbb\xbf\"a, b\",\"c\"\"d\"\r\n\"x\ny\",\"\"\r\n\r\n\"\"\"\",plain\r\n,\"1\n\"");
  EXPECT_THAT(t.names, ElementsAre("a, b", "c\"d"));
  EXPECT_THAT(t.columns[0].strings(), ElementsAre("x\ny", "\"", ""));
  EXPECT_THAT(t.columns[1].strings(), ElementsAre("", "plain", "1\n"));
  EXPECT_THAT(Parse("a,b\n1,").columns[1].to_string(), "f32[1] {nan}") << "an empty last field at the end";
  EXPECT_EQ(Parse("a\n\"140\"\n").columns[0].dtype(), DType::kI64) << "quoted numbers are numbers";
}

TEST(Csv, Headers) {
  EXPECT_THAT(Parse("5.1,x\n4,y\n").names, ElementsAre("0", "1"));
  EXPECT_EQ(Parse("5.1,x\n4,y\n").rows(), 2);
  EXPECT_THAT(Parse("2020,2021\n1,2\n", {.header = CsvHeader::kYes}).names, ElementsAre("2020", "2021"));
  EXPECT_EQ(Parse("a,b\nc,d\n", {.header = CsvHeader::kNo}).rows(), 2);
  EXPECT_THAT(Parse("a,b\n1,2\n", {.names = {"x", "y"}}).names, ElementsAre("x", "y"));
  const Table r = Parse("\"t\",\"u\"\n\"140\",1,2\n\"141\",3,4\n");
  EXPECT_THAT(r.names, ElementsAre("index", "t", "u"));
  EXPECT_EQ(r.columns[0].to_string(), "i64[2] {140, 141}");
  EXPECT_EQ(Parse("a,b\n").columns[1].to_string(), "f32[0] {}");
}

TEST(Csv, OtherDelimitersAndComments) {
  EXPECT_EQ(Parse("a;b\n1;2\n", {.delimiter = ';'}).columns[1].to_string(), "i64[1] {2}");
  EXPECT_EQ(Parse("# note\na\tb\n#\n1\t2", {.delimiter = '\t', .comment = '#'}).columns[1].to_string(), "i64[1] {2}");
  const Table t = Parse("  1   2.5\t3  \n \n 4 5 6\n", {.delimiter = ' '});
  EXPECT_EQ(t.columns.size(), 3U);
  EXPECT_EQ(t.columns[1].to_string(), "f32[2] {2.5, 5}");
}

TEST(Csv, GivenTypes) {
  const Table t = Parse("a,b,c\n1,true,007\n0,False,8\n",
                        {.dtypes = {{"a", DType::kBool}, {"b", DType::kBool}, {"c", DType::kString}}});
  EXPECT_EQ(t.columns[0].to_string(), "bool[2] {1, 0}");
  EXPECT_EQ(t.columns[1].to_string(), "bool[2] {1, 0}");
  EXPECT_THAT(t.columns[2].strings(), ElementsAre("007", "8"));
}

TEST(Csv, ErrorsNameTheLine) {
  const auto error = [](std::string_view text, const CsvOptions& options = {}) {
    const Result<Table> table = ParseCsv(text, "x.csv", options);
    EXPECT_EQ(table.status().code(), Code::kInvalidArgument) << text;
    return table.status().message();
  };
  EXPECT_EQ(error("a,b\n1,2\n\n3\n"), "x.csv:4: got 1 fields, expected 2 as before");
  EXPECT_EQ(error("a,b\n\"1\n\n\",2\n3,4,5\n"), "x.csv:5: got 3 fields, expected 2 as before");
  EXPECT_THAT(error("a\n1\n\"open\n2\n"), HasSubstr("x.csv:3: a field starts with a quote that is never closed"));
  EXPECT_THAT(error("a,b\n\"x\"y,2\n"), HasSubstr("x.csv:2: got text after the closing quote"));
  EXPECT_EQ(error("a\n1\nx\n", {.dtypes = {{"a", DType::kI64}}}), "x.csv:3: column \"a\": got \"x\", expected i64");
  EXPECT_EQ(error("a\n300\n", {.dtypes = {{"a", DType::kU8}}}), "x.csv:2: column \"a\": got \"300\", expected u8");
  EXPECT_EQ(error("a\n\"\"\n", {.dtypes = {{"a", DType::kI32}}}), "x.csv:2: column \"a\": got \"\", expected i32");
  EXPECT_THAT(error("a,a\n1,2\n"), HasSubstr("two columns are named \"a\""));
  EXPECT_THAT(error("a\n1\n", {.dtypes = {{"b", DType::kI64}}}), HasSubstr("no such column"));
  EXPECT_THAT(error("a\n1\n", {.dtypes = {{"a", DType::kC64}}}), HasSubstr("got dtype c64"));
  EXPECT_THAT(error("a,b\n1,2\n", {.names = {"x"}}), HasSubstr("1 names for 2 columns"));
  EXPECT_THAT(error(""), HasSubstr("has no lines"));
  EXPECT_THAT(error("\n\r\n"), HasSubstr("has no lines"));
  EXPECT_THAT(error("a\n", {.delimiter = '"'}), HasSubstr("delimiter"));
}

TEST(Csv, MatrixAndCategories) {
  const Table t = Parse("x,y,kind\n1,2.5,b\n3,4,a\n");
  EXPECT_EQ(t.matrix({"y", "x"}).value().to_string(), "f32[2, 2] {2.5, 1, 4, 3}");
  EXPECT_EQ(t.matrix({"x"}, DType::kF64).value().to_string(), "f64[2, 1] {1, 3}");
  EXPECT_EQ(t.matrix().status().code(), Code::kInvalidArgument) << "kind holds strings";
  EXPECT_EQ(t.matrix({"z"}).status().code(), Code::kNotFound);
  const auto [codes, classes] = Categories(t.column("kind").value());
  EXPECT_EQ(codes.to_string(), "i64[2] {1, 0}");
  EXPECT_THAT(classes, ElementsAre("a", "b"));
  EXPECT_THROW((void)Categories(t.columns[0]), Error);
}

TEST(Csv, FilesOfTheField) {
  TENON_TEST_DATA_OR_SKIP(folder, "data/tabular");
  const Table mpg = ReadCsv(folder + "/seaborn/mpg.csv").value();
  EXPECT_EQ(mpg.rows(), 398);
  EXPECT_EQ(mpg.column("cylinders").value().dtype(), DType::kI64);
  const Literal power = mpg.column("horsepower").value();
  std::int64_t missing = 0;
  for (const float x : power.data<float>()) missing += std::isnan(x);
  EXPECT_EQ(missing, 6);
  EXPECT_EQ(ReadCsv(folder + "/jbrownlee/iris.csv").value().rows(), 150);
  EXPECT_EQ(ReadCsv(folder + "/jbrownlee/pima-indians-diabetes.csv").value().matrix().value().dims(),
            (std::vector<std::int64_t>{768, 9}));
  EXPECT_EQ(ReadCsv(folder + "/jbrownlee/housing.data", {.delimiter = ' '}).value().matrix().value().dims(),
            (std::vector<std::int64_t>{506, 14}));
  EXPECT_EQ(ReadCsv(folder + "/uci/optdigits.tra").value().matrix().value().dims(),
            (std::vector<std::int64_t>{3823, 65}));
  const Table room = ReadCsv(folder + "/uci/datatest.txt").value();
  EXPECT_THAT(room.names,
              ElementsAre("index", "date", "Temperature", "Humidity", "Light", "CO2", "HumidityRatio", "Occupancy"));
  EXPECT_EQ(room.rows(), 2665);
}

}  // namespace
}  // namespace tenon::data
