// transpose of 4-byte elements by the library's reorder, which is vector code for most permutations.
#include <string_view>

#include "backends/cpu/onednn/kernels.h"
#include "backends/cpu/onednn/primitive.h"

namespace tenon::cpu {

Result<std::string> EmitTransposeReorder(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const Value x = n.inputs[0], out{id, 0};
  if (dtype_bits(b.dtype(x)) != 32) return std::string("elements are not 4 bytes");
  if (b.elements(x) < 2048) return std::string("small");
  const std::vector<std::int64_t> dims = b.dims(x), want = b.dims(out);
  if (dims.size() > 6) return std::string("more than 6 dims");
  std::vector<std::int64_t> strides(dims.size(), 1), from;
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  const std::vector<std::int64_t>& p = n.attrs.Ints("permutation");
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const std::int64_t axis = p.empty()  ? static_cast<std::int64_t>(dims.size() - 1 - i)
                              : p[i] < 0 ? p[i] + static_cast<std::int64_t>(dims.size())
                                         : p[i];
    from.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  return onednn::Guard([&]() -> Result<std::string> {
    const onednn::Desc have = onednn::Strided(want, from), plain = onednn::Plain(want);
    const dnnl::reorder::primitive_desc pd(onednn::Engine(), have, onednn::Engine(), plain);
    if (!std::string_view(pd.impl_info_str()).starts_with("jit")) return "only " + std::string(pd.impl_info_str());
    const BufferId in = b.In(x);
    b.KeepApart(out);
    b.Add(onednn::MakePrimitiveStep(dnnl::reorder(pd),
                                    {{DNNL_ARG_FROM, have, in, false}, {DNNL_ARG_TO, plain, b.Out(out), true}},
                                    "transpose " + b.graph().type(x).to_string() + " " + pd.impl_info_str()));
    return std::string();
  });
}

}  // namespace tenon::cpu
