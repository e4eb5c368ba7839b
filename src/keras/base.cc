#include "tenon/keras/base.h"

#include "keras/numeric.h"

namespace tenon::keras {

const Config::Value& Config::at(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) fail(Code::kNotFound, "Config: there is no \"" + key + "\"");
  return it->second;
}

namespace {
[[noreturn]] void WrongKind(const std::string& key, const char* expected) {
  fail(Code::kInvalidArgument, "Config: \"" + key + "\" is not a " + expected);
}
}  // namespace

double Config::number(const std::string& key) const {
  const Value& v = at(key);
  if (v.kind() != Value::Kind::kNumber && v.kind() != Value::Kind::kInteger) WrongKind(key, "number");
  return v.number();
}
std::int64_t Config::integer(const std::string& key) const {
  const Value& v = at(key);
  if (v.kind() != Value::Kind::kInteger || !(v.number() >= -0x1p63 && v.number() < 0x1p63))
    WrongKind(key, "whole number of 64 bits");
  return static_cast<std::int64_t>(v.number());
}
bool Config::flag(const std::string& key) const {
  if (at(key).kind() != Value::Kind::kBool) WrongKind(key, "bool");
  return at(key).number() != 0;
}
const std::string& Config::text(const std::string& key) const {
  if (at(key).kind() != Value::Kind::kText) WrongKind(key, "text");
  return at(key).text();
}
const std::vector<std::int64_t>& Config::list(const std::string& key) const {
  if (at(key).kind() != Value::Kind::kList) WrongKind(key, "list");
  return at(key).list();
}

Activation get_activation(const NameOr<Activation>& which) {
  if (which.object()) return *which.object();
  const std::string& name = which.name();
  if (name.empty() || name == "linear") return nullptr;
  static constexpr std::string_view kPlain[] = {
      "relu",        "relu6",        "selu", "silu", "mish", "softplus",   "softsign", "tanh",       "sigmoid",
      "log_sigmoid", "hard_sigmoid", "gelu", "elu",  "celu", "leaky_relu", "softmax",  "log_softmax"};
  static constexpr std::pair<std::string_view, std::string_view> kAlias[] = {
      {"swish", "silu"}, {"exponential", "exp"}, {"hard_silu", "hard_swish"}, {"hard_swish", "hard_swish"}};
  std::string op;
  for (const std::string_view p : kPlain)
    if (p == name) op = name;
  for (const auto& [alias, target] : kAlias)
    if (alias == name) op = target;
  if (op.empty()) {
    std::string names = "linear";
    for (const std::string_view p : kPlain) names += ", " + std::string(p);
    for (const auto& [alias, target] : kAlias) names += ", " + std::string(alias);
    fail(Code::kNotFound, "activation \"" + name + "\": there is none of that name, expected one of: " + names);
  }
  return [op](const Tensor& x) { return Do(op, x); };
}

Tensor ElementCount(const Tensor& x) {
  const Shape shape = x.shape();
  if (shape.is_static()) return Tensor(Literal::scalar(static_cast<float>(shape.size().value())));
  Tensor n = Do("shape_of", x);
  return CastTo(Do("reduce_prod", n, {{"axes", std::vector<std::int64_t>{0}}}), DType::kF32);
}

std::pair<Tensor, Tensor> SqueezeOrExpand(const Tensor& y_true, const Tensor& y_pred) {
  const Shape t = y_true.shape(), p = y_pred.shape();
  const auto last_is_one = [](const Shape& s) { return s.rank() > 0 && Dim::equal(s.back(), Dim(1)) == Truth::kYes; };
  const auto squeeze = [](const Tensor& x) { return Do("squeeze", x, {{"axes", std::vector<std::int64_t>{-1}}}); };
  const auto expand = [](const Tensor& x) { return Do("expand_dims", x, {{"axes", std::vector<std::int64_t>{-1}}}); };
  if (t.rank() == p.rank() + 1 && last_is_one(t)) return {squeeze(y_true), y_pred};
  if (p.rank() == t.rank() + 1 && last_is_one(p)) return {y_true, squeeze(y_pred)};
  if (t.rank() + 1 == p.rank()) return {expand(y_true), y_pred};
  return {y_true, y_pred};
}

}  // namespace tenon::keras
