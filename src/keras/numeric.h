// The ops that losses, metrics, optimizers and layers are written with.
#pragma once
#include "eager/dispatch.h"
#include "tenon/tensor.h"

namespace tenon::keras {

inline Tensor Do(std::string_view op, const Tensor& x, ir::Attrs attrs = {}) {
  return eager::ApplyOne(op, {x}, std::move(attrs));
}
inline Tensor Do(std::string_view op, const Tensor& x, const Tensor& y, ir::Attrs attrs = {}) {
  return eager::ApplyOne(op, {x, y}, std::move(attrs));
}
inline Tensor CastTo(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : Do("cast", x, {{"dtype", dtype}});
}
inline Tensor ReduceMean(const Tensor& x, std::vector<std::int64_t> axes, bool keep = false) {
  return Do("reduce_mean", x, {{"axes", std::move(axes)}, {"keep_dims", keep}});
}
inline Tensor ReduceSum(const Tensor& x, std::vector<std::int64_t> axes = {}, bool keep = false) {
  return Do("reduce_sum", x, {{"axes", std::move(axes)}, {"keep_dims", keep}});
}
inline Tensor ReshapeTo(const Tensor& x, Shape dims) { return Do("reshape", x, {{"dims", std::move(dims)}}); }
inline Tensor Clip(const Tensor& x, double low, double high) {
  return eager::ApplyOne("clip", {x, eager::Weak(low, x), eager::Weak(high, x)});
}
/// The layer, with the name when one is given.
template <class T>
std::shared_ptr<T> Named(std::shared_ptr<T> layer, const std::string& name) {
  if (!name.empty()) layer->set_name(name);
  return layer;
}
/// The number of elements as an f32 scalar: a constant, or computed from the run-time shape.
Tensor ElementCount(const Tensor& x);
/// Removes (or adds) a trailing axis of 1 where the ranks differ by one, as Keras does for y_true and y_pred.
std::pair<Tensor, Tensor> SqueezeOrExpand(const Tensor& y_true, const Tensor& y_pred);

}  // namespace tenon::keras
