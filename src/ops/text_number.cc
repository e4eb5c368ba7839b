// Numbers as texts and back.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "ops/array_util.h"
#include "ops/text_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kText = Only(DType::kString);

// The shortest digits that read back as the same number of that dtype: plain from 1e-4 to below 1e16 ("0.5", "3.0"),
// scientific outside ("1e-05"); NaN, INF, -INF.
template <class T>
std::string FloatText(T x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "INF" : "-INF";
  const T size = std::abs(x);
  char text[512];
  const bool plain = size == 0 || (size >= static_cast<T>(1e-4) && size < static_cast<T>(1e16));
  const auto end =
      std::to_chars(text, text + sizeof(text), x, plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(text, end.ptr);
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

Status InferToText(InferContext& ctx) {
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(DType::kString, ctx.shape(0)) : Type::TensorOfUnknownRank(DType::kString));
  return {};
}
// Half precision prints the digits that tell it from its neighbours: those of the nearest shorter decimal.
std::string NarrowText(double x, DType dtype) {
  if (!std::isfinite(x) || x == 0) return FloatText(static_cast<float>(x));
  for (int digits = 1; digits < 9; ++digits) {
    const std::string text = fmt::format("{:.{}e}", x, digits - 1);
    double back = 0;
    std::from_chars(text.data(), text.data() + text.size(), back);
    if (ToDoubles(FromDoubles(dtype, {1}, {back}))[0] == x) return FloatText(static_cast<float>(back));
  }
  return FloatText(static_cast<float>(x));
}
Status EvalToText(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const DType dtype = x.dtype();
  std::vector<std::string> out;
  out.reserve(Size(x.size()));
  if (dtype == DType::kString) {
    out = x.strings();
  } else if (is_float(dtype)) {
    for (const double v : ToDoubles(x))
      out.push_back(dtype == DType::kF64   ? FloatText(v)
                    : dtype == DType::kF32 ? FloatText(static_cast<float>(v))
                                           : NarrowText(v, dtype));
  } else {
    for (const std::int64_t v : ToInts(x))
      out.push_back(dtype == DType::kBool  ? std::string(v != 0 ? "True" : "False")
                    : dtype == DType::kU64 ? std::to_string(static_cast<std::uint64_t>(v))
                                           : std::to_string(v));
  }
  ctx.Set(0, Literal::from_strings(x.dims(), std::move(out)));
  return {};
}

constexpr DTypeSet kNumberSet = (kStorageSet & ~kComplexSet & ~kText);

// c1: the dtype is a real number or bool.
Status InferFromText(InferContext& ctx) {
  const DType dtype = ctx.attrs().Dtype("dtype");
  if ((kNumberSet & Only(dtype)) == 0)
    return ctx.Fail(1, "got dtype " + std::string(dtype_name(dtype)) + ", expected a real number or bool");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(dtype, ctx.shape(0)) : Type::TensorOfUnknownRank(dtype));
  return {};
}
std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c ^ 0x20) : c;
  return out;
}
// Without white space around it; a + in front is allowed.
std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-' && text[1] != '+') text.remove_prefix(1);
  return text;
}
template <class T>
bool Whole(std::string_view text, T* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}
// A float or a double, rounded once.
template <class T>
bool Number(std::string_view text, T* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (end != text.data() + text.size() || text.empty()) return false;
  if (error == std::errc()) return true;
  if (error != std::errc::result_out_of_range) return false;
  const std::string copy(text);  // infinity, or the nearest to zero
  if constexpr (std::is_same_v<T, float>)
    *out = std::strtof(copy.c_str(), nullptr);
  else
    *out = std::strtod(copy.c_str(), nullptr);
  return true;
}
// The integer that a text holds, when the dtype has it; with a fraction, unless `whole`, what is left without it.
bool Integer(std::string_view text, DType dtype, bool whole, std::int64_t* out) {
  const int bits = dtype_bits(dtype);
  const bool is_signed = is_signed_integer(dtype);
  double number = 0;
  std::uint64_t natural = 0;
  if (Whole(text, out)) {
    if (is_signed)
      return bits == 64 || (*out >= -(std::int64_t{1} << (bits - 1)) && *out < std::int64_t{1} << (bits - 1));
    return *out >= 0 && (bits == 64 || *out < std::int64_t{1} << bits);
  }
  if (Whole(text, &natural)) {  // 2^63 and more
    *out = static_cast<std::int64_t>(natural);
    return !is_signed && bits == 64;
  }
  if (whole || !Number(text, &number)) return false;
  number = std::trunc(number);
  const double end = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  if (!(number >= (is_signed ? -end : 0.0) && number < end)) return false;
  *out = number < 0 ? static_cast<std::int64_t>(number) : static_cast<std::int64_t>(static_cast<std::uint64_t>(number));
  return true;
}
Status EvalFromText(EvalContext& ctx) {
  const DType dtype = ctx.out_dtype();
  const Literal& x = ctx.in(0);
  const bool whole = ctx.attrs().Bool("whole");
  const auto refuse = [&](const std::string& text) {
    return ctx.Fail("got \"" + text.substr(0, 40) + "\", expected a number that reads as " +
                    std::string(dtype_name(dtype)));
  };
  std::vector<double> floats;
  std::vector<std::int64_t> ints;
  for (const std::string& text : x.strings()) {
    const std::string_view trimmed = Trimmed(text);
    double number = 0;
    std::int64_t integer = 0;
    if (dtype == DType::kBool) {
      const std::string word = Lower(trimmed);
      if (word == "true" || word == "false")
        integer = word == "true" ? 1 : 0;
      else if (Number(trimmed, &number))
        integer = number != 0 ? 1 : 0;
      else
        return refuse(text);
      ints.push_back(integer);
    } else if (dtype == DType::kF32) {
      float narrow = 0;
      if (!Number(trimmed, &narrow)) return refuse(text);
      floats.push_back(narrow);
    } else if (is_float(dtype)) {
      if (!Number(trimmed, &number)) return refuse(text);
      floats.push_back(number);
    } else if (Integer(trimmed, dtype, whole, &integer)) {
      ints.push_back(integer);
    } else {
      return refuse(text);
    }
  }
  ctx.Set(0, is_float(dtype) ? FromDoubles(dtype, x.dims(), floats) : FromInts(dtype, x.dims(), ints));
  return {};
}

// c1: a style that there is. c2: a fill that there is. c3: width and precision below 1000.
Status InferFormat(InferContext& ctx) {
  const std::string &style = ctx.attrs().String("style"), &fill = ctx.attrs().String("fill");
  if (style != "plain" && style != "scientific" && style != "shortest")
    return ctx.Fail(1, "got style \"" + style + "\", expected plain, scientific or shortest");
  if (fill.size() > 1 || std::string(" 0+-").find(fill) == std::string::npos)
    return ctx.Fail(2, "got fill \"" + fill + "\", expected nothing, a blank, 0, + or -");
  for (const char* name : {"width", "precision"})
    if (const std::int64_t n = ctx.attrs().Int(name); n < -1 || n > 1000)
      return ctx.Fail(3, "got " + std::string(name) + " " + std::to_string(n) + ", expected -1 (none) to 1000");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(DType::kString, ctx.shape(0)) : Type::TensorOfUnknownRank(DType::kString));
  return {};
}
Status EvalFormat(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::string& style = ctx.attrs().String("style");
  const std::int64_t width = ctx.attrs().Int("width"), precision = ctx.attrs().Int("precision");
  std::string format = "%" + ctx.attrs().String("fill");
  if (width >= 0) format += std::to_string(width);
  if (precision >= 0) format += "." + std::to_string(precision);
  std::vector<std::string> out;
  // Room for the largest double in plain digits, and what width and precision add.
  std::vector<char> text(2048);
  const auto print = [&](auto value) {
    const int n = std::snprintf(text.data(), text.size(), format.c_str(), value);
    out.emplace_back(text.data(), Size(std::clamp(n, 0, static_cast<int>(text.size()) - 1)));
  };
  if (x.dtype() == DType::kBool) {
    for (const std::int64_t v : ToInts(x)) out.emplace_back(v != 0 ? "true" : "false");
  } else if (is_float(x.dtype())) {
    format += style == "plain" ? 'f' : style == "scientific" ? 'e' : 'g';
    for (const double v : ToDoubles(x)) print(v);
  } else {
    const bool is_signed = is_signed_integer(x.dtype());
    format += is_signed ? "lld" : "llu";
    for (const std::int64_t v : ToInts(x))
      is_signed ? print(static_cast<long long>(v)) : print(static_cast<unsigned long long>(v));
  }
  ctx.Set(0, Literal::from_strings(x.dims(), std::move(out)));
  return {};
}

Literal Texts(std::vector<std::int64_t> dims, std::vector<std::string> texts) {
  return Literal::from_strings(std::move(dims), std::move(texts));
}
std::vector<Sample> ToTextSamples() {
  return {{.name = "floats", .inputs = {Values({7}, {0, 1, -2.5, 0.1, 1e-5, 1e20, 123456.789})}, .only_f32 = true},
          {.name = "special", .inputs = {Values({3}, {std::nan(""), HUGE_VAL, -HUGE_VAL})}, .only_f32 = true},
          {.name = "integers", .inputs = {Ints({3}, {0, -7, 9223372036854775807})}},
          {.name = "bools", .inputs = {Bools({2}, {true, false})}},
          {.name = "empty", .inputs = {Ints({0}, {})}}};
}
std::vector<Sample> FromTextSamples() {
  return {{.name = "floats",
           .inputs = {Texts({6}, {"1.5", "-2e3", "NaN", "+INF", "-inf", " 7 "})},
           .attrs = {{"dtype", DType::kF32}}},
          {.name = "integers", .inputs = {Texts({2}, {"-12", "9007199254740993"})}, .attrs = {{"dtype", DType::kI64}}},
          {.name = "whole",
           .inputs = {Texts({2}, {" +5 ", "-9223372036854775808"})},
           .attrs = {{"dtype", DType::kI64}, {"whole", true}}},
          {.name = "bools", .inputs = {Texts({3}, {"True", "0", "1.5"})}, .attrs = {{"dtype", DType::kBool}}},
          {.name = "complex", .inputs = {Texts({1}, {"1"})}, .attrs = {{"dtype", DType::kC64}}, .error = "c1"}};
}
std::vector<Sample> FormatSamples() {
  const auto attrs = [](const char* style, std::int64_t precision, std::int64_t width = -1, const char* fill = "") {
    return Attrs{
        {"style", std::string(style)}, {"precision", precision}, {"width", width}, {"fill", std::string(fill)}};
  };
  const Literal x = Values({6}, {0, 1, -2.5, 0.1, 1e-5, 123456.75}), whole = Ints({3}, {0, -7, 9223372036854775807});
  return {
      {.name = "plain", .inputs = {x}, .attrs = attrs("plain", -1), .only_f32 = true},
      {.name = "rounded", .inputs = {x}, .attrs = attrs("plain", 1), .only_f32 = true},
      {.name = "scientific", .inputs = {x}, .attrs = attrs("scientific", 3), .only_f32 = true},
      {.name = "shortest", .inputs = {x}, .attrs = attrs("shortest", -1), .only_f32 = true},
      {.name = "wide", .inputs = {x}, .attrs = attrs("plain", 2, 9, "0"), .only_f32 = true},
      {.name = "left", .inputs = {whole}, .attrs = attrs("plain", -1, 5, "-")},
      {.name = "integers", .inputs = {whole}, .attrs = attrs("plain", -1)},
      {.name = "unsigned", .inputs = {Literal::from<std::uint8_t>({2}, {5, 250})}, .attrs = attrs("plain", -1, 4, "+")},
      {.name = "bools", .inputs = {Bools({2}, {true, false})}, .attrs = attrs("plain", -1)},
      {.name = "empty", .inputs = {Ints({0}, {})}, .attrs = attrs("plain", -1)},
      {.name = "style", .inputs = {x}, .attrs = attrs("hex", -1), .error = "c1"},
      {.name = "fill", .inputs = {x}, .attrs = attrs("plain", -1, 4, "%s"), .error = "c2"},
      {.name = "width", .inputs = {x}, .attrs = attrs("plain", -1, 100000), .error = "c3"}};
}

constexpr Port kTextIn = {.name = "x", .dtypes = kText};
constexpr Port kTextOut = {.name = "y", .type = "S", .dtypes = kText};

constinit const OpDef kOps[] = {
    {.name = "to_string",
     .summary = "Every number as the shortest text that reads back as it: 1.5, 1e-05, NaN, INF, -INF; True and False.",
     .inputs = {{.name = "x", .dtypes = kNumberSet | kText, .flags = kNotDifferentiable}},
     .outputs = {kTextOut},
     .traits = kExact,
     .infer = InferToText,
     .eval = EvalToText,
     .samples = ToTextSamples},
    {.name = "format_number",
     .summary = "Every number as a text of a given form, as C's printf writes it; bools as true and false.",
     .inputs = {{.name = "x", .dtypes = kRealSet | kBoolSet, .flags = kNotDifferentiable}},
     .outputs = {kTextOut},
     .attrs = {StringAttr("style", "plain", "of floats: plain (1.500000), scientific (1.5e+00) or shortest"),
               IntAttr("precision", -1, "digits behind the point (of shortest: digits); -1: 6"),
               IntAttr("width", -1, "the least number of characters; -1: any"),
               StringAttr("fill", "",
                          "blanks in front; 0: zeros; -: blanks behind; + or a blank before positive ones")},
     .traits = kExact,
     .infer = InferFormat,
     .eval = EvalFormat,
     .samples = FormatSamples},
    {.name = "parse_number",
     .summary = "Every text as a number: plain or scientific, NaN and INF in any case, white space around it; an "
                "integer from a text with a fraction is truncated. Anything else, and a number that an integer dtype "
                "does not hold, is an error of the run.",
     .inputs = {kTextIn},
     .outputs = {{.name = "y", .type = "U", .dtypes = kNumberSet}},
     .attrs = {DTypeAttr("dtype", DType::kF32, "of the result"),
               BoolAttr("whole", false, "of integers: only digits and a sign are read, no fraction, no exponent")},
     .traits = kExact,
     .infer = InferFromText,
     .eval = EvalFromText,
     .samples = FromTextSamples},
};

}  // namespace
extern const std::span<const OpDef> text_number_ops;
constinit const std::span<const OpDef> text_number_ops{kOps};
}  // namespace tenon::ir::ops
